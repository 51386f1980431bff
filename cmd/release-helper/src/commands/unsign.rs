//! `unsign`: Mach-O files without their signatures.

use std::path::PathBuf;

use anyhow::{Result, ensure};

use super::sign::each;
use crate::Verdict;
use crate::domain::codesign::{self, Outcome};
use crate::plumbing::output;

#[derive(clap::Args)]
pub struct Unsign {
    /// The Mach-O files, thin or fat
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Write the result here and leave FILE alone
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Write nothing; exit with 1 if a file has a signature
    #[arg(long, conflicts_with = "output")]
    check_only: bool,
}

impl Unsign {
    pub fn run(&self) -> Result<Verdict> {
        ensure!(
            self.output.is_none() || self.files.len() == 1,
            "--output takes the result of one file, but {} are given",
            self.files.len()
        );
        each(&self.files, |file| {
            let output = self.output.as_deref().unwrap_or(file);
            match codesign::unsign_file(file, output, self.check_only)? {
                Outcome::Changed if self.check_only => {
                    output::step(format!("{}: has a signature", file.display()));
                    return Ok(Verdict::No);
                }
                Outcome::Unchanged => output::step(format!("{}: has no signature", file.display())),
                Outcome::Changed => output::step(format!("{}: signature removed", output.display())),
            }
            Ok(Verdict::Yes)
        })
    }
}
