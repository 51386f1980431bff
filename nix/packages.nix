# The packages of one system: six platforms under two names each, the program that starts on the host, the helper, and all
# artifacts with their digests.
{
  lib,
  pkgs,
  contract,
  artifacts,
  program,
  release-helper,
  ...
}:
let
  sums =
    pkgs.runCommand contract.sums
      {
        strictDeps = true;
        allowedReferences = [ ];
        meta.description = "All six artifacts and their SHA-256 digests";
      }
      ''
        mkdir $out && cd $out
        cp ${
          lib.concatMapStringsSep " " (platform: "${artifacts.${platform.name}}/bin/${platform.asset}") (
            lib.attrValues contract.platforms
          )
        } .
        LC_ALL=C sha256sum ${contract.binary}-* >${contract.sums}
      '';
in
artifacts
// lib.mapAttrs' (name: lib.nameValuePair "dltest-${name}") artifacts
// {
  default = program;
  inherit release-helper;
  ${contract.sums} = sums;
}
