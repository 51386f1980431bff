//! What the recipe needs: rustc. Not a C compiler, not a program from PATH, not an SDK, not even cargo.

use std::fs;
use std::process::Command;

use release_helper::plumbing::digest;

use crate::recipe::{command, digests, reference, root, sysroot};

#[test]
fn no_c_compiler_and_no_other_program_takes_part() {
    let (platforms, reference) = reference();
    let place = tempfile::tempdir().unwrap();
    let out = place.path().join("target");
    let mut bare = command(&root(), platforms, &out);
    // rustc by its path, and nothing else: an empty folder is all there is to search.
    let empty = place.path().join("empty");
    fs::create_dir(&empty).unwrap();
    bare.env_clear().env("PATH", &empty).env("HOME", &empty).env("RUSTC", sysroot().join("bin/rustc"));
    assert_eq!(digests(&mut bare, platforms, &out), *reference);
}

/// rustc's flags in link.toml for `target`: of all its lists that fit, as cargo joins them.
fn flags(target: &str) -> Vec<String> {
    let text = fs::read_to_string(root().join("cmd/tsuku-dltest/link.toml")).unwrap();
    let recipe: toml_edit::DocumentMut = text.parse().unwrap();
    let mut keys = vec!["cfg(all())", target];
    keys.push(if target.contains("linux") { "cfg(target_os = \"linux\")" } else { "cfg(target_os = \"macos\")" });
    keys.extend(target.ends_with("musl").then_some("cfg(target_env = \"musl\")"));
    let lists = recipe["target"].as_table().unwrap();
    let list = |key: &str| lists.get(key).map(|entry| entry["rustflags"].as_array().unwrap().clone());
    keys.into_iter().filter_map(list).flatten().map(|flag| flag.as_str().unwrap().to_owned()).collect()
}

/// The version that the tree states.
fn version() -> String {
    let [manifest, _] = release_helper::domain::version::statements(&root()).unwrap();
    manifest.version
}

#[test]
fn rustc_without_cargo_makes_the_same_bytes() {
    let (platforms, reference) = reference();
    let place = tempfile::tempdir().unwrap();
    let alone = place.path().join("alone");
    for platform in platforms {
        let output = Command::new(sysroot().join("bin/rustc"))
            .args(["--crate-name", "tsuku_dltest", "--edition", "2024", "--target", &platform.target])
            .args(["-Copt-level=z", "-Cpanic=abort", "-Clto", "-Ccodegen-units=1"])
            .args(flags(&platform.target))
            .args(["cmd/tsuku-dltest/src/main.rs", "-o"])
            .arg(&alone)
            .current_dir(root())
            .env_clear()
            .env("CARGO_PKG_VERSION", version())
            .env("MACOSX_DEPLOYMENT_TARGET", "11.0")
            .env("SDKROOT", root().join("cmd/tsuku-dltest"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}: {}", platform.name, String::from_utf8_lossy(&output.stderr));
        assert_eq!(digest::sha256(&fs::read(&alone).unwrap()), reference[&platform.name], "{}", platform.name);
    }
}

#[test]
fn the_line_for_sceptics_is_as_good() {
    let (_, reference) = reference();
    let Some(expected) = reference.get("linux-amd64") else { return };
    let document = fs::read_to_string(root().join("docs/verifying.md")).unwrap();
    let begins = |line: &&str| line.starts_with("    CARGO_PKG_VERSION=");
    let block: Vec<_> = document.lines().skip_while(|line| !begins(line)).take_while(|line| !line.is_empty()).collect();
    let tree = crate::recipe::copy();
    let path = std::env::join_paths([sysroot().join("bin"), "/usr/bin".into(), "/bin".into()]).unwrap();
    let output = Command::new("bash")
        .args(["-c", &format!("set -eu; TAG=v{}\n{}\n", version(), block.join("\n"))])
        .current_dir(tree.path())
        .env("PATH", path)
        .output()
        .unwrap();
    assert!(output.status.success(), "{block:?}: {}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(digest::sha256(&fs::read(tree.path().join("rebuilt")).unwrap()), *expected);
}
