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
  # crane makes empty tests, also those that Cargo.toml names in the program's folder: they would make it a member.
  crates =
    arguments:
    craneLib.buildDepsOnly (arguments // { extraDummyScript = "rm -rf $out/cmd/tsuku-dltest"; });

  # The checks compile in a fraction of the time without link-time optimization.
  checked = common // {
    CARGO_PROFILE = "dev";
    doCheck = true;
    cargoTestExtraArgs = "--lib --bins";
  };
  checkedCrates = crates (
    checked
    // {
      cargoCheckExtraArgs = "";
      cargoTestExtraArgs = "--lib --bins --no-run";
    }
  );
in
craneLib.buildPackage (
  common
  // {
    cargoArtifacts = crates common;
    passthru = {
      tests = craneLib.cargoTest (checked // { cargoArtifacts = checkedCrates; });
      clippy = craneLib.cargoClippy {
        inherit (common) pname version strictDeps;
        src = source.workspace;
        CARGO_PROFILE = "dev";
        cargoArtifacts = checkedCrates;
        cargoExtraArgs = "--locked --package release-helper";
        cargoClippyExtraArgs = "--all-targets -- --deny warnings";
      };
    };
    meta = {
      description = "Builds, inspects, signs, releases and verifies tsuku-dltest";
      mainProgram = "release-helper";
      license = lib.licenses.mit;
    };
  }
)
