# Adds the packages to somebody's nixpkgs as they are built here, with the pinned toolchain: the published bytes.
self: final: _prev:
let
  packages = self.packages.${final.stdenv.hostPlatform.system};
in
{
  tsuku-dltest = packages.default;
  tsuku-release-helper = packages.release-helper;
}
