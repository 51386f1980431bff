//! Mach-O files made here: linked by the `rust-lld` of the toolchain for macOS, without any SDK.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::skipped::skipped;

const SOURCE: &str = "#![no_std]\n#![no_main]\n\
    #[unsafe(no_mangle)]\npub extern \"C\" fn main() -> i32 { unsafe { getpid() } }\n\
    unsafe extern \"C\" { fn getpid() -> i32; }\n\
    #[panic_handler]\nfn panic(_: &core::panic::PanicInfo) -> ! { loop {} }\n";

const SYSTEM: &str = "--- !tapi-tbd\ntbd-version: 4\ntargets: [ @TARGETS@ ]\n\
    install-name: '/usr/lib/libSystem.B.dylib'\nexports:\n  - targets: [ @TARGETS@ ]\n\
    \x20   symbols: [ _getpid, dyld_stub_binder ]\n...\n";

/// LC_BUILD_VERSION for macOS, as it begins.
const BUILD_VERSION: [u32; 3] = [0x32, 24, 1];

/// What arguments may name: a property list.
const FILES: [(&str, &str); 1] = [(
    "Info.plist",
    "<plist version=\"1.0\"><dict><key>CFBundleIdentifier</key><string>org.example.tool</string></dict></plist>",
)];

/// What `rust-lld` makes of a small program for `machine` (`arm64` or `x86_64`) with further `arguments`;
/// None, after saying so, where the Rust target is not installed.
pub(crate) fn link(machine: &str, arguments: &[&str]) -> Option<Vec<u8>> {
    link_for(machine, 1, &["macos"], arguments)
}

/// [`link`], for platforms with these names. The first one has this number (`mach-o/loader.h`, `PLATFORM_…`).
pub(crate) fn link_for(machine: &str, number: u32, platforms: &[&str], arguments: &[&str]) -> Option<Vec<u8>> {
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
    let targets = platforms.iter().map(|platform| format!("{machine}-{}", platform.replace('-', "")));
    fs::write(at("libSystem.tbd"), SYSTEM.replace("@TARGETS@", &targets.collect::<Vec<_>>().join(", "))).unwrap();
    for (name, content) in FILES {
        fs::write(at(name), content).unwrap();
    }
    let rustc = ["--edition=2024", "--crate-type=bin", "--emit=obj", "-Cpanic=abort", "-O", "program.rs"];
    output(Command::new("rustc").current_dir(&directory).args(["--target", &target]).args(rustc));
    if number != 1 {
        // The toolchain has the standard library of macOS alone; what else an object is for is a word of it.
        let mut object = fs::read(at("program.o")).unwrap();
        let version = object.windows(12).position(|bytes| bytes == BUILD_VERSION.map(u32::to_le_bytes).as_flattened());
        let version = version.expect("rustc writes LC_BUILD_VERSION");
        object[version + 8..version + 12].copy_from_slice(&number.to_le_bytes());
        fs::write(at("program.o"), object).unwrap();
    }
    let versions = platforms.iter().flat_map(|platform| {
        let oldest = if *platform == "macos" { "11.0" } else { "14.0" };
        ["-platform_version", platform, oldest, oldest]
    });
    output(
        Command::new(library.join(host).join("bin/rust-lld"))
            .current_dir(&directory)
            .args(["-flavor", "darwin", "-arch", machine])
            .args(versions)
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
