//! The subcommands, one file each.

mod inspect;
mod platforms;

use anyhow::Result;

use crate::Verdict;

/// A subcommand and its arguments.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Measure every clause of the contract on artifacts
    Inspect(inspect::Inspect),
    /// Show the contract: the platforms of a release and what their artifacts must be
    Platforms(platforms::Platforms),
}

impl Command {
    /// Does what the user asked for.
    pub fn run(self) -> Result<Verdict> {
        match self {
            Self::Inspect(command) => command.run(),
            Self::Platforms(command) => command.run(),
        }
    }
}
