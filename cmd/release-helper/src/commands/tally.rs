//! `tally`: which assets independent rebuilders agree on.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

use crate::Verdict;
use crate::domain::contract::Contract;
use crate::domain::releases::Sums;
use crate::domain::source;
use crate::jobs::tally::{self, Question};
use crate::plumbing::error::Hint;
use crate::plumbing::output::{self, Table};

/// Exit status 0: enough rebuilders agree on every asset; 1: too few, or somebody disagrees; 2: could not tell.
#[derive(clap::Args)]
pub struct Tally {
    /// The directory of one release's statements and their signatures, such as verifications/v1.2.3
    directory: PathBuf,
    /// The release's tag; statements about another one do not count
    #[arg(long)]
    tag: String,
    /// The commit that the tag must mean [default: what it means in this repository]
    #[arg(long, value_name = "SHA")]
    commit: Option<String>,
    /// Whose statements count: allowed signers [default: verifications/allowed_signers of this repository]
    #[arg(long, value_name = "FILE")]
    keys: Option<PathBuf>,
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
        let commit = self.commit()?;
        let keys = match &self.keys {
            Some(keys) => keys.clone(),
            None => source::root(None)
                .hint("run this in a checkout of the repository, or name the trusted keys with --keys")?
                .join("verifications/allowed_signers"),
        };
        let sums = self.sums.as_deref().map(Sums::read).transpose()?;
        let tally = tally::tally(&Question {
            contract: &Contract::embedded()?,
            directory: &self.directory,
            keys: &keys,
            tag: &self.tag,
            commit: &commit,
            sums: sums.as_ref(),
            wanted: self.min.max(1),
        })?;
        if self.json {
            output::print_json(&tally)?;
        } else {
            output::print(format_args!("{} at {commit}, as signed by those in {}\n\n", self.tag, keys.display()))?;
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
        for (who, asset) in &tally.contradictions {
            output::step(format_args!("not counted: {who} contradicts itself about {asset}"));
        }
        for (file, why) in &tally.ignored {
            output::step(format_args!("not counted: {file}: {why}"));
        }
        Ok(Verdict::from_bool(tally.holds()))
    }

    /// The commit that must have been rebuilt.
    fn commit(&self) -> Result<String> {
        let commit = match &self.commit {
            Some(commit) => commit.to_ascii_lowercase(),
            None => source::root(None)
                .and_then(|root| source::commit(&root, &format!("refs/tags/{}", self.tag)))
                .with_context(|| format!("cannot tell which commit {} means", self.tag))
                .hint("fetch the tag, or say with --commit what you checked out")?,
        };
        let is_hash = [40, 64].contains(&commit.len()) && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        let check = || -> Result<()> {
            ensure!(is_hash, "{commit:?} is no full hash of a commit");
            Ok(())
        };
        check().hint("`git rev-parse TAG^{commit}` prints it")?;
        Ok(commit)
    }
}
