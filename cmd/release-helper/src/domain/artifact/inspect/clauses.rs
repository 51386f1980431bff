//! The demands of the contract, as they are measured.

use anyhow::{Result, bail};
use serde::Serialize;

use crate::domain::contract::Platform;

/// One demand of the contract and what the file is instead, or is indeed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Clause {
    /// What is measured: `interpreter`, `symbol versions`.
    pub clause: &'static str,
    /// What the file has.
    pub measured: String,
    /// What the contract demands.
    pub expected: String,
    /// Whether the one fulfils the other.
    pub holds: bool,
}

/// The clauses being collected.
#[derive(Default)]
pub(super) struct Clauses(pub(super) Vec<Clause>);

impl Clauses {
    pub(super) fn add(
        &mut self,
        clause: &'static str,
        measured: impl Into<String>,
        expected: impl Into<String>,
        holds: bool,
    ) {
        self.0.push(Clause { clause, measured: measured.into(), expected: expected.into(), holds });
    }

    /// A clause that demands exactly `expected`.
    pub(super) fn equal(&mut self, clause: &'static str, measured: impl Into<String>, expected: impl Into<String>) {
        let (measured, expected) = (measured.into(), expected.into());
        let holds = measured == expected;
        self.add(clause, measured, expected, holds);
    }

    /// A clause that demands that there is none of `found`.
    pub(super) fn none(&mut self, clause: &'static str, found: &[String]) {
        self.equal(clause, list(found), "none");
    }
}

/// `items` separated by commas, or `none`.
pub(super) fn list(items: &[String]) -> String {
    if items.is_empty() { "none".into() } else { items.join(", ") }
}

/// The machine in `platform`'s target triple.
pub(super) fn machine_of(platform: &Platform) -> Result<&str> {
    match platform.machine() {
        machine @ ("x86_64" | "aarch64") => Ok(machine),
        _ => bail!("the contract has a target for no known machine: {}", platform.target),
    }
}
