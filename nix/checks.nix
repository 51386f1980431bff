# What `nix flake check` proves on one system.
{
  lib,
  pkgs,
  contract,
  source,
  toolchains,
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
  # The musl artifact needs no loader to say its version, and the sandbox has none for glibc's.
  startable =
    artifacts.${
      (contract.platformOf {
        inherit (pkgs.stdenv.hostPlatform) system;
        isMusl = pkgs.stdenv.hostPlatform.isLinux;
      }).name
    };
  asset = artifact: platform: "${artifact}/bin/${platform.asset}";
in
eachPlatform "contract" (
  platform:
  check "contract-${platform.name}" [ release-helper ] ''
    release-helper inspect --version ${source.version} ${asset artifacts.${platform.name} platform}
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
  # The artifacts' bytes state it (contract), the source tree agrees, and the one that can start in a sandbox says so.
  version = check "version" [ release-helper ] ''
    release-helper version check v${source.version} --root ${source.stated}
    said=$(${startable}/bin/${contract.binary} --version 2>&1)
    test "$said" = "${contract.binary} v${source.version}" || { echo "it says: $said" >&2; exit 1; }
  '';

  # docs/nix.md, "Updating the pins": fenix must be at a commit whose stable toolchain is the pinned channel.
  toolchain = check "toolchain" [ toolchains.withLinters ] ''
    rustc --version | grep -F 'rustc ${source.channel} '
  '';

  inherit (release-helper) clippy tests;

  clippy-dltest = craneLib.cargoClippy {
    pname = contract.binary;
    inherit (source) version;
    src = source.dltest;
    cargoLock = pkgs.writeText "Cargo.lock" source.dltestLock;
    cargoVendorDir = null;
    cargoArtifacts = null;
    cargoExtraArgs = "--locked --config cmd/${contract.binary}/link.toml ${
      lib.concatMapStringsSep " " (platform: "--target ${platform.target}") (
        lib.attrValues contract.platforms
      )
    }";
    cargoClippyExtraArgs = "-- --deny warnings";
  };

  fmt = craneLib.cargoFmt {
    pname = contract.binary;
    inherit (source) version;
    src = source.workspace;
  };

  nixfmt = check "nixfmt" [ pkgs.nixfmt ] ''
    nixfmt --check $(find ${source.nix} -name '*.nix')
  '';
}
