//! What an artifact must do wherever it runs, and how far it got.

use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use crate::plumbing::process::Outcome;

/// How long a library may take: all of them do load, if only the machine has time for it.
const PATIENCE: [&str; 2] = ["--timeout-ms", "60000"];

/// How far an artifact could be tried on this machine.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trial {
    /// It told its version, loaded so many real libraries and refused a missing one.
    Ran {
        /// The emulator it ran under, if any.
        #[serde(skip_serializing_if = "Option::is_none")]
        under: Option<String>,
        /// How many libraries it loaded.
        libraries: usize,
    },
    /// The same in a stand-in for macOS, with the one library that it has.
    StandIn,
    /// It told its version; there is nothing here to load libraries with.
    VersionOnly {
        /// What is missing.
        missing: String,
    },
    /// This machine cannot run it.
    NotRunHere {
        /// What is missing.
        missing: String,
    },
}

impl fmt::Display for Trial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ran { under: None, libraries } => write!(f, "ran, loaded {libraries}"),
            Self::Ran { under: Some(emulator), libraries } => write!(f, "{emulator}, loaded {libraries}"),
            Self::StandIn => f.write_str("ran in a stand-in for macOS"),
            Self::VersionOnly { missing } => write!(f, "version only: no {missing}"),
            Self::NotRunHere { missing } => write!(f, "not run here: no {missing}"),
        }
    }
}

/// One answer of `tsuku-dltest`.
#[derive(Deserialize)]
struct Answer {
    path: String,
    ok: bool,
    #[serde(default)]
    error: String,
}

/// Demands that the artifact at `path`, started by `run`, says on stderr that it is of the given version.
pub(super) fn tells_its_version(path: &Path, version: &str, run: impl Fn(&[&str]) -> Result<Outcome>) -> Result<()> {
    let told = run(&["--version"])?;
    let expected = format!("tsuku-dltest v{version}\n");
    ensure!(
        told.status.success() && told.stderr == expected.as_bytes() && told.stdout.is_empty(),
        "{} --version said {:?} ({}), not {expected:?} on stderr",
        path.display(),
        String::from_utf8_lossy(&told.stderr),
        told.status
    );
    Ok(())
}

/// Demands that the artifact at `path`, started by `run`, loads all of `libraries` and not one that is missing.
pub(super) fn loads(path: &Path, libraries: &[String], run: impl Fn(&[&str]) -> Result<Outcome>) -> Result<()> {
    let absent = "/nonexistent/libabsent.so".to_owned();
    let asked: Vec<&str> = libraries.iter().chain([&absent]).map(String::as_str).collect();
    let outcome = run(&[&PATIENCE[..], &asked[..]].concat())?;
    let answers: Vec<Answer> = serde_json::from_slice(&outcome.stdout)
        .with_context(|| format!("{} printed no JSON ({})", path.display(), outcome.status))?;
    let order: Vec<&str> = answers.iter().map(|answer| answer.path.as_str()).collect();
    ensure!(order == asked, "{} answered for {order:?}, not for {asked:?}", path.display());
    for answer in &answers {
        ensure!(
            answer.ok == (answer.path != absent),
            "{} says of {}: ok is {}, {}",
            path.display(),
            answer.path,
            answer.ok,
            answer.error
        );
    }
    ensure!(outcome.status.code() == Some(1), "{} ended with {}, not 1", path.display(), outcome.status);
    Ok(())
}
