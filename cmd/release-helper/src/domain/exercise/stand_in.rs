//! The stand-in for macOS (`cmd/darwin-stand-in`), if the source tree has it built: the tests of tsuku-dltest do that.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use crate::domain::contract::Platform;

/// The one library of macOS that the stand-in has: it is that library.
pub(super) const LIBRARY: &str = "/usr/lib/libSystem.B.dylib";

/// What comes before a program of `platform` to run it there, or what is missing.
pub(super) fn runner(platform: &Platform, tree: Option<&Path>) -> Result<Vec<OsString>, String> {
    // A static program of the same machine.
    let target = platform.target.replace("apple-darwin", "unknown-linux-musl");
    let built = tree.map(|tree| tree.join("target").join(target).join("debug/darwin-stand-in"));
    let stand_in = built.filter(|path| path.is_file());
    let stand_in = stand_in.ok_or("darwin machine, nor a stand-in (cargo test --test dltest-protocol builds it)")?;
    let machine = platform.machine();
    if machine == std::env::consts::ARCH {
        return Ok(vec![stand_in.into()]);
    }
    let emulator = format!("qemu-{machine}");
    let emulator = find(&emulator).ok_or_else(|| format!("{emulator} (install qemu-user)"))?;
    // It starts children through the same emulator.
    Ok(vec![emulator.clone().into(), stand_in.into(), "--through".into(), emulator.into()])
}

/// Where the program of this name is that a shell would run.
pub(super) fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::contract::Contract;

    #[test]
    fn without_a_stand_in_the_way_to_one_is_told() {
        let contract = Contract::embedded().unwrap();
        let empty = tempfile::tempdir().unwrap();
        for tree in [None, Some(empty.path())] {
            let missing = runner(contract.platform("darwin-arm64").unwrap(), tree).unwrap_err();
            assert!(missing.ends_with("(cargo test --test dltest-protocol builds it)"), "{missing}");
        }
    }
}
