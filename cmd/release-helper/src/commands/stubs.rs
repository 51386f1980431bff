//! `stubs`: what the program is linked against, made anew.

use std::path::PathBuf;

use anyhow::Result;

use crate::Verdict;
use crate::domain::build::stubs;
use crate::domain::source;
use crate::domain::toolchain::Toolchain;
use crate::plumbing::{files, output};

/// Exit status 0: every stub is what its text says; 1: with --check, one is not.
#[derive(clap::Args)]
pub struct Stubs {
    /// Write nothing; exit with 1 if a stub is not what its text says
    #[arg(long)]
    check: bool,
    /// The source tree [default: the one around the current directory]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

impl Stubs {
    pub fn run(&self) -> Result<Verdict> {
        let root = source::root(self.root.as_deref())?;
        let mut verdict = Verdict::Yes;
        for stub in stubs::make(&Toolchain::of_tree(&root)?, &root)? {
            let name = stub.path.strip_prefix(&root).unwrap_or(&stub.path).display();
            if stub.is_current() {
                output::step(format_args!("{name}: as its text says"));
            } else if self.check {
                verdict = Verdict::No;
                output::step(format_args!("{name}: not what its text says"));
            } else {
                files::write(&stub.path, &stub.made)?;
                output::step(format_args!("{name}: written"));
            }
        }
        Ok(verdict)
    }
}
