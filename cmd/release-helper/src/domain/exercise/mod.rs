//! Runs a finished artifact: its version, libraries that must load, and one that must not.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::domain::contract::{Libc, Platform};
use crate::plumbing::process::{Call, Outcome};

mod container;
mod quarantine;
mod stand_in;
mod trial;

pub use container::{image_name, in_container};
pub use quarantine::quarantined;
pub use trial::Trial;
use trial::{loads, tells_its_version};

/// Sonames that are on nearly every machine. Those that are found must load.
const LIBRARIES: [&str; 10] = [
    "libz.so.1",
    "libssl.so.3",
    "libcrypto.so.3",
    "libstdc++.so.6",
    "libgcc_s.so.1",
    "libm.so.6",
    "liblzma.so.5",
    "libbz2.so.1.0",
    "libzstd.so.1",
    "libexpat.so.1",
];

/// Where the tests of tsuku-dltest keep theirs, in the source tree (`cmd/tsuku-dltest/tests/fetch-libraries`).
const TEST_ROOTS: [&str; 2] = ["target/dltest-libraries/arm64-glibc", "target/dltest-libraries/arm64-musl"];

/// Runs the artifact of `platform` at `path`, which must be of the given version. An error says what it did wrong.
/// Emulators find foreign libcs in the system and in those that the tests of the source `tree` fetched.
pub fn exercise(platform: &Platform, version: &str, path: &Path, tree: Option<&Path>) -> Result<Trial> {
    let start = match Start::find(platform, tree) {
        Ok(start) => start,
        Err(missing) => return Ok(Trial::NotRunHere { missing }),
    };
    let run = |arguments: &[&str]| start.run(path, arguments);
    tells_its_version(path, version, run)?;
    let libraries = match start.libraries(platform) {
        Ok(libraries) => libraries,
        Err(missing) => return Ok(Trial::VersionOnly { missing }),
    };
    loads(path, &libraries, run)?;
    if !start.stand_in.is_empty() {
        return Ok(Trial::StandIn);
    }
    Ok(Trial::Ran { under: start.emulator, libraries: libraries.len() })
}

/// How to start programs of a platform here.
struct Start {
    emulator: Option<String>,
    /// The root folder that holds the platform's loader, if there is one.
    root: Option<PathBuf>,
    /// What comes before a program that runs in the stand-in for macOS.
    stand_in: Vec<OsString>,
}

impl Start {
    fn find(platform: &Platform, tree: Option<&Path>) -> Result<Self, String> {
        let machine = platform.machine();
        if platform.is_darwin() && cfg!(target_os = "linux") {
            return Ok(Self { emulator: None, root: None, stand_in: stand_in::runner(platform, tree)? });
        }
        if platform.os() != std::env::consts::OS {
            return Err(format!("{} machine", platform.os().replace("macos", "darwin")));
        }
        let loader = platform.interpreter.as_deref().or(platform.loader.as_deref()).unwrap_or_default();
        // A libc may be the system's own, or one of Debian's cross packages.
        let roots = ["/".into(), format!("/usr/{machine}-linux-gnu").into()];
        let test_roots = tree.into_iter().flat_map(|tree| TEST_ROOTS.map(|root| tree.join(root)));
        // The tests' own have more libraries than a cross libc.
        let root = test_roots.chain(roots).find(|root| root.join(loader.trim_start_matches('/')).exists());
        let emulator = (machine != std::env::consts::ARCH).then(|| format!("qemu-{machine}"));
        if let Some(emulator) = emulator.as_deref().filter(|emulator| stand_in::find(emulator).is_none()) {
            return Err(format!("{emulator} (install qemu-user)"));
        }
        if root.is_none() && platform.interpreter.is_some() {
            return Err(no_loader(platform, loader));
        }
        Ok(Self { emulator, root, stand_in: Vec::new() })
    }

    /// Real libraries of the platform, or what is missing to load any.
    fn libraries(&self, platform: &Platform) -> Result<Vec<String>, String> {
        if !self.stand_in.is_empty() {
            return Ok(vec![stand_in::LIBRARY.to_owned()]);
        }
        if platform.is_darwin() {
            // They live in dyld's shared cache; there are no files to look for.
            return Ok(vec!["/usr/lib/libz.1.dylib".to_owned(), "/usr/lib/libc++.1.dylib".to_owned()]);
        }
        let loader = platform.interpreter.as_deref().or(platform.loader.as_deref()).unwrap_or_default();
        let root = self.root.as_deref().ok_or_else(|| no_loader(platform, loader))?;
        let machine = platform.machine();
        let mut directories = vec![format!("lib/{machine}-linux-gnu"), format!("usr/lib/{machine}-linux-gnu")];
        if platform.libc == Libc::Musl {
            // Libraries made for glibc are no fair test of a musl system.
            directories = vec![format!("lib/{machine}-linux-musl"), format!("usr/lib/{machine}-linux-musl")];
        }
        if root != Path::new("/") || !root.join(&directories[0]).is_dir() {
            directories.extend(["lib64", "usr/lib64", "lib", "usr/lib"].map(str::to_owned));
        }
        let mut found: Vec<String> = LIBRARIES
            .iter()
            .filter_map(|name| {
                directories.iter().map(|directory| root.join(directory).join(name)).find(|path| path.exists())
            })
            .map(|path| path.to_string_lossy().into_owned())
            .collect();
        if platform.libc == Libc::Musl {
            // musl's loader is its libc too, and a shared library like any other.
            found.push(root.join(loader.trim_start_matches('/')).to_string_lossy().into_owned());
        }
        if found.is_empty() { Err("library of this platform".to_owned()) } else { Ok(found) }
    }

    /// Runs `program`, foreign code just downloaded, without anything of our environment: no token reaches it.
    fn run(&self, program: &Path, arguments: &[&str]) -> Result<Outcome> {
        let mut command = match (&self.emulator, self.stand_in.split_first()) {
            (_, Some((first, rest))) => {
                let mut command = Command::new(first);
                command.args(rest).arg(program);
                command
            }
            (Some(emulator), None) => {
                let mut command = Command::new(emulator);
                if let Some(root) = &self.root {
                    command.arg("-L").arg(root);
                }
                command.arg(program);
                command
            }
            (None, None) => Command::new(program),
        };
        command.args(arguments);
        Call::alone(command).outcome()
    }
}

/// The loader that is missing here, and what brings it.
fn no_loader(platform: &Platform, loader: &str) -> String {
    let (machine, here) = (platform.machine(), std::env::consts::ARCH);
    match (machine, platform.libc) {
        (_, Libc::Musl) if machine == here => format!("{loader} (install musl)"),
        ("aarch64", _) if machine != here => format!("{loader} (run cmd/tsuku-dltest/tests/fetch-libraries)"),
        ("x86_64", Libc::Glibc) if machine != here => format!("{loader} (install libc6-amd64-cross)"),
        _ => loader.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::contract::Contract;

    #[test]
    fn a_missing_loader_is_named_with_what_brings_it() {
        let contract = Contract::embedded().unwrap();
        let says = |name: &str| no_loader(contract.platform(name).unwrap(), "LOADER");
        let arm64 = "LOADER (run cmd/tsuku-dltest/tests/fetch-libraries)";
        match std::env::consts::ARCH {
            "x86_64" => {
                assert_eq!(says("linux-amd64-musl"), "LOADER (install musl)");
                assert_eq!([says("linux-arm64"), says("linux-arm64-musl")], [arm64, arm64]);
                // A machine whose own glibc is missing is one of another kind.
                assert_eq!(says("linux-amd64"), "LOADER");
            }
            _ => {
                assert_eq!(says("linux-arm64-musl"), "LOADER (install musl)");
                assert_eq!(says("linux-amd64"), "LOADER (install libc6-amd64-cross)");
            }
        }
    }

    #[test]
    fn a_downloaded_program_gets_nothing_of_our_environment() {
        let contract = Contract::embedded().unwrap();
        let platform = contract.host().unwrap();
        let start = Start::find(platform, None).unwrap_or_else(|missing| panic!("no {missing}"));
        let directory = tempfile::tempdir().unwrap();
        let program = directory.path().join("program");
        // Not written by this process: a file that some child still holds open for writing cannot be run (ETXTBSY).
        let write = "printf '#!/bin/sh\\nenv\\n' > \"$0\" && chmod +x \"$0\"";
        assert!(Command::new("sh").args(["-c", write]).arg(&program).status().unwrap().success());
        // Cargo has set some for this very test.
        assert!(std::env::var_os("CARGO_MANIFEST_DIR").is_some());
        let told = String::from_utf8(start.run(&program, &[]).unwrap().stdout).unwrap();
        let names: Vec<&str> = told.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        // Where programs are, and what the shell adds.
        assert!(names.iter().all(|name| ["PATH", "PWD", "OLDPWD", "SHLVL", "_"].contains(name)), "{told}");
    }
}
