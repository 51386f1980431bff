//! What a verification found out.

use std::fmt;

use serde::Serialize;

use super::options::Whose;
use crate::domain::artifact::Comparison;
use crate::domain::provenance::Attested;
use crate::domain::record::Record;
use crate::jobs::vary;

/// The verdict on one platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The rebuilt bytes are the published ones.
    Reproduced,
    /// Something is not as it should be.
    Differs,
    /// It was not rebuilt on this machine.
    NotRebuiltHere,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Reproduced => "reproduced",
            Self::Differs => "differs",
            Self::NotRebuiltHere => "not rebuilt here",
        })
    }
}

/// What became of one platform.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Row {
    /// The platform's name.
    pub platform: String,
    /// The name of its asset.
    pub asset: String,
    /// The verdict.
    pub verdict: Answer,
    /// Whether the release's workflow attests the published asset.
    pub attested: Attested,
    /// Why, unless it is reproduced: the first reason weighs most.
    pub reasons: Vec<String>,
    /// The size of the published asset in bytes.
    pub size: Option<usize>,
    /// The SHA-256 of the published asset.
    pub published: Option<String>,
    /// The SHA-256 of the rebuilt artifact.
    pub rebuilt: Option<String>,
    /// The record made here.
    pub record: Option<Record>,
    /// How the published asset (A) compares with the rebuilt artifact (B), if they differ.
    pub comparison: Option<Comparison>,
}

/// The outcome of a verification.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// The tag.
    pub tag: String,
    /// Where the release comes from.
    pub origin: String,
    /// The commit that was rebuilt.
    pub commit: String,
    /// Who says that the tag means it.
    pub said_by: Vec<String>,
    /// Whose contract the release was held to.
    pub contract: Whose,
    /// What rebuilt it: backend, toolchain and host.
    pub rebuilder: String,
    /// Whether the build was confined.
    pub confinement: String,
    /// What is wrong with the release as a whole.
    pub faults: Vec<String>,
    /// One row for each platform.
    pub platforms: Vec<Row>,
    /// The varied rebuilds, if any were asked for.
    pub variations: Option<vary::Outcome>,
}

impl Report {
    /// Whether everything was reproduced, something differs, or (`None`) it could not be told.
    pub fn holds(&self) -> Option<bool> {
        let any = |answer| self.platforms.iter().any(|row| row.verdict == answer);
        let varies = self.variations.as_ref().is_some_and(|outcome| !outcome.holds());
        if any(Answer::Differs) || !self.faults.is_empty() || varies {
            Some(false)
        } else if any(Answer::NotRebuiltHere) || self.platforms.is_empty() {
            None
        } else {
            Some(true)
        }
    }
}
