//! The subcommands, one file each.

mod compare;
mod inspect;
mod platforms;
mod sign;
mod signature;
mod unsign;

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
    /// Sign Mach-O files ad hoc, byte for byte as codesign or a linker does
    Sign(sign::Sign),
    /// Remove the signatures of Mach-O files
    Unsign(unsign::Unsign),
    /// Show and verify the signatures of Mach-O files
    Signature(signature::Signature),
}

impl Command {
    /// Does what the user asked for.
    pub fn run(self) -> Result<Verdict> {
        match self {
            Self::Compare(command) => command.run(),
            Self::Inspect(command) => command.run(),
            Self::Platforms(command) => command.run(),
            Self::Sign(command) => command.run(),
            Self::Unsign(command) => command.run(),
            Self::Signature(command) => command.run(),
        }
    }
}
