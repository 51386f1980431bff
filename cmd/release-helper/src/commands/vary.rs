//! `vary`: builds under varied surroundings; names the variation that changes a byte.

use std::path::PathBuf;

use anyhow::Result;

use crate::Verdict;
use crate::domain::contract::Contract;
use crate::domain::source;
use crate::domain::toolchain::Toolchain;
use crate::jobs::vary::{self, Outcome, Subject};
use crate::plumbing::output::{self, Table};

#[derive(clap::Args)]
pub struct Vary {
    /// A platform to build; may be given several times [default: all]
    #[arg(long = "platform", value_name = "PLATFORM")]
    platforms: Vec<String>,
    /// How many varied builds to make [default: one with all variations, one with each alone]
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// The source tree [default: the one around the current directory]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

impl Vary {
    pub fn run(&self) -> Result<Verdict> {
        let root = source::root(self.root.as_deref())?;
        let contract = Contract::of_tree(&root)?;
        let platforms = contract.select(&self.platforms)?;
        let toolchain = Toolchain::of_tree(&root)?;
        toolchain.ensure_targets(&platforms)?;
        let subject = Subject { toolchain: &toolchain, contract: &contract, platforms: &platforms, tree: &root };
        let outcome = vary::vary(&subject, self.rounds.unwrap_or_else(vary::default_rounds))?;
        if self.json {
            output::print_json(&outcome)?;
        } else {
            output::print(table(&outcome))?;
            conclude(&outcome);
        }
        Ok(Verdict::from_bool(outcome.holds()))
    }
}

fn table(outcome: &Outcome) -> Table {
    let mut table = Table::new(["variation", "rounds", "bytes", "what is different"]);
    for tried in &outcome.variations {
        let guilty = outcome.culprits.iter().any(|culprit| culprit.variations.contains(&tried.name));
        let (bytes, what) = match &tried.obstacle {
            _ if guilty => ("DIFFER", tried.what.to_owned()),
            Some(obstacle) => ("not tried", format!("{}: {obstacle}", tried.what)),
            None if tried.rounds == 0 => ("not tried", tried.what.to_owned()),
            None => ("same", tried.what.to_owned()),
        };
        table.row([tried.name.into(), tried.rounds.to_string(), bytes.into(), what]);
    }
    table
}

/// Says to people what it comes to.
fn conclude(outcome: &Outcome) {
    for culprit in &outcome.culprits {
        match culprit.variations.as_slice() {
            [] => {
                output::step("\nbytes change with nothing varied: by chance, such as addresses or the order of threads")
            }
            names => output::step(format_args!("\nbytes change with: {}", names.join(" and "))),
        }
        culprit.effects.iter().for_each(|effect| output::step(format_args!("  {effect}")));
    }
    if outcome.holds() {
        let (rounds, tried, platforms) = (outcome.rounds, outcome.tried(), outcome.platforms.len());
        output::step(format_args!("\n{rounds} rounds, {tried} variations, {platforms} platforms: no byte differs"));
    }
}
