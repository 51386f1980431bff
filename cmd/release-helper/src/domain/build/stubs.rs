//! The link stubs: shared objects that hold nothing but the names the program imports, with the oldest symbol version
//! that has them. They are files of the repository, so that a rebuild runs nothing of it; beside each stands the text
//! that the toolchain's linker makes it from, no compiler needed.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::domain::toolchain::Toolchain;
use crate::plumbing::files;
use crate::plumbing::interrupt::Scratch;
use crate::plumbing::process::Call;

/// Where the stubs are, seen from the root of the source tree: a directory for each ELF target.
pub const DIRECTORY: &str = "cmd/tsuku-dltest/stubs";
/// What the name of the text adds to the name of the stub, which is its soname.
const TEXT: &str = "ld";

/// One link stub.
pub struct Stub {
    /// Where it belongs.
    pub path: PathBuf,
    /// What the linker makes of its text.
    pub made: Vec<u8>,
}

impl Stub {
    /// Whether the file at [`Stub::path`] is what the text says.
    pub fn is_current(&self) -> bool {
        std::fs::read(&self.path).is_ok_and(|bytes| bytes == self.made)
    }
}

/// Makes all stubs of the source tree at `root` anew, in memory, in the order of their paths.
pub fn make(toolchain: &Toolchain, root: &Path) -> Result<Vec<Stub>> {
    let scratch = Scratch::new()?;
    let output = scratch.path().join("stub");
    let directory = root.join(DIRECTORY);
    let mut stubs = Vec::new();
    for text in texts(&directory)? {
        let path = text.with_extension("");
        let soname = path.file_name().context("a stub has a name")?;
        let mut command = Command::new(toolchain.linker());
        command.args(["-flavor", "gnu", "-shared", "--strip-all", "--hash-style=gnu", "-soname"]).arg(soname);
        command.arg("-o").arg(&output).arg(&text);
        Call::new(command).read()?;
        stubs.push(Stub { made: files::read(&output)?, path });
    }
    ensure!(!stubs.is_empty(), "{} holds no text of a stub", directory.display());
    Ok(stubs)
}

/// The texts in the directories below `directory`, sorted.
fn texts(directory: &Path) -> Result<Vec<PathBuf>> {
    let list = |directory: &Path| -> Result<Vec<PathBuf>> {
        let entries = directory.read_dir().and_then(|entries| entries.collect::<std::io::Result<Vec<_>>>());
        let entries = entries.with_context(|| format!("cannot list {}", directory.display()))?;
        Ok(entries.into_iter().map(|entry| entry.path()).collect())
    };
    let mut texts = Vec::new();
    for target in list(directory)?.into_iter().filter(|path| path.is_dir()) {
        texts.extend(list(&target)?.into_iter().filter(|path| path.extension().is_some_and(|name| name == TEXT)));
    }
    texts.sort();
    Ok(texts)
}
