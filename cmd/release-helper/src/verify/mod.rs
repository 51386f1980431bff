//! Bit-for-bit verification: takes a published release, rebuilds its artifacts from the tagged commit, compares.
//! One verdict for each platform; `reproduced` is only said when the release as a whole is what it should be.

pub mod attest;
mod attested;
mod published;
mod rebuild;
pub mod report;
mod tree;

use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Serialize;

use crate::artifact::{self, Comparison, Container};
use crate::build::{Artifact, Backend, expressions};
use crate::contract::{Contract, Platform};
use crate::digest;
use crate::error::hinted;
use crate::interrupt::Scratch;
use crate::place;
use crate::provenance::Attested;
use crate::record::{self, Record};
use crate::releases::Sums;
use crate::source::{Part, recipe};
use crate::toolchain::{self, Toolchain};
use crate::vary;
use crate::version::{self, Tag};

pub use attested::Demands;
pub use published::Published;
use rebuild::Rebuild;

/// What to verify.
pub struct Options {
    /// The release's tag.
    pub tag: Tag,
    /// The platforms to rebuild; all if there is none.
    pub platforms: Vec<String>,
    /// What rebuilds them; the first that works here if none is given.
    pub backend: Option<Backend>,
    /// A local repository, if there is one.
    pub root: Option<PathBuf>,
    /// The revision the tag must mean, if the caller knows.
    pub commit: Option<String>,
    /// How many more rebuilds to make under varied surroundings.
    pub rounds: usize,
    /// What is expected of the attestations.
    pub attestations: Demands,
    /// Whose contract the release is held to.
    pub contract: Whose,
}

/// Whose contract a release is held to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Whose {
    /// This helper's; a tag with another one is a fault
    Own,
    /// The tag's, whatever it says
    Tag,
}

/// The verdict on one platform.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The rebuilt bytes are the published ones.
    Reproduced,
    /// Something is not as it should be.
    Differs,
    /// It was not rebuilt on this machine.
    NotRebuiltHere,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Reproduced => "reproduced",
            Self::Differs => "differs",
            Self::NotRebuiltHere => "not rebuilt here",
        })
    }
}

/// What became of one platform.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Row {
    /// The platform's name.
    pub platform: String,
    /// The name of its asset.
    pub asset: String,
    /// The verdict.
    pub verdict: Answer,
    /// Whether the release's workflow attests the published asset.
    pub attested: Attested,
    /// Why, unless it is reproduced: the first reason weighs most.
    pub reasons: Vec<String>,
    /// The size of the published asset in bytes.
    pub size: Option<usize>,
    /// The SHA-256 of the published asset.
    pub published: Option<String>,
    /// The SHA-256 of the rebuilt artifact.
    pub rebuilt: Option<String>,
    /// The record made here.
    pub record: Option<Record>,
    /// How the published asset (A) compares with the rebuilt artifact (B), if they differ.
    pub comparison: Option<Comparison>,
}

/// The outcome of a verification.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Report {
    /// The tag.
    pub tag: String,
    /// Where the release comes from.
    pub origin: String,
    /// The commit that was rebuilt.
    pub commit: String,
    /// Who says that the tag means it.
    pub said_by: Vec<String>,
    /// Whose contract the release was held to.
    pub contract: Whose,
    /// What rebuilt it: backend, toolchain and host.
    pub rebuilder: String,
    /// Whether the build was confined.
    pub confinement: String,
    /// What is wrong with the release as a whole.
    pub faults: Vec<String>,
    /// One row for each platform.
    pub platforms: Vec<Row>,
    /// The varied rebuilds, if any were asked for.
    pub variations: Option<vary::Outcome>,
}

impl Report {
    /// Whether everything was reproduced, something differs, or (`None`) it could not be told.
    pub fn holds(&self) -> Option<bool> {
        let any = |answer| self.platforms.iter().any(|row| row.verdict == answer);
        let varies = self.variations.as_ref().is_some_and(|outcome| !outcome.holds());
        if any(Answer::Differs) || !self.faults.is_empty() || varies {
            Some(false)
        } else if any(Answer::NotRebuiltHere) || self.platforms.is_empty() {
            None
        } else {
            Some(true)
        }
    }
}

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
        let (contract, contract_faults) = contract(options.contract, &tree)?;
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
        faults.extend(wrong_set(&self.contract, published));
        let sums = sums(&self.contract, published, &self.platforms, &mut faults);
        for platform in self.contract.platforms().filter(|platform| !self.platforms.contains(&platform.name)) {
            // Not rebuilt, but a part of the release all the same.
            let Some(bytes) = published.files.get(&platform.asset) else { continue };
            let mut reasons = Vec::new();
            check_record(platform, published, &digest::sha256(bytes), &self.source.commit, None, &mut reasons);
            faults.extend(reasons.into_iter().map(|reason| format!("{}: {reason}", platform.asset)));
        }
        let mut rows = Vec::new();
        for platform in self.contract.select(&self.platforms)? {
            let record = record::name(&platform.asset);
            let mut reasons = Vec::new();
            for (name, fault) in &published.faults {
                if *name == platform.asset {
                    reasons.push(fault.clone());
                } else if *name == record {
                    reasons.push(format!("{name}: {fault}"));
                }
            }
            rows.push(row(platform, published, sums.as_ref(), &self.rebuild, &self.source.commit, &mut reasons));
        }
        for (name, fault) in &published.faults {
            if !rows.iter().any(|row| *name == row.asset || *name == record::name(&row.asset)) {
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

/// The contract that the release is held to, and how the one in `tree` is another.
fn contract(whose: Whose, tree: &Path) -> Result<(Contract, Vec<String>)> {
    let theirs = Contract::of_tree(tree);
    if whose == Whose::Tag {
        return Ok((theirs?, Vec::new()));
    }
    let own = Contract::embedded()?;
    let fault = match theirs {
        Ok(theirs) => own.difference(&theirs).map(|difference| format!("the tag has another contract: {difference}")),
        Err(error) => Some(format!("the tag has a contract that this helper cannot read: {error:#}")),
    };
    Ok((own, fault.into_iter().collect()))
}

/// How the set of assets is not the contract's.
fn wrong_set(contract: &Contract, published: &Published) -> Vec<String> {
    let missing = contract.assets().into_iter().filter(|name| !published.files.contains_key(name));
    let missing = missing.filter(|name| *name != contract.sums).map(|name| format!("{name} is missing"));
    let known: Vec<String> = contract.assets().into_iter().chain(contract.companions()).collect();
    let foreign = published
        .files
        .keys()
        .filter(|name| !known.contains(name))
        .map(|name| format!("{name} does not belong to the release"));
    missing.chain(foreign).collect()
}

/// The published sums. What is wrong with them goes to `faults`, except for what is said in the rows of the platforms
/// called `told`.
fn sums(contract: &Contract, published: &Published, told: &[String], faults: &mut Vec<String>) -> Option<Sums> {
    let name = &contract.sums;
    let Some(bytes) = published.files.get(name) else {
        faults.push(format!("{name} is missing"));
        return None;
    };
    let sums = match Sums::parse(&String::from_utf8_lossy(bytes)) {
        Ok(sums) => sums,
        Err(error) => {
            let found = artifact::describe(bytes);
            faults.push(format!("{name} cannot be read ({found}): {error:#}"));
            return None;
        }
    };
    let is_told = |asset: &str| contract.platform_of_asset(asset).is_some_and(|platform| told.contains(&platform.name));
    for (listed, sha256) in sums.iter() {
        match published.files.get(listed) {
            None => faults.push(format!("{name} lists {listed}, which is missing")),
            Some(bytes) if !is_told(listed) && digest::sha256(bytes) != sha256 => {
                faults.push(format!("{name} says {sha256} of {listed}, its bytes have {}", digest::sha256(bytes)));
            }
            Some(_) => {}
        }
    }
    let unlisted = published.files.keys().filter(|file| *file != name && sums.get(file).is_none());
    faults.extend(unlisted.filter(|file| !is_told(file)).map(|file| format!("{name} does not list {file}")));
    Some(sums)
}

/// The row of `platform`; `reasons` holds what is known to be wrong already.
fn row(
    platform: &Platform,
    published: &Published,
    sums: Option<&Sums>,
    rebuild: &Rebuild,
    commit: &str,
    reasons: &mut Vec<String>,
) -> Row {
    let bytes = published.files.get(&platform.asset);
    let artifact = rebuild.artifacts.iter().find(|artifact| artifact.platform == platform.name);
    let record = rebuild.records.iter().find(|record| record.asset == platform.asset);
    let mut comparison = None;
    match bytes {
        None => reasons.push("the release has no such asset".to_owned()),
        Some(bytes) => {
            let sha256 = digest::sha256(bytes);
            if let Some(listed) = sums.map(|sums| sums.get(&platform.asset)) {
                match listed {
                    None => reasons.push("the sums do not list it".to_owned()),
                    Some(listed) if listed != sha256 => {
                        reasons.push(format!("the sums say {listed}, its bytes have {sha256}"));
                    }
                    Some(_) => {}
                }
            }
            if let Container::Foreign(what) = Container::of(bytes) {
                reasons.push(format!("it is {what}, no program: is a proxy or a login page in between?"));
            }
            check_record(platform, published, &sha256, commit, record, reasons);
            let broken = rebuild.broken.iter().filter(|(name, _)| *name == platform.name);
            reasons.extend(broken.map(|(_, clause)| format!("what was rebuilt breaks the contract: {clause}")));
            if let Some(artifact) = artifact.filter(|artifact| artifact.bytes != *bytes) {
                let compared = artifact::compare(bytes, &artifact.bytes);
                reasons.push(format!("published (A) against rebuilt (B): {}", compared.summary()));
                match compared.same_unsigned {
                    Some(true) => reasons.push("with the signatures set aside they are the same".to_owned()),
                    Some(false) => reasons.push("with the signatures set aside they still differ".to_owned()),
                    None => {}
                }
                comparison = Some(compared);
            }
        }
    }
    let verdict = match (reasons.is_empty(), artifact) {
        (false, _) => Answer::Differs,
        (true, Some(_)) => Answer::Reproduced,
        (true, None) => {
            let obstacle = rebuild.obstacles.iter().find(|(name, _)| *name == platform.name);
            reasons.push(obstacle.map_or_else(|| "it was not built".to_owned(), |(_, text)| text.clone()));
            Answer::NotRebuiltHere
        }
    };
    Row {
        platform: platform.name.clone(),
        asset: platform.asset.clone(),
        verdict,
        attested: Attested::No("there is no such asset".to_owned()),
        reasons: std::mem::take(reasons),
        size: bytes.map(Vec::len),
        published: bytes.map(|bytes| digest::sha256(bytes)),
        rebuilt: artifact.map(|artifact| artifact.sha256.clone()),
        record: record.cloned(),
        comparison,
    }
}

/// Holds the published build record, if there is one, to the bytes, the tag's commit and the record made here.
fn check_record(
    platform: &Platform,
    published: &Published,
    sha256: &str,
    commit: &str,
    ours: Option<&Record>,
    reasons: &mut Vec<String>,
) {
    let name = record::name(&platform.asset);
    let Some(bytes) = published.files.get(&name) else { return };
    let theirs = match Record::parse(bytes) {
        Ok(record) => record,
        Err(error) => return reasons.push(format!("{name}: {error:#}")),
    };
    if theirs.sha256 != sha256 || theirs.asset != platform.asset {
        reasons.push(format!("{name} is about {} with sha256 {}", theirs.asset, theirs.sha256));
    }
    match &theirs.commit {
        None => reasons.push("it was built from files that are in no commit".to_owned()),
        Some(built) if built != commit => {
            reasons
                .push(format!("it was built from the commit {built}, but the tag means {commit}: the tag was moved"));
        }
        Some(_) => {}
    }
    if let Some(ours) = ours {
        let differences = theirs.differences(ours);
        reasons.extend(
            differences
                .into_iter()
                .filter(|text| !text.starts_with("commit "))
                .map(|text| format!("build record: {text}")),
        );
    }
}

/// How much space a rebuild of all platforms takes at most, in bytes.
const SPACE: u64 = 300 * 1024 * 1024;

/// Fails, with advice, if this machine cannot verify at all: said before anything is downloaded.
pub fn preflight(options: &Options) -> Result<()> {
    let mut git = std::process::Command::new("git");
    git.arg("--version");
    crate::process::Call::new(git).hint("install git: the tagged sources come from a repository").read()?;
    let place = place::find()?;
    let space = rustix::fs::statvfs(&place).with_context(|| format!("cannot look at {}", place.display()))?;
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    if free < SPACE {
        return Err(hinted(
            format_args!(
                "{} has {} MB of free space, a rebuild takes up to {}",
                place.display(),
                free >> 20,
                SPACE >> 20
            ),
            "make room there, or point TMPDIR at another directory",
        ));
    }
    if let (Some(root), Some(Backend::Cargo)) = (&options.root, options.backend) {
        Toolchain::of_tree(root)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "linux-amd64";
    const PROGRAM: &[u8] = b"\x7fELF and so on";

    /// What became of the platform, whose asset is `PROGRAM`, after a rebuild that `change` is done to.
    fn row_after(change: impl FnOnce(&mut Rebuild)) -> (Answer, Vec<String>) {
        let contract = Contract::embedded().unwrap();
        let platform = contract.platform(NAME).unwrap();
        let mut rebuild = Rebuild {
            by: String::new(),
            artifacts: Vec::new(),
            records: Vec::new(),
            obstacles: Vec::new(),
            toolchain: None,
            broken: Vec::new(),
            confinement: String::new(),
        };
        for name in ["linux-arm64", NAME] {
            let (asset, bytes) = (contract.platform(name).unwrap().asset.clone(), PROGRAM.to_vec());
            rebuild.artifacts.push(Artifact {
                platform: name.to_owned(),
                asset,
                sha256: digest::sha256(&bytes),
                bytes,
            });
        }
        change(&mut rebuild);
        let names: Vec<_> = rebuild.platforms(&contract).unwrap().into_iter().map(|found| found.name.clone()).collect();
        assert!(rebuild.artifacts.iter().map(|artifact| &artifact.platform).eq(&names), "{names:?}");
        let published = Published {
            origin: String::new(),
            files: [(platform.asset.clone(), PROGRAM.to_vec())].into(),
            commit: None,
            repository: None,
            faults: Vec::new(),
        };
        let row = row(platform, &published, None, &rebuild, "", &mut Vec::new());
        (row.verdict, row.reasons)
    }

    #[test]
    fn the_verdict_on_a_platform_is_about_its_own_rebuild() {
        assert_eq!(row_after(|_| {}), (Answer::Reproduced, Vec::new()));
        // Of another platform.
        assert_eq!(row_after(|rebuild| rebuild.artifacts[0].bytes.push(0)).0, Answer::Reproduced);
        assert_eq!(row_after(|rebuild| rebuild.artifacts[1].bytes.push(0)).0, Answer::Differs);
        let broken = |name: &str| row_after(|rebuild| rebuild.broken.push((name.to_owned(), "a clause".to_owned())));
        assert_eq!(broken("linux-arm64").0, Answer::Reproduced);
        let reason = "what was rebuilt breaks the contract: a clause".to_owned();
        assert_eq!(broken(NAME), (Answer::Differs, vec![reason]));
    }

    #[test]
    fn a_platform_that_was_not_rebuilt_says_its_own_reason() {
        let without = |obstacles: &[(&str, &str)]| {
            row_after(|rebuild| {
                rebuild.artifacts.pop();
                rebuild.obstacles.extend(obstacles.iter().map(|(name, why)| ((*name).to_owned(), (*why).to_owned())));
            })
        };
        let own = without(&[("linux-arm64", "another reason"), (NAME, "no rust-std")]);
        assert_eq!(own, (Answer::NotRebuiltHere, vec!["no rust-std".to_owned()]));
        assert_eq!(without(&[]), (Answer::NotRebuiltHere, vec!["it was not built".to_owned()]));
    }
}
