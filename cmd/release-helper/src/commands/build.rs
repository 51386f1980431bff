//! `build`: the artifacts of the source tree, into a directory.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::Verdict;
use crate::domain::build::{Artifact, Backend, cargo, nix};
use crate::domain::contract::{self, Contract};
use crate::domain::toolchain::Toolchain;
use crate::domain::version::Tag;
use crate::domain::{record, source, version};
use crate::plumbing::error::{Hint, hinted};
use crate::plumbing::files;
use crate::plumbing::interrupt::Scratch;
use crate::plumbing::output::{self, Table};

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
    /// Write a build record beside each artifact: what it was made of
    #[arg(long)]
    record: bool,
    /// Write what is particular to this machine, which is no part of a release
    #[arg(long, value_name = "FILE", requires = "record")]
    host_record: Option<PathBuf>,
    /// Build the tree of this tag, with its version injected, instead of the files as they are
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// The source tree [default: the one around the current directory]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

impl Build {
    pub fn run(&self) -> Result<Verdict> {
        let mut root = source::root(self.root.as_deref())?;
        let scratch = Scratch::new()?;
        if let Some(tag) = &self.tag {
            root = tagged(&root, &tag.parse()?, scratch.path())?;
        }
        let contract = Contract::of_tree(&root)?;
        let platforms = contract.select(&self.platforms)?;
        files::create_dir(&self.out)?;
        if self.rebuild && self.backend != Some(Backend::Nix) {
            return Err(hinted("only Nix can rebuild and compare", "add --backend nix"));
        }
        let installed = match self.backend {
            Some(Backend::Nix) => None, // Nix brings its own
            Some(Backend::Cargo) => Some(Toolchain::of_tree(&root)?),
            None => Toolchain::of_tree(&root).ok(),
        };
        let backend = if installed.is_some() { Backend::Cargo } else { Backend::Nix };
        let (artifacts, toolchains) = if let Some(toolchain) = installed {
            toolchain.ensure_targets(&platforms)?;
            let surroundings = cargo::Surroundings::default();
            let artifacts = cargo::build(&toolchain, &contract, &platforms, &root, scratch.path(), &surroundings)?;
            (artifacts, vec![toolchain])
        } else {
            let demands = nix::Demands { rebuild: self.rebuild, toolchains: self.record, ..nix::Demands::default() };
            let nix::Product { artifacts, toolchains } = nix::build(&platforms, &root, scratch.path(), &demands)?;
            (artifacts, toolchains)
        };
        let mut table = Table::new(["platform", "size", "sha256"]);
        for artifact in &artifacts {
            files::write_executable(&self.out.join(&artifact.asset), &artifact.bytes)?;
            table.row([artifact.platform.clone(), artifact.bytes.len().to_string(), artifact.sha256.clone()]);
        }
        if self.record {
            self.write_records(backend, &contract, &root, &artifacts, &toolchains)?;
        }
        output::print(table)?;
        Ok(Verdict::Yes)
    }

    fn write_records(
        &self,
        backend: Backend,
        contract: &Contract,
        root: &Path,
        artifacts: &[Artifact],
        toolchains: &[Toolchain],
    ) -> Result<()> {
        let injected = version::statements(root)?.map(|statement| statement.path);
        let commit = source::commit_but_for(root, &injected)?;
        let backend = if backend == Backend::Nix { "nix" } else { "cargo" };
        // Nix has a toolchain for each artifact, cargo one for all.
        let each = if toolchains.len() > 1 { 1 } else { artifacts.len() };
        for (toolchain, artifacts) in toolchains.iter().zip(artifacts.chunks(each)) {
            for record in record::records(contract, toolchain, root, commit.as_deref(), backend, artifacts)? {
                files::write(&self.out.join(contract::record_name(&record.asset)), &record.to_bytes()?)?;
            }
        }
        if let (Some(path), Some(toolchain)) = (&self.host_record, toolchains.first()) {
            files::write(path, &serde_json::to_vec_pretty(&record::host(toolchain, backend)?)?)?;
        }
        Ok(())
    }
}

/// The tree of `tag`, with its version injected, below `scratch`. Where `root` is a git checkout it has the tag; a tree
/// without git, such as Nix makes of a flake's reference, is taken for the tag's.
fn tagged(root: &Path, tag: &Tag, scratch: &Path) -> Result<PathBuf> {
    let tree = scratch.join("tree");
    if root.join(".git").exists() {
        let commit = source::commit(root, &format!("refs/tags/{tag}"))
            .with_context(|| format!("{} has no tag {tag}", root.display()))
            .hint("fetch it with `git fetch --tags`")?;
        source::export(root, &commit, source::Part::All, &tree)?;
    } else {
        output::step(format_args!("{} is no git checkout: it must be the tree of {tag}", root.display()));
        source::copy(root, &tree)?;
    }
    version::inject(&tree, tag)?;
    Ok(tree)
}
