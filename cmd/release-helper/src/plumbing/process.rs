//! Other programs: called, their failure told, and stopped when we are or when they take too long.

use std::ffi::{OsStr, OsString};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};

use crate::plumbing::confine::Walls;
use crate::plumbing::error::Hint;
use crate::plumbing::{foreign, interrupt};

/// What every child is told of our environment: who the user is, and where things lie. Nothing else is passed on, so
/// no token is, and no setting of git, cargo or rustc.
const PASSED_ON: [&str; 12] = [
    "HOME",
    "LANG",
    "LC_ALL",
    "LC_CTYPE",
    "LOGNAME",
    "TERM",
    "TMPDIR",
    "TZ",
    "USER",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_RUNTIME_DIR",
];

/// What a child that uses the network is told as well: certificates and proxies. A proxy's address may hold a password.
const FOR_THE_NETWORK: [&str; 14] = [
    "ALL_PROXY",
    "CURL_CA_BUNDLE",
    "DOCKER_CONFIG",
    "DOCKER_HOST",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NIX_SSL_CERT_FILE",
    "NO_PROXY",
    "SSL_CERT_DIR",
    "SSL_CERT_FILE",
    "all_proxy",
    "http_proxy",
    "https_proxy",
    "no_proxy",
];

/// A call of another program.
pub struct Call {
    command: Command,
    hint: Option<String>,
    walls: Option<Walls>,
    limit: Option<Duration>,
    /// What it is called in messages, if not by its file's name.
    name: Option<&'static str>,
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
    /// Prepares a call of `command`, without standard input. Of our environment it gets what is in [`PASSED_ON`] and
    /// `PATH`; what was set on `command` itself stays.
    pub fn new(mut command: Command) -> Self {
        let own: Vec<(OsString, Option<OsString>)> =
            command.get_envs().map(|(name, value)| (name.to_owned(), value.map(OsStr::to_owned))).collect();
        command.env_clear().env("PATH", search_path());
        command.envs(PASSED_ON.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        for (name, value) in own {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Self::with_its_own(command)
    }

    /// Prepares a call of `command` that gets nothing of our environment but `PATH`. For foreign programs.
    pub fn alone(mut command: Command) -> Self {
        command.env_clear().env("PATH", search_path());
        Self::with_its_own(command)
    }

    fn with_its_own(mut command: Command) -> Self {
        command.stdin(Stdio::null());
        Self { command, hint: None, walls: None, limit: None, name: None }
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

    /// Tells the program about proxies and certificates.
    pub fn with_network(mut self) -> Self {
        self.command.envs(FOR_THE_NETWORK.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        self
    }

    /// Gives the program `file` as standard input.
    pub fn input(mut self, file: std::fs::File) -> Self {
        self.command.stdin(file);
        self
    }

    /// Leaves the program, and all that it starts, nothing but what is inside `walls`.
    pub fn inside(mut self, walls: Walls) -> Self {
        self.walls = Some(walls);
        self
    }

    /// Stops the program, and all that it started, after so long.
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = Some(limit);
        self
    }

    /// Names the program that the user knows, if another one starts it.
    pub fn called(mut self, name: &'static str) -> Self {
        self.name = Some(name);
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
        if self.limit.is_some() {
            // To be stopped with all that it started, it leads a group of its own.
            self.command.process_group(0);
        }
        let Self { mut command, hint, walls, limit, .. } = self;
        let (child, running) = interrupt::child(limit.is_some(), || {
            let child = match walls {
                Some(walls) => walls.spawn(command),
                None => command.spawn().map_err(Into::into),
            };
            child
                .with_context(|| format!("cannot run {name}"))
                .hint(hint.unwrap_or_else(|| format!("install {name}, or add it to PATH")))
        })?;
        let what = || format!("cannot read what {name} says");
        let Some(limit) = limit else {
            let output = child.wait_with_output().with_context(what)?;
            return Ok(Outcome { status: output.status, stdout: output.stdout, stderr: output.stderr });
        };
        let (sender, receiver) = mpsc::channel();
        std::thread::spawn(move || sender.send(child.wait_with_output()));
        match receiver.recv_timeout(limit) {
            Ok(output) => {
                let output = output.with_context(what)?;
                Ok(Outcome { status: output.status, stdout: output.stdout, stderr: output.stderr })
            }
            Err(RecvTimeoutError::Timeout) => {
                running.stop();
                Err(anyhow!("{name} was stopped: it took longer than {} s", limit.as_secs()))
            }
            Err(RecvTimeoutError::Disconnected) => bail!("{}", what()),
        }
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
            bail!("{name} failed ({}): {}", outcome.status, foreign::said(said.trim().trim_start_matches("fatal: ")))
        };
        match hint {
            Some(hint) => failure().hint(hint),
            None => failure(),
        }
    }

    fn name(&self) -> String {
        if let Some(name) = self.name {
            return name.to_owned();
        }
        let program = Path::new(self.command.get_program());
        program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned()
    }
}

/// The directories that programs are looked for in: those of `PATH` that do not depend on where we are.
pub fn search_path() -> OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let absolute = std::env::split_paths(&path).filter(|directory| directory.is_absolute());
    std::env::join_paths(absolute).unwrap_or_default()
}

/// Where `program` is, if it is on the [`search_path`].
pub fn find(program: &str) -> Option<PathBuf> {
    let candidates = std::env::split_paths(&search_path()).map(|directory| directory.join(program)).collect::<Vec<_>>();
    candidates.into_iter().find(|candidate| candidate.is_file())
}
