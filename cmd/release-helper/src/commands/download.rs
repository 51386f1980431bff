//! `download`: assets of a release, drafts included.

use std::path::PathBuf;

use anyhow::Result;

use crate::Verdict;
use crate::domain::releases::{self, runner};
use crate::plumbing::output::{print, print_json, step};

/// Prints the paths of the files, which have the size and digest that the API states.
#[derive(clap::Args)]
pub struct Download {
    /// The release's number, from `draft`
    #[arg(long, value_name = "N")]
    release_id: u64,
    /// Where to put the files
    #[arg(long, value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// Names of assets [default: all]
    #[arg(value_name = "ASSET")]
    assets: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: runner::Remote,
}

impl Download {
    pub fn run(&self) -> Result<Verdict> {
        let client = self.remote.client()?;
        let downloaded = releases::download(&client, self.release_id, &self.directory, &self.assets)?;
        step(format_args!(
            "{} assets of release {} ({} requests)",
            downloaded.len(),
            self.release_id,
            client.requests()
        ));
        if self.json {
            let assets = downloaded.iter().map(|asset| {
                serde_json::json!({
                    "name": asset.name, "path": asset.path, "size": asset.size, "sha256": asset.sha256,
                })
            });
            print_json(&assets.collect::<Vec<_>>())?;
        } else {
            print(downloaded.iter().map(|asset| format!("{}\n", asset.path.display())).collect::<String>())?;
        }
        Ok(Verdict::Yes)
    }
}
