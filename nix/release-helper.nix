# The helper, and what is checked of its source. Its crates are built once and shared by all of them.
{
  lib,
  craneLib,
  source,
}:
let
  common = {
    pname = "release-helper";
    version = (lib.importTOML ../cmd/release-helper/Cargo.toml).package.version;
    src = source.helper;
    cargoLockContents = source.helperLock;
    strictDeps = true;
    doCheck = false;
  };
  built = common // {
    cargoArtifacts = craneLib.buildDepsOnly common;
  };
in
craneLib.buildPackage (
  built
  // {
    passthru = {
      clippy = craneLib.cargoClippy (
        built // { cargoClippyExtraArgs = "--all-targets -- --deny warnings"; }
      );
      tests = craneLib.cargoTest (
        built
        // {
          doCheck = true;
          cargoTestExtraArgs = "--lib --bins";
        }
      );
    };
    meta = {
      description = "Builds, inspects, signs, releases and verifies tsuku-dltest";
      mainProgram = "release-helper";
      license = lib.licenses.mit;
    };
  }
)
