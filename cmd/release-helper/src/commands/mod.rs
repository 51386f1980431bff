//! The subcommands, one file each.

mod build;
mod platforms;
mod vary;
mod version;

use anyhow::Result;

use crate::Verdict;

/// A subcommand and its arguments.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Show the contract: the platforms of a release and what their artifacts must be
    Platforms(platforms::Platforms),
    /// Bring the tag's version into the source tree, or compare the two
    #[command(subcommand)]
    Version(version::Version),
    /// Build the artifacts of the source tree
    Build(build::Build),
    /// Build under varied surroundings, and name the variation that changes a byte
    Vary(vary::Vary),
}

impl Command {
    /// Does what the user asked for.
    pub fn run(self) -> Result<Verdict> {
        match self {
            Self::Platforms(command) => command.run(),
            Self::Version(command) => command.run(),
            Self::Build(command) => command.run(),
            Self::Vary(command) => command.run(),
        }
    }
}
