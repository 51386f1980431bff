//! `build`: the artifacts of the source tree, into a directory.

use std::path::PathBuf;

use anyhow::Result;

use crate::Verdict;
use crate::build::{self, Backend, nix};
use crate::contract::Contract;
use crate::error::hinted;
use crate::interrupt::Scratch;
use crate::output::{self, Table};
use crate::{files, source};

#[derive(clap::Args)]
pub struct Build {
    /// The platforms to build [default: all]
    #[arg(value_name = "PLATFORM")]
    platforms: Vec<String>,
    /// What builds them
    #[arg(long, value_enum, default_value = "cargo")]
    backend: Backend,
    /// Build a second time and compare; Nix does this by itself
    #[arg(long)]
    rebuild: bool,
    /// Where to put the artifacts
    #[arg(long, value_name = "DIR", default_value = "dist")]
    out: PathBuf,
    /// The source tree [default: the one around the current directory]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

impl Build {
    pub fn run(&self) -> Result<Verdict> {
        let root = source::root(self.root.as_deref())?;
        let contract = Contract::of_tree(&root)?;
        let platforms = contract.select(&self.platforms)?;
        files::create_dir(&self.out)?;
        let scratch = Scratch::new()?;
        let artifacts = match (self.rebuild, self.backend) {
            (false, backend) => build::artifacts(backend, &contract, &platforms, &root, scratch.path())?,
            (true, Backend::Nix) => {
                let demands = nix::Demands { rebuild: true, ..nix::Demands::default() };
                nix::build(&platforms, &root, scratch.path(), &demands)?
            }
            (true, _) => return Err(hinted("only Nix can rebuild and compare", "add --backend nix")),
        };
        let mut table = Table::new(["platform", "size", "sha256"]);
        for artifact in &artifacts {
            files::write_executable(&self.out.join(&artifact.asset), &artifact.bytes)?;
            table.row([artifact.platform.clone(), artifact.bytes.len().to_string(), artifact.sha256.clone()]);
        }
        output::print(table)?;
        Ok(Verdict::Yes)
    }
}
