//! Provenance beside reproduction: what the release's attestations say, in the same verdict.
//!
//! The two say different things. `reproduced` is about bytes: anybody can find out. An attestation is about where they
//! came from: it takes Sigstore's word. So a missing one is no fault unless it is asked for, and a wrong one is.

use anyhow::Result;

use super::options::Demands;
use super::published::Published;
use super::verdict::{Answer, Row};
use crate::domain::contract::Contract;
use crate::domain::provenance::{Attested, Checker, Claim};

impl Demands {
    /// Fills in the column of `rows`, which are those of the platforms that were asked for. What is wrong makes the row
    /// differ; what is wrong with other platforms goes to `faults`.
    pub(super) fn judge(
        &self,
        contract: &Contract,
        published: &Published,
        tag: &str,
        commit: &str,
        rows: &mut [Row],
        faults: &mut Vec<String>,
    ) -> Result<()> {
        let checker = match &self.trusted_root {
            Some(root) => Checker::with_root(root)?,
            None => Checker::public_good()?,
        };
        let claim = self.repository.as_ref().map(|repository| Claim {
            repository: repository.clone(),
            signer: self.signer.clone(),
            tag: tag.to_owned(),
            commit: commit.to_owned(),
        });
        for platform in contract.platforms() {
            let Some(bytes) = published.files.get(&platform.asset) else { continue };
            let name = format!("{}{}", platform.asset, contract.attestation_suffix);
            let bundle = published.files.get(&name);
            let attested = checker.attested(bytes, bundle.map(Vec::as_slice), claim.as_ref());
            let fault = match &attested {
                Attested::Yes => None,
                Attested::Wrong(why) => Some(format!("{name}: {why}")),
                Attested::No(why) | Attested::NotChecked(why) => {
                    self.required.then(|| format!("its attestation is required: {why}"))
                }
            };
            match rows.iter_mut().find(|row| row.platform == platform.name) {
                Some(row) => {
                    row.attested = attested;
                    if let Some(fault) = fault {
                        row.verdict = Answer::Differs;
                        row.reasons.push(fault);
                    }
                }
                None => faults.extend(fault.map(|fault| format!("{}: {fault}", platform.asset))),
            }
        }
        Ok(())
    }
}
