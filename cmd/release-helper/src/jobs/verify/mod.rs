//! Bit-for-bit verification: takes a published release, rebuilds its artifacts from the tagged commit, compares.
//! One verdict for each platform; `reproduced` is only said when the release as a whole is what it should be.

pub mod attest;
mod attested;
mod judge;
mod options;
mod published;
mod rebuild;
pub mod report;
mod tree;
mod verdict;

use std::path::Path;

use anyhow::{Context, Result};

use crate::domain::build::{Artifact, Backend, expressions};
use crate::domain::contract::{self, Contract};
use crate::domain::record::Record;
use crate::domain::source::{Part, recipe};
use crate::domain::toolchain::{self, Toolchain};
use crate::domain::version::{self, Tag};
use crate::jobs::vary;
use crate::plumbing::digest;
use crate::plumbing::error::hinted;
use crate::plumbing::interrupt::Scratch;
use crate::plumbing::place;

pub use options::{Demands, Options, Whose};
pub use published::Published;
use rebuild::Rebuild;
pub use verdict::{Answer, Report, Row};

/// Verifies `published`.
pub fn verify(options: &Options, published: &Published) -> Result<Report> {
    Rebuilt::new(options, published)?.judge(published)
}

/// The rebuilt artifacts of a tag, to hold a release against.
pub struct Rebuilt {
    tag: Tag,
    source: tree::Source,
    contract: Contract,
    whose: Whose,
    /// How the tag's contract is not this helper's.
    contract_faults: Vec<String>,
    rebuild: Rebuild,
    /// The names of the platforms that were asked for.
    platforms: Vec<String>,
    attestations: Demands,
    variations: Option<vary::Outcome>,
}

impl Rebuilt {
    /// Finds the commit of the tag, and rebuilds it.
    pub fn new(options: &Options, published: &Published) -> Result<Self> {
        let source = tree::find(options, published)?;
        let scratch = Scratch::new()?;
        let (clone, mut tree) = (scratch.path().join("clone"), scratch.path().join("tree"));
        source.export(Part::Program, &clone, &tree)?;
        recipe::check(&tree)?;
        let (contract, contract_faults) = judge::contract(options.contract, &tree)?;
        // What is missing on this machine Nix may have; what is refused stays refused.
        toolchain::channel(&tree)?;
        let toolchain = Toolchain::of_tree(&tree);
        // Cargo answers in seconds what Nix has to fetch first.
        let backend = options.backend.unwrap_or(if toolchain.is_ok() { Backend::Cargo } else { Backend::Nix });
        if backend == Backend::Nix {
            tree = scratch.path().join("flake");
            source.export(Part::All, &clone, &tree)?;
            expressions::put(&tree)?;
        }
        version::inject(&tree, &options.tag)?;
        let platforms = contract.select(&options.platforms)?;
        let job = rebuild::Job { backend, contract: &contract, platforms: &platforms, tree: &tree, tag: &options.tag };
        let rebuild = job.run(toolchain, &source.commit, &scratch)?;
        let variations = match (&rebuild.toolchain, options.rounds) {
            (_, 0) => None,
            (None, _) => anyhow::bail!("varied rebuilds need cargo and the toolchain of rust-toolchain.toml"),
            (Some(toolchain), rounds) => {
                let platforms = rebuild.platforms(&contract)?;
                let subject = vary::Subject { toolchain, contract: &contract, platforms: &platforms, tree: &tree };
                Some(vary::vary(&subject, rounds)?)
            }
        };
        let platforms = platforms.into_iter().map(|platform| platform.name.clone()).collect();
        let (tag, whose) = (options.tag.clone(), options.contract);
        let attestations = options.attestations.clone();
        Ok(Self { tag, source, contract, whose, contract_faults, rebuild, platforms, attestations, variations })
    }

    /// The rebuilt artifacts.
    pub fn artifacts(&self) -> &[Artifact] {
        &self.rebuild.artifacts
    }

    /// The records of the rebuilt artifacts.
    pub fn records(&self) -> &[Record] {
        &self.rebuild.records
    }

    /// Holds `published` against them.
    pub fn judge(&self, published: &Published) -> Result<Report> {
        let mut faults = self.source.faults(published.commit.as_deref());
        faults.extend(self.contract_faults.iter().cloned());
        faults.extend(judge::wrong_set(&self.contract, published));
        let sums = judge::sums(&self.contract, published, &self.platforms, &mut faults);
        for platform in self.contract.platforms().filter(|platform| !self.platforms.contains(&platform.name)) {
            // Not rebuilt, but a part of the release all the same.
            let Some(bytes) = published.files.get(&platform.asset) else { continue };
            let mut reasons = Vec::new();
            judge::check_record(platform, published, &digest::sha256(bytes), &self.source.commit, None, &mut reasons);
            faults.extend(reasons.into_iter().map(|reason| format!("{}: {reason}", platform.asset)));
        }
        let mut rows = Vec::new();
        for platform in self.contract.select(&self.platforms)? {
            let record = contract::record_name(&platform.asset);
            let mut reasons = Vec::new();
            for (name, fault) in &published.faults {
                if *name == platform.asset {
                    reasons.push(fault.clone());
                } else if *name == record {
                    reasons.push(format!("{name}: {fault}"));
                }
            }
            rows.push(judge::row(platform, published, sums.as_ref(), &self.rebuild, &self.source.commit, &mut reasons));
        }
        for (name, fault) in &published.faults {
            if !rows.iter().any(|row| *name == row.asset || *name == contract::record_name(&row.asset)) {
                faults.push(format!("{name}: {fault}"));
            }
        }
        let (tag, commit) = (self.tag.to_string(), &self.source.commit);
        self.attestations.judge(&self.contract, published, &tag, commit, &mut rows, &mut faults)?;
        for row in rows.iter_mut().filter(|row| row.verdict == Answer::Reproduced && !faults.is_empty()) {
            row.verdict = Answer::Differs;
            row.reasons = vec![format!("its bytes rebuild, but the release is not what it should be: {}", faults[0])];
        }
        Ok(Report {
            tag: self.tag.to_string(),
            origin: published.origin.clone(),
            commit: self.source.commit.clone(),
            said_by: self.source.witnesses(),
            contract: self.whose,
            confinement: self.rebuild.confinement.clone(),
            rebuilder: self.rebuild.by.clone(),
            faults,
            platforms: rows,
            variations: self.variations.clone(),
        })
    }
}

/// How much space a rebuild of all platforms takes at most, in bytes.
const SPACE: u64 = 300 * 1024 * 1024;

/// Fails, with advice, if this machine cannot verify at all: said before anything is downloaded.
pub fn preflight(options: &Options) -> Result<()> {
    let mut git = std::process::Command::new("git");
    git.arg("--version");
    crate::plumbing::process::Call::new(git).hint("install git: the tagged sources come from a repository").read()?;
    let place = place::find()?;
    let space = rustix::fs::statvfs(&place).with_context(|| format!("cannot look at {}", place.display()))?;
    ensure_room(&place, space.f_bavail.saturating_mul(space.f_frsize))?;
    if let (Some(root), Some(Backend::Cargo)) = (&options.root, options.backend) {
        Toolchain::of_tree(root)?;
    }
    Ok(())
}

/// Fails, with advice, if `free` bytes at `place` are too few for a rebuild.
fn ensure_room(place: &Path, free: u64) -> Result<()> {
    if free >= SPACE {
        return Ok(());
    }
    Err(hinted(
        format_args!("{} has {} MB of free space, a rebuild takes up to {}", place.display(), free >> 20, SPACE >> 20),
        "make room there, or point TMPDIR at another directory",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_without_room_for_a_rebuild_is_told_with_what_it_has() {
        ensure_room(Path::new("/place"), SPACE).unwrap();
        let error = ensure_room(Path::new("/place"), SPACE - 1).unwrap_err();
        assert_eq!(error.to_string(), "/place has 299 MB of free space, a rebuild takes up to 300");
    }
}
