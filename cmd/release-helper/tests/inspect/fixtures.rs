//! Small artifacts that fulfil the contract, linked on the spot by the linker inside the toolchain, with one thing wrong
//! where a test asks for it.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::{Mutex, OnceLock};

use release_helper::domain::codesign;
use release_helper::domain::contract::{Contract, Platform};

use crate::skipped::skipped;

/// The version that the artifacts report.
pub(crate) const VERSION: &str = "1.2.3";

const PROGRAM: &str = r#"
#![no_std]
#![no_main]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! { loop {} }
unsafe extern "C" { fn dlopen(path: *const u8, mode: i32) -> *const u8; fn fork() -> i32; }
static mut STATE: [unsafe extern "C" fn() -> i32; 1] = [fork];
static TEXT: &[u8] = b"tsuku-dltest v@VERSION@\n\0@EXTRA@\0";
#[unsafe(no_mangle)]
pub unsafe extern "C" fn @ENTRY@() -> ! {
    unsafe {
        let mut at = core::ptr::read_volatile(&raw const TEXT).as_ptr();
        loop { at = dlopen(at, core::ptr::read_volatile(&raw const STATE)[0]()); }
    }
}
"#;

/// How a fixture differs from a proper artifact.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Variant {
    /// Text in the program.
    pub(crate) extra: &'static str,
    /// Another version than [`VERSION`].
    pub(crate) version: Option<&'static str>,
    /// Further arguments of the linker.
    pub(crate) link: Vec<String>,
    /// Arguments of the linker that are left out.
    pub(crate) without: Vec<&'static str>,
    /// The symbol version of the stubs, in place of the contract's ceiling.
    pub(crate) symbol_version: Option<&'static str>,
    /// The soname of the first stub, in place of the contract's.
    pub(crate) soname: Option<&'static str>,
}

/// The embedded contract.
pub(crate) fn contract() -> Contract {
    Contract::embedded().unwrap()
}

/// Whether `rustc` has the standard library of `platform`'s target; says so if not.
pub(crate) fn has_target(platform: &Platform) -> bool {
    let output =
        Command::new("rustc").args(["--print", "target-libdir", "--target", &platform.target]).output().unwrap();
    let present = Path::new(String::from_utf8(output.stdout).unwrap().trim()).is_dir();
    if !present {
        skipped(&format!("rust-std for {0} is not installed; run `rustup target add {0}`", platform.target));
    }
    present
}

/// A proper artifact of `platform`.
pub(crate) fn artifact(platform: &Platform) -> Vec<u8> {
    linked(platform, &Variant::default())
}

/// Links an artifact of `platform`, once per process.
pub(crate) fn linked(platform: &Platform, variant: &Variant) -> Vec<u8> {
    type Linked = Mutex<BTreeMap<(String, Variant), Vec<u8>>>;
    static LINKED: OnceLock<Linked> = OnceLock::new();
    let mut linked = LINKED.get_or_init(Linked::default).lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    linked.entry((platform.name.clone(), variant.clone())).or_insert_with(|| link(platform, variant)).clone()
}

fn link(platform: &Platform, variant: &Variant) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let program = PROGRAM
        .replace("@VERSION@", variant.version.unwrap_or(VERSION))
        .replace("@EXTRA@", variant.extra)
        .replace("@ENTRY@", if platform.is_darwin() { "main" } else { "_start" });
    std::fs::write(at("program.rs"), program).unwrap();
    let mut arguments: Vec<String> =
        if platform.is_darwin() { mach_o(&directory, platform, variant) } else { elf(&directory, platform, variant) };
    arguments.retain(|argument| !variant.without.contains(&argument.as_str()));
    arguments.extend(variant.link.iter().cloned());

    let mut rustc = Command::new("rustc");
    rustc.args(["--edition=2024", "-Cpanic=abort", "-Copt-level=z", "-Clinker=rust-lld", "--target", &platform.target]);
    rustc.args(["-Cforce-unwind-tables=no", "-Crelocation-model=pic"]);
    rustc.arg(if platform.is_darwin() { "-Clinker-flavor=ld64.lld" } else { "-Clinker-flavor=ld.lld" });
    if platform.name.ends_with("-musl") {
        rustc.args(["-Clink-self-contained=no", "-Ctarget-feature=-crt-static"]);
    }
    rustc.env("MACOSX_DEPLOYMENT_TARGET", platform.minimum_macos.as_deref().unwrap_or("11.0"));
    for argument in arguments {
        rustc.arg(format!("-Clink-arg={argument}"));
    }
    // ld64 makes the leaf of the output's name the signing identifier.
    rustc.arg("-o").arg(at(&contract().signing_identifier)).arg(at("program.rs"));
    let output = rustc.output().unwrap();
    assert!(output.status.success(), "{rustc:?}\n{}", String::from_utf8_lossy(&output.stderr));
    let bytes = std::fs::read(at(&contract().signing_identifier)).unwrap();
    if platform.is_darwin() { signed(&bytes) } else { bytes }
}

/// `bytes` with an ad-hoc signature under the contract's identifier in place of any they had, in the form of linkers:
/// that of `codesign` keeps 18 kB of room for a certificate.
pub(crate) fn signed(bytes: &[u8]) -> Vec<u8> {
    signed_as(bytes, &contract().signing_identifier)
}

/// [`signed`], under another identifier.
pub(crate) fn signed_as(bytes: &[u8], identifier: &str) -> Vec<u8> {
    let style = codesign::Style::Linker(Some(codesign::Linker::Lld));
    codesign::sign(bytes, &codesign::Signing { identifier: Some(identifier.into()), style }).unwrap()
}

fn elf(directory: &tempfile::TempDir, platform: &Platform, variant: &Variant) -> Vec<String> {
    let stub = |soname: &str, symbols: &[&str]| {
        let script: String = symbols.iter().map(|symbol| format!("{symbol} = 0;\n")).collect();
        let node = match (&platform.glibc_ceiling, variant.symbol_version) {
            (_, Some(version)) => version.into(),
            (Some(ceiling), None) => format!("GLIBC_{ceiling}"),
            (None, None) => String::new(),
        };
        let paths = ["script", "versions", soname].map(|name| directory.path().join(format!("{name}.{}", symbols[0])));
        std::fs::write(&paths[0], script).unwrap();
        std::fs::write(&paths[1], format!("{node} {{ global: {}; local: *; }};\n", symbols.join("; "))).unwrap();
        let emulation = if platform.target.starts_with("x86_64") { "elf_x86_64" } else { "aarch64linux" };
        let status = Command::new(linker())
            .args(["-flavor", "gnu", "-m", emulation, "-shared", "-soname", soname, "-o"])
            .args([&paths[2], &paths[0]])
            .arg("--version-script")
            .arg(&paths[1])
            .status()
            .unwrap();
        assert!(status.success());
        paths[2].to_str().unwrap().to_owned()
    };
    let soname = variant.soname.unwrap_or(&platform.needed[0]);
    let mut arguments = match platform.needed.get(1) {
        Some(second) => vec![stub(soname, &["fork"]), stub(second, &["dlopen"])],
        None => vec![stub(soname, &["fork", "dlopen"])],
    };
    arguments.push(match &platform.interpreter {
        Some(path) => format!("--dynamic-linker={path}"),
        None => "--no-dynamic-linker".into(),
    });
    let given = "-pie -znow -zrelro -znoexecstack --build-id=none --hash-style=gnu --gc-sections --strip-all";
    arguments.extend(given.split(' ').map(String::from));
    arguments
}

fn mach_o(directory: &tempfile::TempDir, platform: &Platform, variant: &Variant) -> Vec<String> {
    let stub = directory.path().join("libSystem.tbd");
    let machine = if platform.target.starts_with("x86_64") { "x86_64" } else { "arm64" };
    let text = format!(
        "--- !tapi-tbd\ntbd-version: 4\ntargets: [ {machine}-macos ]\ninstall-name: '{}'\nexports:\n  \
         - targets: [ {machine}-macos ]\n    symbols: [ _dlopen, _fork, dyld_stub_binder ]\n...\n",
        variant.soname.unwrap_or(&platform.needed[0])
    );
    std::fs::write(&stub, text).unwrap();
    let given = ["-dead_strip", "-S", "-x", "-adhoc_codesign"];
    [stub.to_str().unwrap()].into_iter().chain(given).map(String::from).collect()
}

/// The linker inside the toolchain.
pub(crate) fn linker() -> std::path::PathBuf {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output().unwrap();
    let host = Command::new("rustc").args(["--print", "host-tuple"]).output().unwrap();
    let text = |output: std::process::Output| String::from_utf8(output.stdout).unwrap().trim().to_owned();
    Path::new(&text(output)).join("lib/rustlib").join(text(host)).join("bin/rust-lld")
}

/// A fat Mach-O file of thin ones.
pub(crate) fn fat(slices: &[&[u8]]) -> Vec<u8> {
    let mut header = [0xcafe_babe, slices.len() as u32].map(u32::to_be_bytes).concat();
    let mut content = Vec::new();
    for bytes in slices {
        content.resize(content.len().next_multiple_of(0x4000), 0);
        let offset = 0x4000 + content.len() as u32;
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        header.extend([word(4), word(8), offset, bytes.len() as u32, 14].map(u32::to_be_bytes).concat());
        content.extend_from_slice(bytes);
    }
    header.resize(0x4000, 0);
    [header, content].concat()
}
