# The contract as Nix sees it: release.toml, and nothing said twice. No library: every Nix can evaluate it alone.
let
  contract = builtins.fromTOML (builtins.readFile ../release.toml);

  platforms = builtins.mapAttrs (
    name: platform:
    let
      # `x86_64-unknown-linux-gnu`, `aarch64-apple-darwin`
      triple = builtins.match "([^-]+)-[^-]+-([^-]+)(-.+)?" platform.target;
    in
    platform
    // {
      inherit name;
      asset = "${contract.binary}-${name}";
      system = "${builtins.elemAt triple 0}-${builtins.elemAt triple 1}";
      isMusl = platform.libc == "musl";
      isDarwin = platform.libc == "libSystem";
    }
  ) contract.platform;

  names = builtins.concatStringsSep ", ";
in
contract
// {
  inherit platforms;

  # The platform whose artifact a machine runs: `{ system = "x86_64-linux"; isMusl = false; }`. Two that fit would be a
  # silent choice between them.
  platformOf =
    { system, isMusl }:
    let
      machine = if isMusl then "${system} with musl" else system;
      found = builtins.filter (platform: platform.system == system && platform.isMusl == isMusl) (
        builtins.attrValues platforms
      );
    in
    if found == [ ] then
      throw "${contract.binary} is not made for ${machine}, but for ${names (builtins.attrNames platforms)}"
    else if builtins.length found > 1 then
      throw "release.toml has more than one platform for ${machine}: ${
        names (map (platform: platform.name) found)
      }"
    else
      builtins.head found;
}
