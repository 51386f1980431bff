//! The parts of `release-helper`, in four layers. A file uses its own layer and those below it, never one above, and no files
//! use each other in a circle: `tests/layers.rs` reads them and says so.

#![forbid(unsafe_code)]

pub mod commands;
pub mod domain;
pub mod jobs;
pub mod plumbing;

use std::process::ExitCode;

/// What a subcommand found out. An `Err` beside it means: could not tell, or misused (exit code 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The answer is yes, or the work is done (exit code 0).
    Yes,
    /// The answer is no: not reproduced, contract broken, failed to load (exit code 1).
    No,
}

impl Verdict {
    /// `Yes` if `holds`, else `No`.
    pub fn from_bool(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Yes => Self::SUCCESS,
            Verdict::No => Self::FAILURE,
        }
    }
}
