//! Other programs: called, their failure told, and stopped when we are.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::error::Hint;
use crate::interrupt;

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
        let (child, _running) = interrupt::child(|| {
            let child = self.command.spawn().with_context(|| format!("cannot run {name}"));
            child.hint(self.hint.unwrap_or_else(|| format!("install {name}, or add it to PATH")))
        })?;
        let output = child.wait_with_output();
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
