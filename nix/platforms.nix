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

  # The one platform that fits. Two would be a silent choice between them.
  only =
    what: fits:
    let
      found = builtins.filter fits (builtins.attrValues platforms);
    in
    if builtins.length found == 1 then
      builtins.head found
    else
      throw "release.toml has ${toString (builtins.length found)} platforms for ${what}, not one";
in
contract
// {
  inherit platforms;

  # The platform whose artifact a machine runs: `{ system = "x86_64-linux"; isMusl = false; }`.
  platformOf =
    { system, isMusl }:
    only "${system}${if isMusl then " with musl" else ""}" (
      platform: platform.system == system && platform.isMusl == isMusl
    );
}
