# One platform's artifact, built by crane.
{
  lib,
  craneLib,
  recipe,
  second-builder,
  meta,
}:
platform:
let
  shared = recipe platform;
in
(craneLib.overrideToolchain (_: shared.toolchain)).buildPackage (
  shared.attributes
  // {
    inherit (shared) name version src;
    pname = platform.asset;
    cargoExtraArgs = lib.concatStringsSep " " shared.cargoArguments;

    # No crates: nothing to vendor, nothing to build beforehand.
    cargoVendorDir = null;
    cargoArtifacts = null;
    doIncludeCrossToolchainEnv = false; # rust-lld links, no C compiler does

    # `nix build .#linux-amd64.second-builder`; the compiler is for the build record to describe.
    passthru = {
      second-builder = second-builder platform;
      inherit (shared) toolchain;
    };
    doCheck = false; # checks.nix looks at the artifact itself
    meta = meta // {
      description = "Reports whether libraries load, for ${platform.name}";
      mainProgram = shared.binary;
    };
  }
)
