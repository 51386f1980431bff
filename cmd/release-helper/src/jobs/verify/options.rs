//! What a caller asks for.

use std::path::PathBuf;

use serde::Serialize;

use super::attested::Demands;
use crate::domain::build::Backend;
use crate::domain::version::Tag;

/// What to verify.
pub struct Options {
    /// The release's tag.
    pub tag: Tag,
    /// The platforms to rebuild; all if there is none.
    pub platforms: Vec<String>,
    /// What rebuilds them; the first that works here if none is given.
    pub backend: Option<Backend>,
    /// A local repository, if there is one.
    pub root: Option<PathBuf>,
    /// The revision the tag must mean, if the caller knows.
    pub commit: Option<String>,
    /// How many more rebuilds to make under varied surroundings.
    pub rounds: usize,
    /// What is expected of the attestations.
    pub attestations: Demands,
    /// Whose contract the release is held to.
    pub contract: Whose,
}

/// Whose contract a release is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Whose {
    /// This helper's; a tag with another one is a fault
    Own,
    /// The tag's, whatever it says
    Tag,
}
