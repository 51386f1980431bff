//! `inspect`: every clause of the contract, measured on artifacts.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::Verdict;
use crate::domain::artifact::inspect::Surroundings;
use crate::domain::artifact::{self, Inspection};
use crate::domain::contract::{Contract, Platform};
use crate::plumbing::error::{self, Hint};
use crate::plumbing::files::Regular;
use crate::plumbing::output::{self, Table};

#[derive(clap::Args)]
pub struct Inspect {
    /// The artifacts
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// The platform they are for [default: as the file's name says]
    #[arg(long)]
    platform: Option<String>,
    /// The version they must report [default: any one]
    #[arg(long, value_name = "X.Y.Z")]
    version: Option<String>,
    /// Print the clauses as JSON
    #[arg(long)]
    json: bool,
}

/// A file and what was found out about it.
#[derive(Serialize)]
struct Inspected<'a> {
    file: &'a Path,
    holds: bool,
    #[serde(flatten)]
    inspection: Inspection,
}

impl Inspect {
    pub fn run(&self) -> Result<Verdict> {
        let contract = Contract::embedded()?;
        if let Some(version) = &self.version {
            let plain = version.strip_prefix('v').unwrap_or(version);
            semver::Version::parse(plain)
                .with_context(|| format!("{version:?} is no version"))
                .hint("a version looks like 1.2.3 or 1.2.3-rc.1")?;
        }
        let mut inspected = Vec::new();
        let mut failures = Vec::new();
        for file in &self.files {
            match self.inspect(file, &contract).with_context(|| format!("cannot judge {}", file.display())) {
                Ok(inspection) => inspected.push(Inspected { file, holds: inspection.holds(), inspection }),
                Err(failure) => failures.push(failure),
            }
        }
        if self.json {
            output::print_json(&inspected)?;
        } else {
            for inspected in &inspected {
                print(inspected)?;
            }
        }
        // The last one is reported by `main`, with the exit code 2.
        if let Some(last) = failures.pop() {
            failures.iter().for_each(error::report);
            return Err(last);
        }
        Ok(Verdict::from_bool(inspected.iter().all(|inspected| inspected.holds)))
    }

    fn inspect(&self, file: &Path, contract: &Contract) -> Result<Inspection> {
        let platform = self.platform(file, contract)?;
        let file = Regular::open(file)?;
        let here = Surroundings::here();
        artifact::inspect_source(&file.source(), platform, contract, self.version.as_deref(), &here)
    }

    fn platform<'a>(&self, file: &Path, contract: &'a Contract) -> Result<&'a Platform> {
        if let Some(name) = &self.platform {
            return contract.platform(name);
        }
        let name = file.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        contract
            .platform_of_asset(name)
            .with_context(|| format!("{name:?} is not the name of an asset, so its platform is not known"))
            .hint("say which contract applies with --platform, such as --platform linux-amd64")
    }
}

fn print(inspected: &Inspected) -> Result<()> {
    let mut table = Table::new(["clause", "measured", "expected", "verdict"]);
    for clause in &inspected.inspection.clauses {
        let verdict = if clause.holds { "ok" } else { "BROKEN" };
        table.row([clause.clause.into(), clause.measured.clone(), clause.expected.clone(), verdict.into()]);
    }
    let broken = inspected.inspection.broken().count();
    let total = inspected.inspection.clauses.len();
    let verdict = match broken {
        0 => format!("fulfils all {total} clauses of {}", inspected.inspection.platform),
        _ => format!("breaks {broken} of {total} clauses of {}", inspected.inspection.platform),
    };
    output::print(format_args!("{}\n{table}{verdict}\n\n", inspected.file.display()))
}
