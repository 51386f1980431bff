# The helper, and what is checked of its source. Its crates are built apart: a change of its own code leaves them alone.
{
  lib,
  installShellFiles,
  craneLib,
  linters,
  source,
  binary,
  meta,
}:
let
  common = {
    pname = "release-helper";
    version = (lib.importTOML ../cmd/release-helper/Cargo.toml).package.version;
    strictDeps = true;
  };
  helper = common // {
    src = source.helper;
    CARGO_PROFILE = "helper";
    cargoLockContents = source.helperLock;
    doCheck = false;
  };
  # crane makes empty tests, also those that Cargo.toml names in the program's folder: they would make it a member.
  crates =
    arguments:
    craneLib.buildDepsOnly (arguments // { extraDummyScript = "rm -rf $out/cmd/${binary}"; });

  # The checks compile in a fraction of the time without link-time optimization. They see the program too: the helper's
  # tests read its files.
  checked = common // {
    src = source.workspace;
    CARGO_PROFILE = "dev";
    cargoExtraArgs = "--locked --package release-helper";
    cargoArtifacts = crates (
      helper
      // {
        CARGO_PROFILE = "dev";
        doCheck = true;
        cargoCheckExtraArgs = ""; # "--all-targets" would ask for the program's tests
        cargoTestExtraArgs = "--lib --bins --no-run";
      }
    );
  };
in
craneLib.buildPackage (
  helper
  // {
    cargoArtifacts = crates helper;
    nativeBuildInputs = [ installShellFiles ];
    postInstall = ''
      for shell in bash fish zsh; do
        $out/bin/release-helper completions $shell >release-helper.$shell
      done
      installShellCompletion release-helper.{bash,fish,zsh}
      $out/bin/release-helper man --directory man
      installManPage man/*.1
    '';
    passthru = {
      tests = craneLib.cargoTest (checked // { cargoTestExtraArgs = "--lib --bins"; });
      clippy = linters.cargoClippy (
        checked // { cargoClippyExtraArgs = "--all-targets -- --deny warnings"; }
      );
    };
    meta = meta // {
      description = "Builds, inspects, signs, releases and verifies tsuku-dltest";
      mainProgram = "release-helper";
    };
  }
)
