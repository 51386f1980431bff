//! The parts of `release-helper`, one room per concern. Data flows one way:
//! contract → artifact → inspected → signed → digest → asset → published → verified.

#![forbid(unsafe_code)]

pub mod artifact;
pub mod build;
pub mod bytes;
pub mod codesign;
pub mod commands;
pub mod confine;
pub mod contract;
pub mod date;
pub mod digest;
pub mod error;
pub mod exercise;
pub mod files;
pub mod foreign;
pub mod interrupt;
pub mod output;
mod place;
pub mod preflight;
pub mod process;
pub mod provenance;
pub mod record;
pub mod rehearse;
pub mod releases;
pub mod server;
pub mod source;
pub mod summary;
pub mod tally;
pub mod toolchain;
pub mod vary;
pub mod verify;
pub mod version;

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
