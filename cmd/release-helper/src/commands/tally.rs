//! `tally`: which assets independent rebuilders agree on.

use std::path::PathBuf;

use anyhow::Result;

use crate::Verdict;
use crate::contract::Contract;
use crate::output::{self, Table};
use crate::releases::Sums;
use crate::tally;

/// Exit status 0: enough rebuilders agree on every asset; 1: too few, or somebody disagrees; 2: could not tell.
#[derive(clap::Args)]
pub struct Tally {
    /// The directory of one release's statements and their signatures, such as verifications/v1.2.3
    directory: PathBuf,
    /// The directory with allowed_signers and minisign keys [default: the one above]
    #[arg(long, value_name = "DIR")]
    signers: Option<PathBuf>,
    /// The published sums, to compare with
    #[arg(long, value_name = "FILE")]
    sums: Option<PathBuf>,
    /// How many rebuilders must agree
    #[arg(long, value_name = "N", default_value_t = 1)]
    min: usize,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
}

impl Tally {
    pub fn run(&self) -> Result<Verdict> {
        let signers = self.signers.clone().unwrap_or_else(|| self.directory.join(".."));
        let sums = self.sums.as_deref().map(Sums::read).transpose()?;
        let wanted = self.min.max(1);
        let tally = tally::tally(&Contract::embedded()?, &self.directory, &signers, sums.as_ref(), wanted)?;
        if self.json {
            output::print_json(&tally)?;
        } else {
            let mut table = Table::new(["asset", "agree", "sha256", "rebuilders"]);
            for count in &tally.assets {
                if count.digests.is_empty() {
                    table.row([count.asset.clone(), "0".into(), "none".into(), String::new()]);
                }
                for (digest, who) in &count.digests {
                    let agree = count.agreeing().map_or_else(|| "NO".to_owned(), |agreeing| agreeing.to_string());
                    let who: Vec<_> = who.iter().map(String::as_str).collect();
                    table.row([count.asset.clone(), agree, digest.clone(), who.join(", ")]);
                }
            }
            output::print(table)?;
        }
        for (file, why) in &tally.ignored {
            output::step(format_args!("not counted: {file}: {why}"));
        }
        Ok(Verdict::from_bool(tally.holds()))
    }
}
