//! Other programs: called, their failure told, and stopped when we are.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::error::Hint;

/// What has to be undone when the user interrupts us.
static UNDO: Mutex<Undo> = Mutex::new(Undo { children: BTreeSet::new(), directories: BTreeSet::new() });

struct Undo {
    children: BTreeSet<i32>,
    directories: BTreeSet<PathBuf>,
}

fn undo() -> std::sync::MutexGuard<'static, Undo> {
    UNDO.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Makes SIGINT, SIGTERM and SIGHUP stop the programs that were called, remove the scratch directories, and end
/// this process with status 130.
pub fn clean_up_on_interrupt() -> Result<()> {
    let handler = || {
        // The lock is kept: nothing new may start.
        let undo = undo();
        for pid in undo.children.iter().filter_map(|&pid| Pid::from_raw(pid)) {
            // One that has ended already needs no signal.
            let _ = kill_process(pid, Signal::TERM);
        }
        for directory in &undo.directories {
            // What cannot be removed now is in the system's temporary directory and is nobody's input.
            let _ = std::fs::remove_dir_all(directory);
        }
        eprintln!("interrupted");
        std::process::exit(130);
    };
    ctrlc::set_handler(handler).context("cannot prepare for interrupts")
}

/// A directory for work in progress, removed when it is dropped and when the user interrupts us.
pub struct Scratch {
    directory: tempfile::TempDir,
}

impl Scratch {
    /// A new directory in the system's place for temporary files.
    pub fn new() -> Result<Self> {
        Self::new_in(&std::env::temp_dir())
    }

    /// A new directory in `parent`.
    pub fn new_in(parent: &Path) -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix(".release-helper-")
            .tempdir_in(parent)
            .with_context(|| format!("cannot create a directory in {}", parent.display()))
            .hint(format!("check that {} is writable and has free space", parent.display()))?;
        undo().directories.insert(directory.path().to_owned());
        Ok(Self { directory })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        undo().directories.remove(self.directory.path());
    }
}

/// A call of another program.
pub struct Call {
    command: Command,
    hint: Option<String>,
}

/// What a program that was called did.
pub struct Outcome {
    /// How it ended.
    pub status: std::process::ExitStatus,
    /// What it wrote to stdout.
    pub stdout: Vec<u8>,
    /// What it wrote to stderr.
    pub stderr: Vec<u8>,
}

impl Call {
    /// Prepares a call of `command`, without standard input.
    pub fn new(mut command: Command) -> Self {
        command.stdin(Stdio::null());
        Self { command, hint: None }
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    pub fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// Says what to do when the program is missing or fails.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Runs the program to its end, whatever that is.
    pub fn outcome(mut self) -> Result<Outcome> {
        let name = self.name();
        self.command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = {
            let mut undo = undo();
            let child = self.command.spawn().with_context(|| format!("cannot run {name}"));
            let child = match (child, self.hint) {
                (Err(error), Some(hint)) => Err(error).hint(hint),
                (Err(error), None) => Err(error).hint(format!("install {name}, or add it to PATH")),
                (child, _) => child,
            }?;
            undo.children.insert(child.id().cast_signed());
            child
        };
        let pid = child.id().cast_signed();
        let output = child.wait_with_output();
        undo().children.remove(&pid);
        let output = output.with_context(|| format!("cannot read what {name} says"))?;
        Ok(Outcome { status: output.status, stdout: output.stdout, stderr: output.stderr })
    }

    /// Runs the program and returns its stdout; anything but success is an error that ends with its stderr.
    pub fn read(self) -> Result<Vec<u8>> {
        let (name, hint) = (self.name(), self.hint.clone());
        let outcome = self.outcome()?;
        if outcome.status.success() {
            return Ok(outcome.stdout);
        }
        let failure = || -> Result<Vec<u8>> {
            let said = String::from_utf8_lossy(&outcome.stderr);
            bail!("{name} failed ({}): {}", outcome.status, said.trim().trim_start_matches("fatal: "))
        };
        match hint {
            Some(hint) => failure().hint(hint),
            None => failure(),
        }
    }

    fn name(&self) -> String {
        let program = Path::new(self.command.get_program());
        program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned()
    }
}
