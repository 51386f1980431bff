//! The verdict as an in-toto statement (<https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md>), to
//! be signed by its author with ssh-keygen or minisign and counted by `tally`.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::verdict::{Answer, Report, Row};
use crate::plumbing::foreign;

/// The type of an in-toto statement.
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
/// The type of what it says; documented in `docs/verifying.md`.
const PREDICATE: &str = "https://github.com/tsukumogami/tsuku-dltest/attestation/rebuild/v1";
/// The namespace of ssh signatures over these statements, so that they mean nothing elsewhere.
pub const NAMESPACE: &str = "tsuku-dltest-rebuild";

/// An in-toto statement about a rebuild.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    /// What the author rebuilt: names and digests of the *rebuilt* bytes.
    pub subject: Vec<Subject>,
    predicate_type: String,
    /// The circumstances.
    pub predicate: Predicate,
}

/// A rebuilt artifact.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Subject {
    /// Its asset's name.
    pub name: String,
    /// Its digests; `sha256` is there.
    pub digest: BTreeMap<String, String>,
}

/// How the rebuild was made, and what it came to.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Predicate {
    /// The release's tag.
    pub tag: String,
    /// The commit that was rebuilt.
    pub commit: String,
    /// Where the published assets came from.
    pub origin: String,
    /// Backend, toolchain and host.
    pub rebuilder: String,
    /// The verdict for each asset that was looked at.
    pub verdicts: BTreeMap<String, String>,
}

impl Statement {
    /// The statement of `report`.
    pub fn of(report: &Report) -> Self {
        let subject = |row: &Row| {
            let digest = row.rebuilt.clone()?;
            Some(Subject { name: row.asset.clone(), digest: BTreeMap::from([("sha256".to_owned(), digest)]) })
        };
        let word = |answer: Answer| answer.to_string().replace(' ', "-");
        Self {
            kind: STATEMENT.to_owned(),
            subject: report.platforms.iter().filter_map(subject).collect(),
            predicate_type: PREDICATE.to_owned(),
            predicate: Predicate {
                tag: report.tag.clone(),
                commit: report.commit.clone(),
                origin: report.origin.clone(),
                rebuilder: report.rebuilder.clone(),
                verdicts: report.platforms.iter().map(|row| (row.asset.clone(), word(row.verdict))).collect(),
            },
        }
    }

    /// Reads a statement.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let statement: Self = foreign::json(bytes).context("it is no in-toto statement of a rebuild")?;
        ensure!(statement.kind == STATEMENT, "it is a {:?}, not a {STATEMENT:?}", statement.kind);
        ensure!(statement.predicate_type == PREDICATE, "it says {:?}, not {PREDICATE:?}", statement.predicate_type);
        Ok(statement)
    }
}
