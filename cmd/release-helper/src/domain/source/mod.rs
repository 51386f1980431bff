//! Source trees: where the checkout is, whether it is clean, and clean copies of it.

mod git;
mod objects;
mod part;
pub mod recipe;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::domain::contract;
use crate::plumbing::error::{Hint, hinted};
use crate::plumbing::files;

use git::git;
pub use git::{commit, fetch, has_ancestor, is_hash};
use part::ARTIFACT_SOURCES;
pub use part::Part;

/// The top of the source tree: `given`, or the closest directory above the current one that has a contract.
pub fn root(given: Option<&Path>) -> Result<PathBuf> {
    let start = match given {
        Some(path) => path.to_owned(),
        None => std::env::current_dir().context("cannot tell the current directory")?,
    };
    let start = start.canonicalize().with_context(|| format!("cannot find {}", start.display()))?;
    let holds_contract = |directory: &&Path| directory.join(contract::FILE).is_file();
    let root = match given {
        Some(_) => Some(start.as_path()).filter(holds_contract),
        None => start.ancestors().find(holds_contract),
    };
    Ok(root
        .with_context(|| {
            format!("no {} in {}{}", contract::FILE, start.display(), if given.is_none() { " or above it" } else { "" })
        })
        .hint("run this in a checkout of the repository, or name one with --root")?
        .to_owned())
}

/// The commit whose files, but for those at `injected`, are the ones of the checkout at `root`; none if there is no such.
pub fn commit_but_for(root: &Path, injected: &[PathBuf]) -> Result<Option<String>> {
    let changes = git(root).args(["status", "--porcelain", "-z", "--no-renames"]).read()?;
    // An entry is two letters, a space and the name.
    let names = changes.split(|&byte| byte == 0).filter_map(|entry| std::str::from_utf8(entry).ok()?.get(3..));
    let is_injected = |name: &str| injected.contains(&root.join(name));
    if names.into_iter().all(is_injected) { commit(root, "HEAD").map(Some) } else { Ok(None) }
}

/// Fails unless `root` is a git checkout without uncommitted changes.
pub fn ensure_clean(root: &Path) -> Result<()> {
    let changes = git(root)
        .args(["status", "--porcelain"])
        .hint("a release is made of a commit: run this in a git checkout of the repository")
        .read()?;
    let changes = String::from_utf8_lossy(&changes).into_owned();
    let count = changes.lines().count();
    if let Some(first) = changes.lines().next() {
        return Err(hinted(
            format_args!("{} has {count} uncommitted change(s), the first is: {}", root.display(), first.trim()),
            "a release is made of a commit: commit or stash them, or pass --allow-dirty to use the files as they are",
        ));
    }
    Ok(())
}

/// Writes `part` of the tree of `commit` into the new directory `destination`: exactly the bytes that the commit's name
/// stands for. The checkout and its index stay as they are.
pub fn export(root: &Path, commit: &str, part: Part, destination: &Path) -> Result<()> {
    objects::write(&objects::read(root, commit, part)?, destination)
}

/// Copies the files of the checkout at `root` that git tracks, as they are on the disk, into `destination`.
pub fn copy_tracked(root: &Path, destination: &Path) -> Result<()> {
    let list = git(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).read()?;
    for name in list.split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
        let name = std::str::from_utf8(name).context("a tracked file's name is not UTF-8")?;
        // A file that was deleted but is still in the index is simply not there.
        let Ok(metadata) = root.join(name).symlink_metadata() else { continue };
        if metadata.is_file() || Part::is_program(name) {
            copy(&root.join(name), &destination.join(name))?;
        }
    }
    Ok(())
}

/// Copies what the artifacts are built from out of the tree at `root` into `destination`, with a `Cargo.lock` that
/// names just the program: a build of it needs no registry, and no other package can change its bytes.
pub fn stage(root: &Path, destination: &Path) -> Result<()> {
    for name in ARTIFACT_SOURCES {
        copy(&root.join(name), &destination.join(name))?;
    }
    let [manifest, _] = crate::domain::version::statements(root)?;
    let lock = format!("version = 4\n\n[[package]]\nname = \"tsuku-dltest\"\nversion = \"{}\"\n", manifest.version);
    files::write(&destination.join("Cargo.lock"), lock.as_bytes())
}

/// Copies a file, or a directory with all that is in it.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    let parent = to.parent().context("a file to copy needs a directory")?;
    let kind = from.symlink_metadata().with_context(|| format!("cannot read {}", from.display()))?.file_type();
    if kind.is_dir() {
        files::create_dir(to)?;
        let entries = from.read_dir().with_context(|| format!("cannot list {}", from.display()))?;
        for entry in entries {
            let name = entry.with_context(|| format!("cannot list {}", from.display()))?.file_name();
            copy(&from.join(&name), &to.join(&name))?;
        }
        return Ok(());
    }
    if !kind.is_file() {
        bail!("{} is no regular file: the program is made of such alone", from.display());
    }
    files::create_dir(parent)?;
    std::fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

/// The files of `commit` in the repository at `root`, as an archive of git's: `zip` or `tar.gz`. All paths in it begin
/// with `prefix`.
pub fn archive(root: &Path, commit: &str, format: &str, prefix: &str) -> Result<Vec<u8>> {
    git(root)
        .args(["archive", &format!("--format={format}"), &format!("--prefix={prefix}/"), "--end-of-options", commit])
        .read()
}
