//! What is claimed of an artifact, and whether it is true.

use std::fmt;

use serde::Serialize;

/// The workflows of the repository that attest artifacts.
pub const WORKFLOWS: [&str; 2] = ["release.yml", "build-rust.yml"];

/// What an attestation must say.
#[derive(Clone, Debug)]
pub struct Claim {
    /// `owner/name` on GitHub.
    pub repository: String,
    /// `owner/name` of the repository whose workflow made the artifact, if that is another one: a reusable workflow has
    /// revisions of its own, and any of them is believed.
    pub signer: Option<String>,
    /// The tag.
    pub tag: String,
    /// The tag's commit.
    pub commit: String,
}

/// Whether an artifact is attested.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "answer", content = "why")]
pub enum Attested {
    /// By the release's workflow, for these bytes, tag and commit.
    Yes,
    /// There is no attestation, and nothing that claims to be one.
    No(String),
    /// There is one, and it is wrong.
    Wrong(String),
    /// There is one, and nobody said what it must claim.
    NotChecked(String),
}

impl fmt::Display for Attested {
    /// One word for a column, or two.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Yes => "yes",
            Self::No(_) => "no",
            Self::Wrong(_) => "wrong",
            Self::NotChecked(_) => "not checked",
        })
    }
}

impl Attested {
    /// Why it is not `yes`.
    pub fn why(&self) -> Option<&str> {
        match self {
            Self::Yes => None,
            Self::No(why) | Self::Wrong(why) | Self::NotChecked(why) => Some(why),
        }
    }
}
