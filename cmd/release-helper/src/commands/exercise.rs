//! `exercise`: runs an artifact on this machine and in containers.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::Verdict;
use crate::contract::Contract;
use crate::error::{Hint, hinted};
use crate::exercise::{Trial, exercise, in_container, quarantined};
use crate::output::{self, Table};
use crate::releases::runner;
use crate::source;

/// Run an artifact: its version, real libraries that must load, and a missing one that must not
#[derive(clap::Args)]
pub struct Exercise {
    /// The artifact, under the name of its asset
    file: PathBuf,
    /// The version it must tell
    #[arg(long, value_name = "X.Y.Z")]
    version: String,
    /// Run it in the contract's container images too (needs Docker)
    #[arg(long)]
    containers: bool,
}

impl Exercise {
    pub fn run(&self) -> Result<Verdict> {
        let contract = Contract::embedded()?;
        let name = self.file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let platform = contract
            .platform_of_asset(name)
            .with_context(|| format!("{name:?} is not the name of an asset"))
            .hint(format!("name the file as the release does, such as {}-linux-amd64", contract.binary))?;
        let mut trials = vec![(
            "this machine".to_owned(),
            exercise(platform, &self.version, &self.file, source::root(None).ok().as_deref())?,
        )];
        if self.containers {
            for image in &platform.test_containers {
                trials.push((image.clone(), in_container(image, &self.version, &self.file)?));
            }
        }
        let mut table = Table::new(["where", "outcome"]);
        let mut told: Vec<String> = Vec::new();
        for (place, trial) in &trials {
            table.row([place.clone(), trial.to_string()]);
            told.push(format!("{place}: {trial}"));
        }
        if platform.is_darwin() && cfg!(target_os = "macos") {
            let outcome = quarantined(&self.file)?;
            table.row(["this machine".to_owned(), outcome.to_owned()]);
            told.push(outcome.to_owned());
        }
        output::print(table)?;
        runner::output("trials", &serde_json::to_string(&told).context("cannot encode JSON")?)?;
        if trials.iter().any(|(_, trial)| matches!(trial, Trial::Ran { .. } | Trial::StandIn)) {
            return Ok(Verdict::Yes);
        }
        Err(hinted(
            format_args!("{name} could not load a single library here"),
            format!("run this on a machine of its kind ({}), with --containers if it has Docker", platform.runner),
        ))
    }
}
