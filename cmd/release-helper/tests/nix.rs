//! `build --backend nix`: against the real Nix of this machine, what it says of failures; with a stand-in, what it records.
//! Successful builds are the matter of `nix/tests/lab/run`, for they need a nixpkgs.

#[path = "support/nix.rs"]
mod nix;
#[path = "support/skipped.rs"]
mod skipped;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use release_helper::domain::record::Record;
use release_helper::domain::toolchain::Toolchain;
use skipped::skipped;
use tempfile::TempDir;

/// A source tree whose flake is `flake`. Nix is asked for `linux-amd64`.
fn tree(flake: &str) -> TempDir {
    let tree = tempfile::tempdir().unwrap();
    fs::write(tree.path().join("release.toml"), include_str!("../../../release.toml")).unwrap();
    fs::write(tree.path().join("flake.nix"), flake).unwrap();
    tree
}

/// Runs the backend on `tree`, with a Nix store of its own. `None`, said on stderr, where there is no Nix.
fn build(tree: &Path, settings: &str) -> Option<Output> {
    if Command::new("nix").arg("--version").output().is_err() {
        skipped("nix is not installed (apt-get install nix-bin)");
        return None;
    }
    let place = tempfile::tempdir().unwrap();
    // The user's own configuration: the helper passes no variable of Nix on. As root, Nix would build as a user of a
    // group that Debian's package does not make.
    let store = place.path().join("store");
    let configuration = format!("store = {}\nsubstitute = false\nbuild-users-group =\n{settings}", store.display());
    fs::create_dir_all(place.path().join(".config/nix")).unwrap();
    fs::write(place.path().join(".config/nix/nix.conf"), configuration).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_release-helper"))
        .args(["build", "--backend", "nix", "linux-amd64", "--root"])
        .arg(tree)
        .arg("--out")
        .arg(place.path().join("dist"))
        .env("HOME", place.path())
        .env_remove("XDG_CONFIG_HOME")
        .output()
        .unwrap();
    // Nix makes its store read-only; without its help nothing of it could be removed.
    let _ = Command::new("chmod").args(["-R", "u+w"]).arg(place.path()).status();
    Some(output)
}

/// Fails unless the backend could not tell (exit code 2), said `meaning` and gave the advice that contains `hint`.
fn must_say(output: Option<Output>, meaning: &str, hint: &str) {
    let Some(output) = output else { return };
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains(&format!("error: {meaning}")), "{said}");
    let advice = said.lines().find_map(|line| line.strip_prefix("hint: ")).unwrap();
    assert!(advice.contains(hint), "{said}");
}

#[test]
fn a_missing_nix_is_reported_with_the_way_around_it() {
    let tree = tree("{ }");
    let output = Command::new(env!("CARGO_BIN_EXE_release-helper"))
        .args(["build", "--backend", "nix", "--root"])
        .arg(tree.path())
        .arg("--out")
        .arg(tree.path().join("dist"))
        .env("PATH", tree.path())
        .output()
        .unwrap();
    must_say(Some(output), "cannot run nix", "--backend cargo");
}

#[test]
fn a_missing_daemon_is_reported_with_how_to_start_it() {
    let output = build(tree("{ outputs = _: { }; }").path(), "store = unix:///nonexistent/socket");
    must_say(output, "Nix's daemon cannot be reached: cannot connect to socket", "start it");
}

#[test]
fn flakes_that_are_switched_off_do_not_matter() {
    let output = build(tree("{ outputs = _: { }; }").path(), "experimental-features =");
    must_say(output, "nix build failed: flake", "--show-trace");
}

/// A flake with one input, a folder beside it, and its `flake.lock`.
fn tree_with_input(lock: impl Fn(&str) -> String) -> TempDir {
    let tree = tree("");
    let input = tree.path().join("input");
    let path = input.to_str().unwrap();
    fs::create_dir(&input).unwrap();
    fs::write(input.join("flake.nix"), "{ outputs = _: { packages = { }; }; }").unwrap();
    let flake =
        format!("{{ inputs.input.url = \"path:{path}\"; outputs = inputs: {{ inherit (inputs.input) packages; }}; }}");
    fs::write(tree.path().join("flake.nix"), flake).unwrap();
    fs::write(tree.path().join("flake.lock"), lock(path)).unwrap();
    tree
}

#[test]
fn a_lock_that_does_not_fit_is_refused_and_left_alone() {
    const EMPTY: &str = r#"{ "nodes": { "root": { } }, "root": "root", "version": 7 }"#;
    let tree = tree_with_input(|_| EMPTY.to_owned());
    must_say(build(tree.path(), ""), "flake.lock does not fit flake.nix", "restore both with git");
    assert_eq!(fs::read_to_string(tree.path().join("flake.lock")).unwrap(), EMPTY);
}

#[test]
fn an_input_that_is_not_what_the_lock_says_is_refused() {
    let tree = tree_with_wrong_input();
    must_say(build(tree.path(), ""), "a download is not what its pinned digest says", "do not build from it");
}

fn tree_with_wrong_input() -> TempDir {
    tree_with_input(|path| {
        let wrong = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
        let locked = format!(r#"{{ "lastModified": 1, "narHash": "{wrong}", "path": "{path}", "type": "path" }}"#);
        let node = format!(r#"{{ "locked": {locked}, "original": {{ "path": "{path}", "type": "path" }} }}"#);
        let root = r#"{ "inputs": { "input": "input" } }"#;
        format!(r#"{{ "nodes": {{ "input": {node}, "root": {root} }}, "root": "root", "version": 7 }}"#)
    })
}

#[test]
fn a_package_for_another_machine_is_reported_with_the_way_to_build_it() {
    let system = if cfg!(target_os = "macos") { "x86_64-linux" } else { "aarch64-darwin" };
    let derivation = format!("derivation {{ name = \"x\"; system = \"{system}\"; builder = \"/bin/sh\"; }}");
    let systems = ["x86_64-linux", "aarch64-linux", "x86_64-darwin", "aarch64-darwin"];
    let packages: String = systems.iter().map(|host| format!("packages.{host}.linux-amd64 = {derivation}; ")).collect();
    let output = build(tree(&format!("{{ outputs = _: {{ {packages}}}; }}")).path(), "builders =");
    must_say(output, "a package asks for another kind of machine", "remote builder");
}

#[test]
fn a_rebuild_without_nix_is_refused() {
    let tree = tree("{ }");
    let output = Command::new(env!("CARGO_BIN_EXE_release-helper"))
        .args(["build", "--rebuild", "--backend", "cargo", "--root"])
        .arg(tree.path())
        .arg("--out")
        .arg(tree.path().join("dist"))
        .output()
        .unwrap();
    must_say(Some(output), "only Nix can rebuild and compare", "--backend nix");
}

/// The record of an artifact that Nix has built by the toolchain at `sysroot`. No rustup and no other Rust is on the PATH.
fn recorded(sysroot: &Path) -> Record {
    const ASSET: &str = "tsuku-dltest-linux-amd64";
    let place = tempfile::tempdir().unwrap();
    let (programs, package, out) =
        (place.path().join("programs"), place.path().join("package"), place.path().join("dist"));
    fs::create_dir(&programs).unwrap();
    fs::create_dir_all(package.join("bin")).unwrap();
    fs::write(package.join("bin").join(ASSET), "an artifact").unwrap();
    nix::stand_in(&programs, &package, sysroot);
    let path = std::env::var_os("PATH").unwrap();
    let git = std::env::split_paths(&path).map(|directory| directory.join("git")).find(|path| path.is_file()).unwrap();
    std::os::unix::fs::symlink(git, programs.join("git")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_release-helper"))
        .args(["build", "--backend", "nix", "--record", "linux-amd64", "--root"])
        .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))
        .arg("--out")
        .arg(&out)
        .arg("--host-record")
        .arg(place.path().join("host"))
        .env("PATH", &programs)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let host = fs::read_to_string(place.path().join("host")).unwrap();
    assert!(host.contains("\"rustc-sha256\": \"") && host.contains("\"nix-sandbox\": \"relaxed\""), "{host}");
    Record::parse(&fs::read(out.join(format!("{ASSET}.build.json"))).unwrap()).unwrap()
}

#[test]
fn the_record_is_of_the_toolchain_that_nix_has_built_with() {
    let installed = Toolchain::of_tree(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")).unwrap();
    let place = tempfile::tempdir().unwrap();
    nix::another(&installed, place.path());
    let (usual, other) = (recorded(installed.sysroot()), recorded(place.path()));
    assert_eq!(usual.rustc, installed.identity().unwrap().rustc);
    assert_eq!(other.rustc[0], usual.rustc[0].replace(&installed.version, "1.94.7"));
    let differences = usual.differences(&other);
    assert!(differences.len() == 1 && differences[0].starts_with("rustc was "), "{differences:?}");
}

#[test]
fn a_toolchain_without_the_library_of_the_target_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let (programs, package) = (place.path().join("programs"), place.path().join("package"));
    fs::create_dir_all(&programs).unwrap();
    fs::create_dir_all(package.join("bin")).unwrap();
    for name in ["tsuku-dltest-linux-amd64", "rustc"] {
        fs::write(package.join("bin").join(name), "").unwrap();
    }
    nix::stand_in(&programs, &package, &package);
    let output = Command::new(env!("CARGO_BIN_EXE_release-helper"))
        .args(["build", "--backend", "nix", "--record", "linux-amd64", "--root"])
        .arg(tree("{ }").path())
        .arg("--out")
        .arg(place.path().join("dist"))
        .env("PATH", &programs)
        .output()
        .unwrap();
    must_say(Some(output), "linux-amd64.toolchain holds no compiler for linux-amd64", "nix/toolchain.nix");
}
