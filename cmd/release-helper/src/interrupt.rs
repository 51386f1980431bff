//! What is undone when the user interrupts us: programs that were started are stopped, scratch directories and
//! half-written files are removed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::error::Hint;

static UNDO: Mutex<Undo> = Mutex::new(Undo { children: BTreeSet::new(), leftovers: BTreeSet::new() });

struct Undo {
    children: BTreeSet<i32>,
    leftovers: BTreeSet<PathBuf>,
}

fn undo() -> MutexGuard<'static, Undo> {
    UNDO.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes SIGINT, SIGTERM and SIGHUP clean up and end this process with status 130.
pub fn clean_up_on_interrupt() -> Result<()> {
    let handler = || {
        // The lock is kept: nothing new can start.
        let undo = undo();
        for pid in undo.children.iter().filter_map(|&pid| Pid::from_raw(pid)) {
            // One that has ended already needs no signal.
            let _ = kill_process(pid, Signal::TERM);
        }
        for path in &undo.leftovers {
            // What cannot be removed now has a name that nobody reads.
            let _ = std::fs::remove_file(path).or_else(|_| std::fs::remove_dir_all(path));
        }
        eprintln!("interrupted");
        std::process::exit(130);
    };
    ctrlc::set_handler(handler).context("cannot prepare for interrupts")
}

/// Remembers a file or directory to be removed, until it is dropped.
pub struct Leftover(PathBuf);

impl Drop for Leftover {
    fn drop(&mut self) {
        undo().leftovers.remove(&self.0);
    }
}

/// Remembers a child to be stopped, until it is dropped.
pub struct Running(i32);

impl Drop for Running {
    fn drop(&mut self) {
        undo().children.remove(&self.0);
    }
}

/// Creates a file or directory that is removed on an interrupt, however early.
pub fn leftover<T, E>(
    create: impl FnOnce() -> Result<T, E>,
    path: impl FnOnce(&T) -> &Path,
) -> Result<(T, Leftover), E> {
    let mut undo = undo();
    let created = create()?;
    let path = path(&created).to_owned();
    undo.leftovers.insert(path.clone());
    Ok((created, Leftover(path)))
}

/// Starts a child that is stopped on an interrupt, however early.
pub fn child(start: impl FnOnce() -> Result<Child>) -> Result<(Child, Running)> {
    let mut undo = undo();
    let child = start()?;
    let pid = child.id().cast_signed();
    undo.children.insert(pid);
    Ok((child, Running(pid)))
}

/// A directory for work in progress, removed when it is dropped and when the user interrupts us.
pub struct Scratch {
    directory: tempfile::TempDir,
    _leftover: Leftover,
}

impl Scratch {
    /// A new directory in the system's place for temporary files.
    pub fn new() -> Result<Self> {
        let parent = std::env::temp_dir();
        let create = || tempfile::Builder::new().prefix(".release-helper-").tempdir_in(&parent);
        let (directory, leftover) = leftover(create, |directory| directory.path())
            .with_context(|| format!("cannot create a directory in {}", parent.display()))
            .hint(format!("check that {} is writable and has free space, or set TMPDIR", parent.display()))?;
        Ok(Self { directory, _leftover: leftover })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}
