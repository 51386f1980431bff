//! `finalize`: a complete draft becomes a release.

use std::path::PathBuf;

use anyhow::Result;

use crate::Verdict;
use crate::domain::contract::Contract;
use crate::domain::releases::{self, Expectation, Sums, runner};
use crate::plumbing::output::{print, print_json, step};

/// Demands exactly the contract's assets, checks their bytes, adds the sums, publishes, reads back.
#[derive(clap::Args)]
pub struct Finalize {
    /// The release's number, from `draft`
    #[arg(long, value_name = "N")]
    release_id: u64,
    /// Digests recorded by the builders: what `upload` printed
    #[arg(long, value_name = "FILE", num_args = 1..)]
    records: Vec<PathBuf>,
    /// Demand a build record and an attestation beside every artifact
    #[arg(long)]
    with_companions: bool,
    /// Do not mark it as the latest release, even if no newer version is out
    #[arg(long)]
    not_latest: bool,
    /// The commit that the tag must mean on the server
    #[arg(long, value_name = "SHA")]
    commit: Option<String>,
    /// Leave assets of other names alone: for a release that holds more than this program
    #[arg(long)]
    among_others: bool,
    /// Leave the complete draft a draft: somebody else publishes it
    #[arg(long)]
    keep_draft: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: runner::Remote,
}

impl Finalize {
    pub fn run(&self) -> Result<Verdict> {
        let client = self.remote.client()?;
        let contract = Contract::embedded()?;
        let mut records = Sums::default();
        for path in &self.records {
            records.merge(&Sums::read(path)?)?;
        }
        let mut expected = Expectation {
            latest: !self.not_latest,
            commit: self.commit.clone(),
            among_others: self.among_others,
            publish: !self.keep_draft,
            ..Expectation::of(&contract, records)
        };
        if self.with_companions {
            expected.names.extend(contract.companions());
        }
        let finalized = releases::finalize(&client, self.release_id, &expected)?;
        let how = match (finalized.published_now, finalized.sums_restored) {
            _ if finalized.draft => "is complete, and stays a draft",
            (true, _) => "published",
            (false, false) => "was published already, and is as it must be",
            (false, true) => "was published already, but without its sums: they were put back, and it is as it must be",
        };
        step(format_args!("{} {how}: {} ({} requests)", finalized.tag, finalized.url, client.requests()));
        runner::output("url", &finalized.url)?;
        runner::summary(&format!("[{}]({}) {how}.\n\n```\n{}```\n\n", finalized.tag, finalized.url, finalized.sums))?;
        if self.json {
            let sums: std::collections::BTreeMap<_, _> = finalized.sums.iter().collect();
            print_json(&serde_json::json!({
                "tag": finalized.tag, "url": finalized.url, "draft": finalized.draft, "published_now": finalized.published_now,
                "sums_restored": finalized.sums_restored, "sha256": sums,
            }))?;
        } else {
            print(&finalized.sums)?;
        }
        Ok(Verdict::Yes)
    }
}
