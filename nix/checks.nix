# What `nix flake check` proves on one system.
{
  lib,
  pkgs,
  contract,
  source,
  toolchain,
  craneLib,
  artifacts,
  release-helper,
  ...
}:
let
  check =
    name: nativeBuildInputs: script:
    pkgs.runCommand name
      {
        inherit nativeBuildInputs;
        strictDeps = true;
      }
      ''
        ${script}
        touch $out
      '';
  eachPlatform =
    prefix: f:
    lib.mapAttrs' (
      name: platform: lib.nameValuePair "${prefix}-${name}" (f platform)
    ) contract.platforms;
  asset = artifact: platform: "${artifact}/bin/${platform.asset}";
in
eachPlatform "contract" (
  platform:
  check "contract-${platform.name}" [ release-helper ] ''
    release-helper inspect ${asset artifacts.${platform.name} platform}
  ''
)
// eachPlatform "crane-equals-naersk" (
  platform:
  check "crane-equals-naersk-${platform.name}" [ ] ''
    cmp ${asset artifacts.${platform.name} platform} ${
      asset artifacts.${platform.name}.second-builder platform
    }
  ''
)
// {
  version = check "version" [ release-helper ] ''
    release-helper version check v${source.version} --root ${source.stated}
    for artifact in ${
      lib.concatMapStringsSep " " (asset artifacts) (lib.attrValues contract.platforms)
    }; do
      grep -qaF ${source.version} $artifact || { echo "$artifact does not state version ${source.version}" >&2; exit 1; }
    done
  '';

  # docs/nix.md, "Updating the pins": fenix must be at a commit whose stable toolchain is the pinned channel.
  toolchain = check "toolchain" [ toolchain ] ''
    rustc --version | grep -F 'rustc ${source.channel} '
  '';

  inherit (release-helper) clippy tests;

  fmt = craneLib.cargoFmt {
    pname = contract.binary;
    inherit (source) version;
    src = source.rust;
  };

  nixfmt = check "nixfmt" [ pkgs.nixfmt ] ''
    nixfmt --check $(find ${source.nix} -name '*.nix')
  '';
}
