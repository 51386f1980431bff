//! Mach-O files made here: linked by the `rust-lld` of the toolchain for macOS, without any SDK.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::skipped::skipped;

const SOURCE: &str = "#![no_std]\n#![no_main]\n\
    #[unsafe(no_mangle)]\npub extern \"C\" fn main() -> i32 { unsafe { getpid() } }\n\
    unsafe extern \"C\" { fn getpid() -> i32; }\n\
    #[panic_handler]\nfn panic(_: &core::panic::PanicInfo) -> ! { loop {} }\n";

const SYSTEM: &str = "--- !tapi-tbd\ntbd-version: 4\ntargets: [ x86_64-macos, arm64-macos ]\n\
    install-name: '/usr/lib/libSystem.B.dylib'\nexports:\n  - targets: [ x86_64-macos, arm64-macos ]\n\
    \x20   symbols: [ _getpid, dyld_stub_binder ]\n...\n";

/// What `rust-lld` makes of a small program for `machine` (`arm64` or `x86_64`) with further `arguments`;
/// None, after saying so, where the Rust target is not installed.
pub(crate) fn link(machine: &str, arguments: &[&str]) -> Option<Vec<u8>> {
    let target = format!("{}-apple-darwin", machine.replace("arm64", "aarch64"));
    let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]));
    let library = Path::new(sysroot.trim()).join("lib/rustlib");
    if !library.join(&target).exists() {
        skipped(&format!("the target is missing, see `rustup target add {target}`"));
        return None;
    }
    let host = output(Command::new("rustc").arg("-vV"));
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).expect("rustc names its host");

    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("program.rs"), SOURCE).unwrap();
    fs::write(at("libSystem.tbd"), SYSTEM).unwrap();
    let rustc = ["--edition=2024", "--crate-type=bin", "--emit=obj", "-Cpanic=abort", "-O", "program.rs"];
    output(Command::new("rustc").current_dir(&directory).args(["--target", &target]).args(rustc));
    output(
        Command::new(library.join(host).join("bin/rust-lld"))
            .current_dir(&directory)
            .args(["-flavor", "darwin", "-arch", machine, "-platform_version", "macos", "11.0", "11.0"])
            .args(["-o", "program", "program.o", "libSystem.tbd"])
            .args(arguments),
    );
    Some(fs::read(at("program")).unwrap())
}

/// What a command prints; it must succeed.
fn output(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}
