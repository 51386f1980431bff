//! `platforms`: the contract as a table or JSON.

use anyhow::Result;

use crate::Verdict;
use crate::domain::contract::Contract;
use crate::plumbing::output::{self, Table};

#[derive(clap::Args)]
pub struct Platforms {
    /// Print the whole contract as JSON
    #[arg(long)]
    json: bool,
}

impl Platforms {
    pub fn run(&self) -> Result<Verdict> {
        let contract = Contract::embedded()?;
        if self.json {
            output::print_json(&contract)?;
        } else {
            let mut table = Table::new(["platform", "target", "runner", "libc", "asset"]);
            for platform in contract.platforms() {
                table.row([
                    platform.name.clone(),
                    platform.target.clone(),
                    platform.runner.clone(),
                    platform.libc.to_string(),
                    platform.asset.clone(),
                ]);
            }
            output::print(table)?;
        }
        Ok(Verdict::Yes)
    }
}
