//! Clients that others wrote, as actors of the fault campaign: beside our jobs they read the draft, edit its notes, and
//! upload the same artifacts, while faults hit them as well.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use release_helper::domain::server::Running;
use serde_json::json;

use crate::common::{REPOSITORY, token};
use crate::skipped::skipped;
use crate::tools;

/// A client in a process of its own, that does one task after the other.
pub struct Actor {
    child: Child,
    tasks: Option<ChildStdin>,
    outcomes: BufReader<ChildStdout>,
}

impl Actor {
    fn start(mut command: Command) -> Self {
        let mut child = command
            .env("NO_PROXY", "127.0.0.1,localhost")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let outcomes = BufReader::new(child.stdout.take().unwrap());
        Self { tasks: child.stdin.take(), child, outcomes }
    }

    /// Begins a task; [`Actor::end`] waits for it.
    pub fn begin(&mut self, server: &Running, release: u64, task: &str, file: &Path) {
        let name = file.file_name().unwrap().to_string_lossy();
        let task = json!({
            "url": server.url(), "repository": REPOSITORY, "token": token(), "release": release, "do": task,
            "file": file, "name": name,
        });
        writeln!(self.tasks.as_mut().unwrap(), "{task}").unwrap();
    }

    /// Whether the task went well.
    pub fn end(&mut self) -> bool {
        let mut outcome = String::new();
        self.outcomes.read_line(&mut outcome).unwrap();
        assert!(!outcome.is_empty(), "the actor has ended");
        outcome.trim() == "ok"
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        drop(self.tasks.take());
        let _ = self.child.wait();
    }
}

/// PyGithub and Octokit, as far as they can be had.
pub fn actors() -> Vec<Actor> {
    let script = |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/releases/clients").join(name);
    let mut actors = Vec::new();
    match tools::python() {
        Ok(python) => {
            let mut command = Command::new(python);
            command.arg(script("actor.py"));
            actors.push(Actor::start(command));
        }
        Err(reason) => skipped(&format!("PyGithub is no actor: {reason}")),
    }
    match tools::octokit() {
        Ok(modules) => {
            let mut command = Command::new("node");
            command.arg(script("actor.mjs")).current_dir(modules);
            actors.push(Actor::start(command));
        }
        Err(reason) => skipped(&format!("Octokit is no actor: {reason}")),
    }
    actors
}
