# The helper, and what is checked of its source. Its crates are built apart: a change of its own code leaves them alone.
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
  withCrates = arguments: arguments // { cargoArtifacts = craneLib.buildDepsOnly arguments; };

  # The checks compile in a fraction of the time without link-time optimization.
  checked = withCrates (
    common
    // {
      CARGO_PROFILE = "dev";
      doCheck = true;
    }
  );
in
craneLib.buildPackage (
  withCrates common
  // {
    passthru = {
      clippy = craneLib.cargoClippy (
        checked // { cargoClippyExtraArgs = "--all-targets -- --deny warnings"; }
      );
      tests = craneLib.cargoTest (checked // { cargoTestExtraArgs = "--lib --bins"; });
    };
    meta = {
      description = "Builds, inspects, signs, releases and verifies tsuku-dltest";
      mainProgram = "release-helper";
      license = lib.licenses.mit;
    };
  }
)
