//! `summary leg` and `summary release`: what a run of the release workflow tells people.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::Verdict;
use crate::contract::Contract;
use crate::error::Hint;
use crate::releases::runner;
use crate::summary::{self, Leg};
use crate::{digest, files, output};

#[derive(clap::Subcommand)]
pub enum Summary {
    /// Report one leg of a matrix as an output named after its platform
    Leg(LegArguments),
    /// Sum up the whole run in Markdown
    Release(ReleaseArguments),
}

#[derive(clap::Args)]
pub struct LegArguments {
    /// The platform of the leg
    platform: String,
    /// The leg's artifact, if it got that far
    #[arg(long, value_name = "FILE")]
    artifact: PathBuf,
    /// The workflow's `steps` context
    #[arg(long, env = "STEPS", value_name = "JSON")]
    steps: String,
}

#[derive(clap::Args)]
pub struct ReleaseArguments {
    /// The workflow's `needs` context
    #[arg(long, env = "NEEDS", value_name = "JSON")]
    needs: String,
}

impl Summary {
    pub fn run(&self) -> Result<Verdict> {
        let contract = Contract::embedded()?;
        let text = match self {
            Self::Leg(arguments) => {
                let platform = contract.platform(&arguments.platform)?;
                let bytes = if arguments.artifact.exists() { Some(files::read(&arguments.artifact)?) } else { None };
                let artifact = bytes.map(|bytes| (bytes.len() as u64, digest::sha256(&bytes)));
                let leg = Leg::new(&context("steps", &arguments.steps)?, artifact);
                runner::output(&platform.name, &serde_json::to_string(&leg).context("cannot encode JSON")?)?;
                leg.line(&platform.name)
            }
            Self::Release(arguments) => summary::release(&contract, &context("needs", &arguments.needs)?),
        };
        runner::summary(&text)?;
        output::print(text)?;
        Ok(Verdict::Yes)
    }
}

fn context<T: serde::de::DeserializeOwned>(name: &str, json: &str) -> Result<BTreeMap<String, T>> {
    serde_json::from_str(json)
        .with_context(|| format!("this is not a workflow's {name} context: {json:?}"))
        .hint(format!("a step sets {}: ${{{{ toJSON({name}) }}}} in its env", name.to_uppercase()))
}
