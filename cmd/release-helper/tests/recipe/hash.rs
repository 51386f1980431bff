//! Cargo's hash, `-C metadata`, does not reach the bytes. It would by the order of functions: they are laid out by symbol,
//! and of functions with one path (a generic one for two types) the symbols differ in the hash alone.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use release_helper::domain::contract::Platform;

use crate::recipe::{assert_same, command, copy, digests, quoted, reference, root, script, sysroot};

/// The recipe under a compiler that tells `edit` (a line of sed) about itself.
fn told(edit: &str, platforms: &[Platform]) -> BTreeMap<String, String> {
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("target");
    let compiler = place.path().join("rustc");
    let real = quoted(&sysroot().join("bin/rustc"));
    script(&compiler, &format!("[ \"$*\" = -vV ] || exec {real} \"$@\"\n{real} -vV | sed '{edit}'"));
    digests(command(&root(), platforms, &out).env("RUSTC", &compiler), platforms, &out)
}

#[test]
fn every_host_and_every_hash_gives_the_same_bytes() {
    let (platforms, _) = reference();
    let hosts =
        ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu", "x86_64-apple-darwin", "aarch64-apple-darwin"];
    let hosts = hosts.into_iter().chain(["powerpc64le-unknown-linux-gnu", "x86_64-unknown-freebsd"]);
    // What cargo mixes into every hash.
    let lines = ["s/^commit-date: .*/commit-date: 2001-01-01/", "s/^commit-hash: ./commit-hash: f/", "s/^LLVM .*/&1/"];
    let edits = hosts.map(|host| format!("s/^host: .*/host: {host}/")).chain(lines.map(str::to_owned));
    // To a platform, each is another hash: three for each will do.
    for (at, edit) in edits.enumerate() {
        let some: Vec<_> = platforms.iter().skip(at % 3).step_by(3).cloned().collect();
        assert_same(told(&edit, &some), &format!("with {edit}"));
    }
}

/// The paths that several functions of the artifact of `platform` share, by the linker's map.
fn shared_paths(tree: &Path, platform: &Platform) -> Vec<String> {
    let place = tempfile::tempdir().unwrap();
    let map = place.path().join("map");
    let flag = if platform.is_darwin() { "-map" } else { "-Map" };
    // Cargo joins this list with those of link.toml.
    let key = format!("target.{}.rustflags", platform.target);
    let flags = format!("{key}=[\"-Clink-arg={flag}\",\"-Clink-arg={}\"]", map.display());
    let out = place.path().join("target");
    digests(
        command(tree, std::slice::from_ref(platform), &out).args(["--config", &flags]),
        std::slice::from_ref(platform),
        &out,
    );
    let text = fs::read_to_string(&map).unwrap();
    let mut paths = BTreeMap::<String, BTreeSet<String>>::new();
    for line in text.lines() {
        // lld's maps: for ELF the section of each function, for Mach-O the symbols.
        let symbol = match platform.is_darwin() {
            true => line.split("] ").nth(1).and_then(|name| name.trim().strip_prefix("__ZN")),
            false => line.split("(.text._ZN").nth(1).and_then(|rest| rest.strip_suffix(')')),
        };
        // The hash of Rust's symbols: 17 characters, `h` and 16 digits, before the last E.
        let Some((path, hash)) = symbol.and_then(|symbol| symbol.rsplit_once("17h")) else { continue };
        paths.entry(path.to_owned()).or_default().insert(hash.to_owned());
    }
    assert!(paths.len() > 10, "the map of {} tells nothing: {text}", platform.name);
    paths.into_iter().filter(|(_, hashes)| hashes.len() > 1).map(|(path, _)| path).collect()
}

#[test]
fn no_two_functions_share_a_path() {
    for platform in reference().0 {
        assert_eq!(shared_paths(&root(), platform), Vec::<String>::new(), "{}", platform.name);
    }
}

#[test]
fn two_functions_that_share_a_path_are_noticed() {
    let Some(platform) = reference().0.iter().find(|platform| platform.name == "linux-amd64") else { return };
    let tree = copy();
    let main = tree.path().join("cmd/tsuku-dltest/src/main.rs");
    let text = fs::read_to_string(&main).unwrap();
    let seeded = text.replacen("fn run(arguments: Arguments) -> i32 {", "#[inline(never)]\nfn twice<T>(value: T) -> T {\n    core::hint::black_box(value)\n}\n\nfn run(arguments: Arguments) -> i32 {\n    twice(1_u8);\n    twice(1_u64);", 1);
    assert_ne!(seeded, text);
    fs::write(&main, seeded).unwrap();
    let shared = shared_paths(tree.path(), platform);
    assert!(shared.len() == 1 && shared[0].ends_with("5twice"), "{shared:?}");
}
