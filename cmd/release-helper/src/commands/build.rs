//! `build`: the artifacts of the source tree, into a directory.

use std::path::PathBuf;

use anyhow::Result;

use crate::Verdict;
use crate::build::{Backend, cargo, nix};
use crate::contract::Contract;
use crate::error::hinted;
use crate::interrupt::Scratch;
use crate::output::{self, Table};
use crate::toolchain::Toolchain;
use crate::{files, record, source};

#[derive(clap::Args)]
pub struct Build {
    /// The platforms to build [default: all]
    #[arg(value_name = "PLATFORM")]
    platforms: Vec<String>,
    /// What builds them [default: cargo, or nix where the toolchain is missing]
    #[arg(long, value_enum)]
    backend: Option<Backend>,
    /// With --backend nix: let Nix build a second time and compare
    #[arg(long)]
    rebuild: bool,
    /// Where to put the artifacts
    #[arg(long, value_name = "DIR", default_value = "dist")]
    out: PathBuf,
    /// Write a build record beside each artifact, to be published, and what is particular to this machine, which is not
    #[arg(long)]
    record: bool,
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
        if self.rebuild && self.backend != Some(Backend::Nix) {
            return Err(hinted("only Nix can rebuild and compare", "add --backend nix"));
        }
        let toolchain = Toolchain::of_tree(&root);
        let fallback = if toolchain.is_ok() { Backend::Cargo } else { Backend::Nix };
        let artifacts = match self.backend.unwrap_or(fallback) {
            Backend::Nix => {
                let demands = nix::Demands { rebuild: self.rebuild, ..nix::Demands::default() };
                nix::build(&platforms, &root, scratch.path(), &demands)?
            }
            Backend::Cargo => {
                let toolchain = toolchain?;
                toolchain.ensure_targets(&platforms)?;
                cargo::build(&toolchain, &contract, &platforms, &root, scratch.path(), &cargo::Surroundings::default())?
            }
        };
        let mut table = Table::new(["platform", "size", "sha256"]);
        for artifact in &artifacts {
            files::write_executable(&self.out.join(&artifact.asset), &artifact.bytes)?;
            table.row([artifact.platform.clone(), artifact.bytes.len().to_string(), artifact.sha256.clone()]);
        }
        if self.record {
            let toolchain = Toolchain::of_tree(&root)?;
            // The version is injected, not committed: it is the tag's, and the record states it by itself.
            let commit = source::commit(&root, "HEAD")?;
            let backend = match self.backend {
                Backend::Nix => "nix",
                Backend::Cargo => "cargo",
            };
            for record in record::records(&contract, &toolchain, &root, Some(&commit), backend, &artifacts)? {
                files::write(&self.out.join(record::name(&record.asset)), &record.to_bytes()?)?;
            }
            let host = serde_json::to_vec_pretty(&record::host(&toolchain, backend)?)?;
            files::write(&self.out.join("build-host.json"), &host)?;
        }
        output::print(table)?;
        Ok(Verdict::Yes)
    }
}
