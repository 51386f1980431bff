//! `exercise`: runs an artifact on this machine and in containers.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::Verdict;
use crate::domain::contract::{Contract, Platform};
use crate::domain::exercise::{Trial, exercise, image_name, in_container, quarantined};
use crate::domain::releases::runner;
use crate::domain::source;
use crate::plumbing::error::{Hint, hinted};
use crate::plumbing::output::{self, Table};

/// Run an artifact: its version, real libraries that must load, and a missing one that must not
#[derive(clap::Args)]
pub struct Exercise {
    /// The artifact, under the name of its asset
    file: PathBuf,
    /// The version it must tell, or the release's tag
    #[arg(long, value_name = "X.Y.Z")]
    version: String,
    /// Run it in the contract's container images too (needs Docker)
    #[arg(long)]
    containers: bool,
    /// Only see what macOS does to it when it comes from a browser; whatever that is, nothing depends on it
    #[arg(long, conflicts_with = "containers")]
    quarantined: bool,
}

impl Exercise {
    pub fn run(&self) -> Result<Verdict> {
        let contract = Contract::embedded()?;
        let name = self.file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let platform = contract
            .platform_of_asset(name)
            .with_context(|| format!("{name:?} is not the name of an asset"))
            .hint(format!("name the file as the release does, such as {}-linux-amd64", contract.binary))?;
        let version = self.version.strip_prefix('v').unwrap_or(&self.version);
        if self.quarantined {
            return self.quarantined(platform);
        }
        let mut trials = vec![(
            "this machine".to_owned(),
            exercise(platform, version, &self.file, source::root(None).ok().as_deref())?,
        )];
        if self.containers {
            for image in &platform.test_containers {
                trials.push((image_name(image).to_owned(), in_container(image, version, &self.file)?));
            }
        }
        let mut table = Table::new(["where", "outcome"]);
        let mut told: Vec<String> = Vec::new();
        for (place, trial) in &trials {
            table.row([place.clone(), trial.to_string()]);
            told.push(format!("{place}: {trial}"));
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

    fn quarantined(&self, platform: &Platform) -> Result<Verdict> {
        if !(platform.is_darwin() && cfg!(target_os = "macos")) {
            return Err(hinted("only macOS quarantines files", "run this on a Mac, for an artifact of macOS"));
        }
        let outcome = quarantined(&self.file)?;
        output::print(format_args!("{outcome}\n"))?;
        runner::summary(&format!("{}: {outcome}\n\n", platform.name))?;
        Ok(Verdict::Yes)
    }
}
