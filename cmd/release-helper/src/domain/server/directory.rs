//! The directory a server keeps its state in: whose it is, who uses it, and what may be swept from it.

use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::plumbing::error::{Hint, hinted};
use crate::plumbing::files;

/// All that a server writes into its directory.
const NAMES: [&str; 6] = ["assets", "certificate.pem", LEDGER, LOCK, "releases", "requests.jsonl"];
/// Written first: the mark of a directory of ours.
pub(super) const LEDGER: &str = "ledger.json";
const LOCK: &str = "lock";
/// How an interrupted write is called (`files::write`).
const TEMPORARY: &str = ".tmp-";

/// A directory of ours that no other server uses, as long as this lives.
pub(super) struct Directory {
    path: PathBuf,
    lock: File,
}

impl Directory {
    /// Takes the directory at `path`, which is new, empty, or one that a server has made. Anybody else's is left as it is.
    pub(super) fn take(path: &Path) -> Result<Self> {
        files::create_dir(path)?;
        refuse_foreign(path)?;
        let lock_path = path.join(LOCK);
        let lock = OpenOptions::new().create(true).write(true).truncate(false).open(&lock_path);
        let lock = lock.with_context(|| format!("cannot write {}", lock_path.display()))?;
        lock.try_lock()
            .with_context(|| format!("{} is in use by another release server", path.display()))
            .hint("stop the other server, or give this one another --directory")?;
        files::create_dir(&path.join("releases"))?;
        files::create_dir(&path.join("assets"))?;
        Ok(Self { path: path.to_owned(), lock })
    }

    /// The file of the release `id`.
    pub(super) fn release(&self, id: u64) -> PathBuf {
        self.path.join("releases").join(format!("{id}.json"))
    }

    /// The file with the bytes of the asset `id`.
    pub(super) fn asset(&self, id: u64) -> PathBuf {
        self.path.join("assets").join(id.to_string())
    }

    /// The file with what outlives releases.
    pub(super) fn ledger(&self) -> PathBuf {
        self.path.join(LEDGER)
    }

    /// The files of releases, with the ids in their names.
    pub(super) fn releases(&self) -> Result<Vec<(u64, PathBuf)>> {
        numbered(&self.path.join("releases"), ".json")
    }

    /// Removes the bytes of uploads that a kill interrupted: files with a name of ours that `is_known` does not know.
    pub(super) fn sweep_assets(&self, is_known: impl Fn(u64) -> bool) -> Result<()> {
        let orphans = numbered(&self.path.join("assets"), "")?.into_iter().filter(|(id, _)| !is_known(*id));
        for (_, path) in orphans {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
        Ok(())
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // Closing is not enough: a child that another thread is just starting holds a copy until it executes.
        let _ = self.lock.unlock();
    }
}

/// Fails if `path` holds anything, and has not been made by a server.
fn refuse_foreign(path: &Path) -> Result<()> {
    let mut has_ledger = false;
    let mut foreign = Vec::new();
    for (name, entry) in entries(path)? {
        let kind = entry.file_type().with_context(|| format!("cannot look at {}", path.join(&name).display()))?;
        let is_folder = ["assets", "releases"].contains(&name.as_str());
        let is_of_its_kind = if is_folder { kind.is_dir() } else { kind.is_file() };
        let is_ours = NAMES.contains(&name.as_str()) || name.starts_with(TEMPORARY);
        // A folder that has something in it before there is a ledger was filled by somebody else.
        let is_empty = || Ok::<_, anyhow::Error>(entries(&path.join(&name))?.is_empty());
        has_ledger |= name == LEDGER && kind.is_file();
        if NAMES.contains(&name.as_str()) && !is_of_its_kind {
            return Err(foreign_directory(path, &name));
        }
        if !is_ours || (is_folder && !is_empty()?) {
            foreign.push(name);
        }
    }
    match foreign.first() {
        Some(name) if !has_ledger => Err(foreign_directory(path, name)),
        _ => Ok(()),
    }
}

fn foreign_directory(path: &Path, name: &str) -> anyhow::Error {
    hinted(
        format_args!("{} was not made by a release server: it holds {name:?}", path.display()),
        "give a new or an empty directory with --directory; nothing was changed in this one",
    )
}

/// The files in `directory` that are called by a number and `suffix`. Leftovers of interrupted writes are removed;
/// whatever else lies there is not ours.
fn numbered(directory: &Path, suffix: &str) -> Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for (name, entry) in entries(directory)? {
        let path = directory.join(&name);
        if !entry.file_type().is_ok_and(|kind| kind.is_file()) {
            continue;
        }
        if name.starts_with(TEMPORARY) {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        } else if let Some(number) = name.strip_suffix(suffix).and_then(number) {
            found.push((number, path));
        }
    }
    Ok(found)
}

/// `text` as a number, if it is written the way we write one.
fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text)
}

/// Names and entries; a name that is not UTF-8 is none of ours and shown as well as it can be.
fn entries(directory: &Path) -> Result<Vec<(String, fs::DirEntry)>> {
    let list = || -> std::io::Result<Vec<_>> {
        let entries = fs::read_dir(directory)?;
        entries.map(|entry| entry.map(|entry| (entry.file_name().to_string_lossy().into_owned(), entry))).collect()
    };
    list().with_context(|| format!("cannot list {}", directory.display()))
}
