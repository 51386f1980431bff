# Adds the packages to somebody's nixpkgs: the artifacts as they are built here, with the pinned toolchain, for the machine
# that the package set is for (`pkgsStatic` and `pkgsCross` too).
self: final: _prev:
let
  contract = import ./platforms.nix;
  packagesOn =
    system:
    self.packages.${system}
      or (throw "${contract.binary} is built on ${toString contract.nix-systems}, not on ${system}");
  inherit (final.stdenv) buildPlatform hostPlatform;

  platform = contract.platformOf { inherit (hostPlatform) system isMusl; };
in
{
  tsuku-dltest =
    final.callPackage ./program.nix { } platform
      (packagesOn buildPlatform.system).${platform.name};
  tsuku-release-helper = (packagesOn hostPlatform.system).release-helper;
}
