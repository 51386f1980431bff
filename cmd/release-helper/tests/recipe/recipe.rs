//! The recipe as anybody types it, with another compiler in rustc's place where a test wants one.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use release_helper::domain::contract::{Contract, Platform};
use release_helper::domain::source;
use release_helper::plumbing::digest;

use crate::skipped::skipped;

/// The root of the repository.
pub(crate) fn root() -> PathBuf {
    source::root(Some(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../.."))).unwrap()
}

/// Where the toolchain of the repository is.
pub(crate) fn sysroot() -> PathBuf {
    let output = Command::new("rustc").args(["--print", "sysroot"]).current_dir(root()).output().unwrap();
    PathBuf::from(String::from_utf8(output.stdout).unwrap().trim())
}

/// The platforms that the toolchain can build for; says which it cannot.
fn platforms() -> Vec<Platform> {
    let libraries = sysroot().join("lib/rustlib");
    let has = |platform: &Platform| libraries.join(&platform.target).join("lib").is_dir();
    let (here, missing): (Vec<_>, Vec<_>) = Contract::embedded().unwrap().platforms().cloned().partition(has);
    if !missing.is_empty() {
        let targets: Vec<_> = missing.iter().map(|platform| platform.target.as_str()).collect();
        skipped(&format!("without rust-std for {0}; run `rustup target add {0}`", targets.join(" ")));
    }
    here
}

/// The recipe for `platforms`, in the source tree at `tree`, below the directory `out`: to be changed and started.
pub(crate) fn command(tree: &Path, platforms: &[Platform], out: &Path) -> Command {
    let sysroot = sysroot();
    let mut command = Command::new(sysroot.join("bin/cargo"));
    command.current_dir(tree).env("RUSTC", sysroot.join("bin/rustc")).env_remove("RUSTUP_TOOLCHAIN");
    command.args(["build", "--quiet", "--release", "--locked", "-p", "tsuku-dltest", "--config"]);
    command.args(["cmd/tsuku-dltest/link.toml", "--target-dir"]).arg(out);
    command.args(platforms.iter().flat_map(|platform| ["--target", &platform.target]));
    command
}

/// Runs the recipe; the digests of what it makes, by platform.
pub(crate) fn digests(command: &mut Command, platforms: &[Platform], out: &Path) -> BTreeMap<String, String> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let digest = |platform: &Platform| {
        let bytes = fs::read(out.join(&platform.target).join("release/tsuku-dltest")).unwrap();
        (platform.name.clone(), digest::sha256(&bytes))
    };
    platforms.iter().map(digest).collect()
}

/// What the recipe makes of the repository on this machine: the digests of all `platforms`, built once.
pub(crate) fn reference() -> (&'static [Platform], &'static BTreeMap<String, String>) {
    static REFERENCE: OnceLock<(Vec<Platform>, BTreeMap<String, String>)> = OnceLock::new();
    let (platforms, digests) = REFERENCE.get_or_init(|| {
        let (platforms, place) = (platforms(), tempfile::tempdir().unwrap());
        let digests = digests(&mut command(&root(), &platforms, place.path()), &platforms, place.path());
        (platforms, digests)
    });
    (platforms, digests)
}

/// Demands that `digests`, of some platforms built `how`, are those of the reference.
pub(crate) fn assert_same(digests: BTreeMap<String, String>, how: &str) {
    let (_, reference) = reference();
    for (platform, digest) in digests {
        assert_eq!(digest, reference[&platform], "{platform} {how}");
    }
}

/// Writes a shell script that can be executed.
pub(crate) fn script(path: &Path, text: &str) {
    fs::write(path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// `path` as a word of a shell script.
pub(crate) fn quoted(path: &Path) -> String {
    format!("'{}'", path.display().to_string().replace('\'', r"'\''"))
}

/// A copy of what an artifact is made of, to be damaged.
pub(crate) fn copy() -> tempfile::TempDir {
    let tree = tempfile::tempdir().unwrap();
    source::stage(&root(), tree.path()).unwrap();
    tree
}
