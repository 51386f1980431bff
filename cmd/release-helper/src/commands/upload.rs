//! `upload`: files become assets of a draft.

use std::path::PathBuf;

use anyhow::Result;

use crate::Verdict;
use crate::domain::contract::Contract;
use crate::domain::releases::{self, Rules, runner};
use crate::plumbing::output::{print, print_json, step};

/// Prints the digests of the assets as `sha256sum` does: the records for `finalize --records`.
#[derive(clap::Args)]
pub struct Upload {
    /// The release's number, from `draft`
    #[arg(long, value_name = "N")]
    release_id: u64,
    /// Artifacts, under the names of their assets
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: runner::Remote,
}

impl Upload {
    pub fn run(&self) -> Result<Verdict> {
        let client = self.remote.client()?;
        let contract = Contract::embedded()?;
        let uploaded = releases::upload(&client, self.release_id, &self.files, &Rules::of(&contract))?;
        step(format_args!("{} assets of release {} ({} requests)", uploaded.len(), self.release_id, client.requests()));
        let records: String = uploaded.iter().map(|asset| format!("{}  {}\n", asset.sha256, asset.name)).collect();
        runner::output("records", &records)?;
        let mut summary = "| asset | bytes | sha256 | |\n| --- | ---: | --- | --- |\n".to_owned();
        for asset in &uploaded {
            summary += &format!("| {} | {} | `{}` | {} |\n", asset.name, asset.size, asset.sha256, asset.outcome);
        }
        runner::summary(&format!("{summary}\n"))?;
        if self.json {
            let assets = uploaded.iter().map(|asset| {
                serde_json::json!({
                    "name": asset.name, "size": asset.size, "sha256": asset.sha256, "outcome": asset.outcome.to_string(),
                })
            });
            print_json(&assets.collect::<Vec<_>>())?;
        } else {
            print(records)?;
        }
        Ok(Verdict::Yes)
    }
}
