# Adds the packages to somebody's nixpkgs: the artifacts as they are built here, with the pinned toolchain, for the machine
# that the package set is for (`pkgsStatic` and `pkgsCross` too).
self: final: _prev:
let
  contract = import ./platforms.nix;
  packagesOn =
    system:
    self.packages.${system} or (throw ''
      tsuku-dltest is not built on ${system}, but on ${toString contract.nix-systems} (nix-systems in its release.toml)'');
  inherit (final.stdenv) buildPlatform hostPlatform;

  platform = contract.platformOf { inherit (hostPlatform) system isMusl; };
in
{
  tsuku-dltest =
    final.callPackage ./program.nix { } platform
      (packagesOn buildPlatform.system).${platform.name};
  tsuku-release-helper = (packagesOn hostPlatform.system).release-helper;
}
