//! What is undone when the user interrupts us: programs that were started are stopped, scratch directories and
//! half-written files are removed.

use std::collections::BTreeSet;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::plumbing::error::Hint;
use crate::plumbing::place;

static UNDO: Mutex<Undo> = Mutex::new(Undo { children: BTreeSet::new(), leftovers: BTreeSet::new() });

struct Undo {
    children: BTreeSet<Running>,
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
        undo.children.iter().for_each(|child| child.signal(Signal::TERM));
        for attempt in 0..ATTEMPTS {
            let left = undo.leftovers.iter().filter(|path| !remove(path)).count();
            if left == 0 {
                break;
            }
            // A child that is ending, or a thread of ours, still wrote there.
            std::thread::sleep(PAUSE);
            if attempt == ATTEMPTS / 2 {
                undo.children.iter().for_each(|child| child.signal(Signal::KILL));
            }
        }
        eprintln!("interrupted");
        std::process::exit(130);
    };
    ctrlc::set_handler(handler).context("cannot prepare for interrupts")
}

/// How often it is tried to remove what is left, and how long to wait in between: two seconds in all.
const ATTEMPTS: u32 = 100;
const PAUSE: Duration = Duration::from_millis(20);

/// Removes the file or directory at `path`, and says whether it is gone.
fn remove(path: &Path) -> bool {
    let _ = std::fs::remove_file(path).or_else(|_| std::fs::remove_dir_all(path));
    path.symlink_metadata().is_err()
}

/// Does what an interrupt would have to undo: before one, or never.
pub fn before<T>(work: impl FnOnce() -> T) -> T {
    let _undo = undo();
    work()
}

/// Remembers a file or directory to be removed, until it is dropped.
pub struct Leftover(PathBuf);

impl Drop for Leftover {
    fn drop(&mut self) {
        undo().leftovers.remove(&self.0);
    }
}

/// A child that is stopped on an interrupt.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Running {
    pid: i32,
    /// Whether it leads a process group, to be stopped with all that it started.
    leads: bool,
}

impl Running {
    fn signal(self, signal: Signal) {
        let Some(pid) = Pid::from_raw(self.pid) else { return };
        // One that has ended already needs no signal.
        let _ = if self.leads { kill_process_group(pid, signal) } else { kill_process(pid, signal) };
    }
}

/// Remembers a child to be stopped, until it is dropped.
pub struct Watched(Running);

impl Watched {
    /// Stops it now.
    pub fn stop(&self) {
        self.0.signal(Signal::KILL);
    }
}

impl Drop for Watched {
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

/// Starts a child that is stopped on an interrupt, however early; with all that it started if it `leads` a process group.
pub fn child(leads: bool, start: impl FnOnce() -> Result<Child>) -> Result<(Child, Watched)> {
    let mut undo = undo();
    let child = start()?;
    let running = Running { pid: child.id().cast_signed(), leads };
    undo.children.insert(running);
    Ok((child, Watched(running)))
}

/// A directory for work in progress, removed when it is dropped and when the user interrupts us.
pub struct Scratch {
    directory: tempfile::TempDir,
    _leftover: Leftover,
}

impl Scratch {
    /// A new directory that nobody but this user can enter or replace ([`place::find`]).
    pub fn new() -> Result<Self> {
        let parent = place::find()?;
        let mut builder = tempfile::Builder::new();
        let create =
            || builder.prefix(".release-helper-").permissions(Permissions::from_mode(0o700)).tempdir_in(&parent);
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
