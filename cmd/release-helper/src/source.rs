//! Source trees: where the checkout is, whether it is clean, and clean copies of it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::contract;
use crate::error::{Hint, hinted};
use crate::files;
use crate::interrupt::Scratch;
use crate::process;

/// What the artifacts are built from. Nothing else of the repository can reach their bytes, and the Nix packages
/// take the same files (`nix/source.nix`).
const ARTIFACT_SOURCES: [&str; 4] = ["Cargo.toml", "cmd/tsuku-dltest", "release.toml", "rust-toolchain.toml"];

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

/// The full hash of the commit that `revision` names in the repository at `root`.
pub fn commit(root: &Path, revision: &str) -> Result<String> {
    let hash =
        git(root).args(["rev-parse", "--verify", "--end-of-options", &format!("{revision}^{{commit}}")]).read()?;
    Ok(String::from_utf8_lossy(&hash).trim().to_owned())
}

/// Whether `commit` is `tip` or comes before it in the history of the repository at `root`.
pub fn has_ancestor(root: &Path, tip: &str, commit: &str) -> Result<bool> {
    let between = git(root).args(["rev-list", "--max-count=1", commit, &format!("^{tip}")]).read()?;
    Ok(between.is_empty())
}

/// Writes the tree of `commit` into the new directory `destination`. The checkout and its index stay as they are.
pub fn export(root: &Path, commit: &str, destination: &Path) -> Result<()> {
    files::create_dir(destination)?;
    let scratch = Scratch::new()?;
    let index = scratch.path().join("index");
    git(root).env("GIT_INDEX_FILE", &index).args(["read-tree", commit]).read()?;
    let prefix = format!("--prefix={}/", destination.display());
    git(root).env("GIT_INDEX_FILE", &index).args(["checkout-index", "--all", &prefix]).read()?;
    Ok(())
}

/// Copies the files of the checkout at `root` that git tracks, as they are on the disk, into `destination`.
pub fn copy_tracked(root: &Path, destination: &Path) -> Result<()> {
    let list = git(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).read()?;
    for name in list.split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
        let name = std::str::from_utf8(name).context("a tracked file's name is not UTF-8")?;
        // A file that was deleted but is still in the index is simply not there.
        if root.join(name).is_file() {
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
    let [manifest, _] = crate::version::statements(root)?;
    let lock = format!("version = 4\n\n[[package]]\nname = \"tsuku-dltest\"\nversion = \"{}\"\n", manifest.version);
    files::write(&destination.join("Cargo.lock"), lock.as_bytes())
}

/// Copies a file, or a directory with all that is in it.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    let parent = to.parent().context("a file to copy needs a directory")?;
    if from.is_dir() {
        files::create_dir(to)?;
        let entries = from.read_dir().with_context(|| format!("cannot list {}", from.display()))?;
        for entry in entries {
            let name = entry.with_context(|| format!("cannot list {}", from.display()))?.file_name();
            copy(&from.join(&name), &to.join(&name))?;
        }
        return Ok(());
    }
    files::create_dir(parent)?;
    std::fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

fn git(root: &Path) -> process::Call {
    let mut command = Command::new("git");
    command.arg("-C").arg(root);
    process::Call::new(command)
}
