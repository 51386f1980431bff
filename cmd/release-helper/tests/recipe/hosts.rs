//! Another machine: the official toolchain for arm64 Linux, run by qemu-user.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use release_helper::domain::contract::Platform;
use release_helper::domain::toolchain::Toolchain;

use crate::recipe::{assert_same, command, digests, quoted, reference, root, script, sysroot};
use crate::skipped::skipped;

const HOST: &str = "aarch64-unknown-linux-gnu";

#[test]
fn the_arm64_toolchain_makes_the_same_bytes() {
    let here = Toolchain::of_tree(&root()).unwrap();
    let toolchain = sysroot().with_file_name(format!("{}-{HOST}", here.version));
    let libraries = root().join("target/dltest-libraries/arm64-glibc");
    if here.host == HOST {
        return skipped("this is an arm64 machine");
    }
    if !toolchain.join("bin/rustc").is_file() {
        return skipped(&format!("no toolchain {}-{HOST}; .ci/run installs it", here.version));
    }
    if !libraries.join("lib").is_dir() || Command::new("qemu-aarch64").arg("--version").output().is_err() {
        return skipped("no qemu-aarch64, or no libc for it; .ci/run installs both");
    }
    let place = tempfile::tempdir().unwrap();
    let emulated = |program: &Path| format!("exec qemu-aarch64 -L {} {}", quoted(&libraries), quoted(program));

    // Its own rustc, core and linker; only the standard libraries of the targets, which are the same files for every
    // host, are this machine's. The kernel cannot start an arm64 linker: a script does.
    let farm = place.path().join("toolchain/lib/rustlib");
    let linkers = farm.join(HOST).join("bin");
    fs::create_dir_all(&linkers).unwrap();
    for entry in sysroot().join("lib/rustlib").read_dir().unwrap().map(Result::unwrap) {
        if entry.path().join("lib").is_dir() && entry.file_name() != HOST {
            symlink(entry.path(), farm.join(entry.file_name())).unwrap();
        }
    }
    symlink(toolchain.join("lib/rustlib").join(HOST).join("lib"), farm.join(HOST).join("lib")).unwrap();
    let linker = toolchain.join("lib/rustlib").join(HOST).join("bin/rust-lld");
    script(&linkers.join("rust-lld"), &format!("{} \"$@\"", emulated(&linker)));
    let compiler = place.path().join("rustc");
    let sysroot = quoted(&place.path().join("toolchain"));
    script(&compiler, &format!("{} \"$@\" --sysroot {sysroot}", emulated(&toolchain.join("bin/rustc"))));
    let told = Command::new(&compiler).arg("-vV").output().unwrap();
    assert!(String::from_utf8_lossy(&told.stdout).contains(&format!("host: {HOST}\n")), "{told:?}");

    let (platforms, _) = reference();
    // One for each system: it takes half a minute of a processor each.
    let is_one = |platform: &&Platform| ["linux-amd64", "darwin-arm64"].contains(&platform.name.as_str());
    let platforms: Vec<_> = platforms.iter().filter(is_one).cloned().collect();
    let out = place.path().join("target");
    let made = digests(command(&root(), &platforms, &out).env("RUSTC", &compiler), &platforms, &out);
    assert_same(made, "on an arm64 machine");
}
