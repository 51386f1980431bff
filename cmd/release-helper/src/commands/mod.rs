//! The subcommands, one file each.

mod download;
mod draft;
mod finalize;
mod platforms;
mod serve_releases;
mod upload;

use anyhow::Result;

use crate::Verdict;

/// A subcommand and its arguments.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Show the contract: the platforms of a release and what their artifacts must be
    Platforms(platforms::Platforms),
    /// Make the draft release of a tag, or find it
    Draft(draft::Draft),
    /// Make files assets of a draft
    Upload(upload::Upload),
    /// Download assets of a release, checked against size and digest
    Download(download::Download),
    /// Publish a draft that has exactly the contract's assets
    Finalize(finalize::Finalize),
    /// Serve releases as GitHub does, for rehearsals and tests
    ServeReleases(serve_releases::ServeReleases),
}

impl Command {
    /// Does what the user asked for.
    pub fn run(self) -> Result<Verdict> {
        match self {
            Self::Platforms(command) => command.run(),
            Self::Draft(command) => command.run(),
            Self::Upload(command) => command.run(),
            Self::Download(command) => command.run(),
            Self::Finalize(command) => command.run(),
            Self::ServeReleases(command) => command.run(),
        }
    }
}
