//! The subcommands, one file each.

mod platforms;

use anyhow::Result;

use crate::Verdict;

/// A subcommand and its arguments.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Show the contract: the platforms of a release and what their artifacts must be
    Platforms(platforms::Platforms),
}

impl Command {
    /// Does what the user asked for.
    pub fn run(self) -> Result<Verdict> {
        match self {
            Self::Platforms(command) => command.run(),
        }
    }
}
