//! `verify --backend nix`: its records are of the toolchain that Nix has built with.

use std::path::Path;
use std::process::Output;

use release_helper::domain::toolchain::Toolchain;

use crate::common::*;
use crate::hostile::Site;
use crate::nix;
use crate::tagged::put;

/// Verifies an honest release, rebuilt by Nix to the same bytes with the toolchain at `sysroot`.
fn verified(sysroot: &Path) -> Output {
    let place = tempfile::tempdir().unwrap();
    let package = place.path().join("package");
    for artifact in world().rebuilt.artifacts() {
        std::fs::create_dir_all(package.join("bin")).unwrap();
        std::fs::write(package.join("bin").join(&artifact.asset), &artifact.bytes).unwrap();
    }
    put(place.path(), "programs/here", "");
    let programs = place.path().join("programs");
    nix::stand_in(&programs, &package, sysroot);
    let path = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths([programs].into_iter().chain(std::env::split_paths(&path))).unwrap();
    Site::honest().serve().command(&["--backend", "nix"]).env("PATH", path).output().unwrap()
}

#[test]
fn another_toolchain_is_named_although_the_bytes_are_the_same() {
    let installed = Toolchain::of_tree(world().repository.path()).unwrap();
    let output = verified(installed.sysroot());
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));

    let place = tempfile::tempdir().unwrap();
    nix::another(&installed, place.path());
    let output = verified(place.path());
    let said = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("build record: rustc was ") && said.contains("here it is ") && said.contains("1.94.7"),
        "{said}"
    );
}
