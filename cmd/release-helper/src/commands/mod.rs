//! The subcommands, one file each.

mod compare;
mod inspect;
mod platforms;

use anyhow::Result;

use crate::Verdict;

/// A subcommand and its arguments.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Say whether two files are the same, and if not, where they differ and most likely why
    Compare(compare::Compare),
    /// Measure every clause of the contract on artifacts
    Inspect(inspect::Inspect),
    /// Show the contract: the platforms of a release and what their artifacts must be
    Platforms(platforms::Platforms),
}

impl Command {
    /// Does what the user asked for.
    pub fn run(self) -> Result<Verdict> {
        match self {
            Self::Compare(command) => command.run(),
            Self::Inspect(command) => command.run(),
            Self::Platforms(command) => command.run(),
        }
    }
}
