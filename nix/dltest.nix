# One platform's artifact, built by crane.
{
  lib,
  craneLib,
  recipe,
  second-builder,
  binary,
}:
platform:
let
  shared = recipe platform;
in
craneLib.buildPackage (
  shared.attributes
  // {
    pname = platform.asset;
    inherit (shared) version src;
    cargoExtraArgs = lib.concatStringsSep " " shared.cargoArguments;

    # No crates: nothing to vendor, nothing to build beforehand, no path to remove.
    cargoVendorDir = null;
    cargoArtifacts = null;
    doNotRemoveReferencesToVendorDir = true;
    doNotRemoveReferencesToRustToolchain = true;
    doNotSign = true;
    doIncludeCrossToolchainEnv = false; # rust-lld links, no C compiler does

    # `nix build .#linux-amd64.second-builder`
    passthru.second-builder = second-builder platform;
    doCheck = false; # checks.nix looks at the artifact itself
    meta = {
      description = "Reports whether libraries load, for ${platform.name}";
      mainProgram = binary;
      license = lib.licenses.mit;
    };
  }
)
