//! `summary`: what the jobs of a release hand on to each other, and what the run tells people.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::Verdict;
use crate::domain::contract::Contract;
use crate::domain::releases::{Sums, runner};
use crate::jobs::summary::{self, Leg};
use crate::plumbing::error::Hint;
use crate::plumbing::{digest, files, output};

#[derive(clap::Subcommand)]
pub enum Summary {
    /// Report one leg of a matrix as an output named after its platform
    Leg(LegArguments),
    /// Tell what earlier jobs recorded of the files they handed on, and demand that a directory holds those
    Records(RecordsArguments),
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
    /// The directory with the files that are handed on to other jobs, to have their digests in the report
    #[arg(long, value_name = "DIR")]
    files: Option<PathBuf>,
    /// The workflow's `steps` context
    #[arg(long, value_name = "JSON")]
    steps: String,
}

#[derive(clap::Args)]
pub struct RecordsArguments {
    /// A file to write them to, for `finalize --records`
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The directory that must hold these files and no others
    #[arg(long, value_name = "DIR")]
    files: Option<PathBuf>,
    /// The platform whose files are meant [default: all]
    #[arg(long)]
    platform: Option<String>,
    /// The workflow's `needs` context
    #[arg(long, value_name = "JSON")]
    needs: String,
}

#[derive(clap::Args)]
pub struct ReleaseArguments {
    /// The workflow's `needs` context
    #[arg(long, value_name = "JSON")]
    needs: String,
}

impl Summary {
    pub fn run(&self) -> Result<Verdict> {
        let contract = Contract::embedded()?;
        match self {
            Self::Leg(arguments) => arguments.run(&contract)?,
            Self::Records(arguments) => arguments.run(&contract)?,
            Self::Release(arguments) => tell(&summary::release(&contract, &context("needs", &arguments.needs)?))?,
        }
        Ok(Verdict::Yes)
    }
}

impl LegArguments {
    fn run(&self, contract: &Contract) -> Result<()> {
        let platform = contract.platform(&self.platform)?;
        let bytes = if self.artifact.exists() { Some(files::read(&self.artifact)?) } else { None };
        let artifact = bytes.map(|bytes| (bytes.len() as u64, digest::sha256(&bytes)));
        let files = match &self.files {
            Some(directory) if directory.is_dir() => Sums::of_directory(directory)?,
            _ => Sums::default(),
        };
        let leg = Leg::new(&context("steps", &self.steps)?, artifact, &files);
        runner::output(&platform.name, &serde_json::to_string(&leg).context("cannot encode JSON")?)?;
        tell(&leg.line(&platform.name))
    }
}

impl RecordsArguments {
    fn run(&self, contract: &Contract) -> Result<()> {
        let platform = self.platform.as_deref().map(|name| contract.platform(name)).transpose()?;
        let records = summary::records(contract, &context("needs", &self.needs)?, platform)?;
        if let Some(directory) = &self.files {
            records.ensure_directory(directory)?;
        }
        if let Some(out) = &self.out {
            files::write(out, records.to_string().as_bytes())?;
        }
        output::print(&records)
    }
}

fn tell(markdown: &str) -> Result<()> {
    runner::summary(markdown)?;
    output::print(markdown)
}

fn context<T: serde::de::DeserializeOwned>(name: &str, json: &str) -> Result<BTreeMap<String, T>> {
    serde_json::from_str(json)
        .with_context(|| format!("this is not a workflow's {name} context: {json:?}"))
        .hint(format!("a step has it as ${{{{ toJSON({name}) }}}} in its env"))
}
