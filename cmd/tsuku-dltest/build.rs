//! Makes the link stubs: shared objects (a text file for macOS) that hold nothing but the names this program imports,
//! and the rest of the linker's arguments. A name missing here is a link error, so the stubs enforce the oldest libc.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// Imported from libdl before glibc 2.34, which still resolves them there.
const DL: [&str; 3] = ["dlopen", "dlclose", "dlerror"];
const C: [&str; 2] = ["__libc_start_main", "fork"];
const SYSTEM: &str = include_str!("libSystem.tbd");

fn main() {
    println!("cargo::rustc-check-cfg=cfg(link_recipe)");
    for file in ["build.rs", "libSystem.tbd"] {
        println!("cargo::rerun-if-changed={file}");
    }
    let out = PathBuf::from(variable("OUT_DIR"));
    let libc = match (variable("CARGO_CFG_TARGET_OS").as_str(), variable("CARGO_CFG_TARGET_ENV").as_str()) {
        _ if env::var_os("CARGO_CFG_LINK_RECIPE").is_none() => return without_recipe(),
        ("macos", _) => return mach_o(&out),
        ("linux", env) => env.to_owned(),
        (os, _) => panic!("tsuku-dltest is not made for {os}"),
    };
    let machine = variable("CARGO_CFG_TARGET_ARCH");
    // The oldest version of each machine's glibc that has these symbols (its first).
    let (emulation, version, interpreter) = match (machine.as_str(), libc.as_str()) {
        ("x86_64", "gnu") => ("elf_x86_64", Some("GLIBC_2.2.5"), Some("/lib64/ld-linux-x86-64.so.2")),
        ("aarch64", "gnu") => ("aarch64linux", Some("GLIBC_2.17"), Some("/lib/ld-linux-aarch64.so.1")),
        ("x86_64", "musl") => ("elf_x86_64", None, None),
        ("aarch64", "musl") => ("aarch64linux", None, None),
        (machine, libc) => panic!("tsuku-dltest is not made for {machine} with {libc}"),
    };
    let stubs = match version {
        Some(_) => vec![("libc.so.6", [&C[..], &["dl_iterate_phdr"]].concat()), ("libdl.so.2", DL.to_vec())],
        None => vec![("libc.so", [&C[..], &DL].concat())],
    };
    // The functions of core come with unwind tables, which nothing here reads.
    let discard = out.join("discard.ld");
    write(&discard, "SECTIONS { /DISCARD/ : { *(.eh_frame) } } INSERT AFTER .text;\n");
    argument(format!("-T{}", discard.display()));
    for (soname, symbols) in stubs {
        argument(stub(&out, soname, &symbols, emulation, version).display());
    }
    match interpreter {
        Some(path) => argument(format!("--dynamic-linker={path}")),
        // The kernel starts it as it stands; src/sys/musl.rs fetches the loader.
        None => argument("--no-dynamic-linker"),
    }
    // No hash of the build, no symbols, no second symbol hash.
    for given in "-pie -znow -zrelro -znoexecstack --build-id=none --hash-style=gnu \
                  --gc-sections --strip-all --icf=all -O2 --no-eh-frame-hdr --no-rosegment"
        .split_whitespace()
    {
        argument(given);
    }
}

/// A development build by the system's own linker (`cargo build --workspace`): never a release.
fn without_recipe() {
    let given = if variable("CARGO_CFG_TARGET_OS") == "macos" { "-lSystem" } else { "-nostartfiles -lc -ldl" };
    given.split_whitespace().for_each(argument);
}

fn mach_o(out: &Path) {
    let stub = out.join("libSystem.tbd");
    write(&stub, SYSTEM);
    argument(stub.display());
    // rustc names the version of whatever SDK it finds on the builder's machine; the last one named counts.
    // Never -no_uuid: macOS 26 refuses such files.
    for given in "-platform_version macos 11.0 11.0 -dead_strip -S -x -adhoc_codesign".split_whitespace() {
        argument(given);
    }
}

/// A shared object that defines `symbols` and nothing else. The linker makes it from a linker script: no compiler.
fn stub(out: &Path, soname: &str, symbols: &[&str], emulation: &str, version: Option<&str>) -> PathBuf {
    let (script, versions, stub) = (out.join("stub.ld"), out.join("stub.map"), out.join(soname));
    write(&script, &symbols.iter().map(|name| format!("{name} = 0;\n")).collect::<String>());
    write(&versions, &format!("{} {{ global: {}; local: *; }};\n", version.unwrap_or(""), symbols.join("; ")));
    let linker = linker();
    let status = Command::new(&linker)
        .args(["-flavor", "gnu", "-m", emulation, "-shared", "-soname", soname, "-o"])
        .args([&stub, &script])
        .arg("--version-script")
        .arg(&versions)
        .status()
        .unwrap_or_else(|e| panic!("{}: {e}", linker.display()));
    assert!(status.success(), "{} could not make {}", linker.display(), stub.display());
    stub
}

/// The linker inside the toolchain that compiles this.
fn linker() -> PathBuf {
    let rustc = variable("RUSTC");
    let output = Command::new(&rustc).args(["--print", "sysroot"]).output().unwrap_or_else(|e| panic!("{rustc}: {e}"));
    let sysroot = String::from_utf8(output.stdout).expect("the sysroot is UTF-8");
    let name = format!("rust-lld{}", env::consts::EXE_SUFFIX);
    [sysroot.trim(), "lib", "rustlib", &variable("HOST"), "bin", &name].iter().collect()
}

fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
}

fn argument(value: impl std::fmt::Display) {
    println!("cargo::rustc-link-arg-bins={value}");
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|_| panic!("cargo sets {name}"))
}
