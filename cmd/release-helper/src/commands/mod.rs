//! The subcommands, one file each, in the order of a release.

mod build;
mod compare;
#[cfg(feature = "manual")]
mod completions;
mod confine;
mod download;
mod draft;
mod exercise;
mod finalize;
mod inspect;
#[cfg(feature = "manual")]
mod man;
mod platforms;
mod preflight;
mod rehearse;
mod serve_releases;
mod sign;
mod signature;
mod stubs;
mod summary;
mod tally;
mod unsign;
mod upload;
mod vary;
mod verify;
mod version;

use anyhow::Result;
#[cfg(feature = "manual")]
use clap::CommandFactory;

use crate::Verdict;

/// Builds, inspects, signs, releases and verifies tsuku-dltest
#[derive(clap::Parser)]
#[command(name = "release-helper", version, arg_required_else_help = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// A subcommand and its arguments.
#[derive(clap::Subcommand)]
pub enum Command {
    /// Show the contract: the platforms of a release and what their artifacts must be
    Platforms(platforms::Platforms),
    /// Make a whole release on this machine: build, inspect, upload, test, publish, rebuild, compare
    Rehearse(rehearse::Rehearse),
    /// Check that the tree can be released as a tag, before anything is built
    Preflight(preflight::Preflight),
    /// Bring the tag's version into the source tree, or compare the two
    #[command(subcommand)]
    Version(version::Version),
    /// Make the link stubs of the program anew, from the text beside them
    Stubs(stubs::Stubs),
    /// Build the artifacts of the source tree
    Build(build::Build),
    /// Measure every clause of the contract on artifacts
    Inspect(inspect::Inspect),
    /// Run an artifact: its version, libraries that must load, and one that must not
    Exercise(exercise::Exercise),
    /// Sign Mach-O files ad hoc, byte for byte as codesign or a linker does
    Sign(sign::Sign),
    /// Remove the signatures of Mach-O files
    Unsign(unsign::Unsign),
    /// Show and verify the signatures of Mach-O files
    Signature(signature::Signature),
    /// Make the draft release of a tag, or find it
    Draft(draft::Draft),
    /// Make files assets of a draft
    Upload(upload::Upload),
    /// Download assets of a release, checked against size and digest
    Download(download::Download),
    /// Publish a draft that has exactly the contract's assets
    Finalize(finalize::Finalize),
    /// Tell people how a run of the release workflow went
    #[command(subcommand)]
    Summary(summary::Summary),
    /// Say whether two files are the same, and if not, where they differ and most likely why
    Compare(compare::Compare),
    /// Rebuild a published release and compare it bit for bit
    Verify(verify::Verify),
    /// Say which assets independent rebuilders agree on
    Tally(tally::Tally),
    /// Build under varied surroundings, and name the variation that changes a byte
    Vary(vary::Vary),
    /// Serve releases as GitHub does, for rehearsals and tests
    ServeReleases(serve_releases::ServeReleases),
    /// Run a program inside walls; a part of vary
    #[command(hide = true)]
    Confine(confine::Confine),
    /// Print what a shell needs to complete this command line
    #[cfg(feature = "manual")]
    Completions(completions::Completions),
    /// Print the manual page, or write those of all commands
    #[cfg(feature = "manual")]
    Man(man::Man),
}

impl Command {
    /// Does what the user asked for.
    pub fn run(self) -> Result<Verdict> {
        match self {
            Self::Platforms(command) => command.run(),
            Self::Rehearse(command) => command.run(),
            Self::Preflight(command) => command.run(),
            Self::Version(command) => command.run(),
            Self::Stubs(command) => command.run(),
            Self::Build(command) => command.run(),
            Self::Inspect(command) => command.run(),
            Self::Exercise(command) => command.run(),
            Self::Sign(command) => command.run(),
            Self::Unsign(command) => command.run(),
            Self::Signature(command) => command.run(),
            Self::Draft(command) => command.run(),
            Self::Upload(command) => command.run(),
            Self::Download(command) => command.run(),
            Self::Finalize(command) => command.run(),
            Self::Summary(command) => command.run(),
            Self::Compare(command) => command.run(),
            Self::Verify(command) => command.run(),
            Self::Tally(command) => command.run(),
            Self::Vary(command) => command.run(),
            Self::ServeReleases(command) => command.run(),
            #[cfg(feature = "manual")]
            Self::Completions(command) => command.run(&mut Arguments::command()),
            #[cfg(feature = "manual")]
            Self::Man(command) => command.run(&Arguments::command()),
            Self::Confine(command) => command.run(),
        }
    }
}
