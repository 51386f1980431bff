# The contract as Nix sees it: release.toml, and nothing said twice. No library: every Nix can evaluate it alone.
let
  contract = builtins.fromTOML (builtins.readFile ../release.toml);
  platforms = builtins.attrValues contract.platform;
in
contract
// {
  # The systems somebody may build on are those of the release's runners.
  systems = builtins.attrNames (
    builtins.listToAttrs (
      map (platform: {
        name = platform.nix-system;
        value = null;
      }) platforms
    )
  );

  platforms = builtins.mapAttrs (
    name: platform:
    platform
    // {
      inherit name;
      asset = "${contract.binary}-${name}";
      isMusl = platform.libc == "musl";
      isDarwin = platform.libc == "libSystem";
    }
  ) contract.platform;
}
