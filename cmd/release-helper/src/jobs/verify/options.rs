//! What a caller asks for.

use std::path::PathBuf;

use serde::Serialize;

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

/// What is expected of the attestations.
#[derive(Clone, Debug, Default)]
pub struct Demands {
    /// `owner/name`, whose workflow must have made the artifacts.
    pub repository: Option<String>,
    /// `owner/name` of the repository whose reusable workflow that may be instead.
    pub signer: Option<String>,
    /// The `trusted_root.json` to believe; that of the public Sigstore instance if none is given.
    pub trusted_root: Option<String>,
    /// Whether an artifact without an attestation is a fault.
    pub required: bool,
}
