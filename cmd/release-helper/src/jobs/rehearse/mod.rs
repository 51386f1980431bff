//! The main job on one machine: a whole release against an embedded release server, from the tag to six published
//! assets that were rebuilt bit for bit. Each step is the one the release workflow runs on GitHub.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::domain::artifact;
use crate::domain::build::{Artifact, cargo};
use crate::domain::contract::{self, Contract};
use crate::domain::exercise::{self, Trial};
use crate::domain::releases::{self, Client};
use crate::domain::toolchain::Toolchain;
use crate::domain::version::{self, Tag};
use crate::domain::{record, server, source};
use crate::plumbing::error::Hint;
use crate::plumbing::files;
use crate::plumbing::interrupt::Scratch;
use crate::plumbing::output::{self, Table};

/// What to rehearse.
pub struct Options {
    /// The tag to release.
    pub tag: Tag,
    /// The names of the platforms; all of them if there is none.
    pub platforms: Vec<String>,
    /// The checkout.
    pub root: PathBuf,
    /// Take the files as they are on the disk, not the commit's.
    pub allow_dirty: bool,
    /// The port to serve releases on; 0 takes any free one.
    pub port: u16,
    /// Serve over TLS too.
    pub tls: bool,
}

/// The release server of a rehearsal, still running.
pub struct Kept {
    /// The server.
    pub server: server::Running,
    /// The token that may write to it.
    pub token: String,
    _place: Place,
}

/// How a rehearsal ended.
#[derive(Serialize)]
pub struct Report {
    /// The tag that was released.
    pub tag: String,
    /// The commit it was made of.
    pub commit: String,
    /// One row for each platform.
    pub platforms: Vec<Row>,
}

/// What became of one platform.
#[derive(Serialize)]
pub struct Row {
    /// The platform's name.
    pub platform: String,
    /// The size of its asset in bytes.
    pub size: usize,
    /// The SHA-256 of its asset.
    pub sha256: String,
    /// Whether the asset fulfils every clause of the contract.
    pub contract: bool,
    /// How far it was tried on this machine.
    pub tested: Trial,
    /// Whether a second build gave the published bytes.
    pub reproduced: bool,
}

impl Report {
    /// Whether everything held.
    pub fn holds(&self) -> bool {
        self.platforms.iter().all(|row| row.contract && row.reproduced)
    }
}

impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut table = Table::new(["platform", "size", "sha256", "contract", "tested", "reproduced"]);
        for row in &self.platforms {
            let word = |holds: bool, yes: &str, no: &str| if holds { yes } else { no }.to_owned();
            table.row([
                row.platform.clone(),
                row.size.to_string(),
                row.sha256.clone(),
                word(row.contract, "kept", "BROKEN"),
                row.tested.to_string(),
                word(row.reproduced, "yes", "NO"),
            ]);
        }
        table.fmt(f)
    }
}

/// Rehearses a release. The server comes back still running, to be looked at.
pub fn rehearse(options: &Options) -> Result<(Report, Kept)> {
    let Options { tag, root, .. } = options;
    if !options.allow_dirty {
        source::ensure_clean(root)?;
    }
    let commit = source::commit(root, "HEAD")?;
    let contract = Contract::of_tree(root)?.restricted_to(&options.platforms)?;
    let platforms = contract.select(&[])?;
    let toolchain = Toolchain::of_tree(root)?;
    toolchain.ensure_targets(&platforms)?;
    let place = Place::take(root)?;
    let directory = &place.path;
    let scratch = Scratch::new()?;

    let tree = scratch.path().join("tree");
    if options.allow_dirty {
        source::copy_tracked(root, &tree)?;
    } else {
        source::export(root, &commit, source::Part::Program, &tree)?;
    }
    // What others would refuse to rebuild is not worth releasing.
    source::recipe::check(&tree)?;
    version::inject(&tree, tag)?;
    step("version", format_args!("{} injected into a clean copy of {}", tag.version(), &commit[..12]));

    // It opens nothing else in the world, and nobody else on this machine can guess it.
    let token = server::secret()?;
    let server = serve(options, directory, &commit, &token)?;
    let client = Client::new(server.url(), server.repository(), Some(&token))?;
    let draft = releases::draft(&client, &tag.to_string(), &releases::Notes::default())?;
    step("draft", format_args!("release {} on {}", draft.id, server.url()));

    let build = |tree: &Path, place: &str, surroundings: &cargo::Surroundings| {
        cargo::build(&toolchain, &contract, &platforms, tree, &scratch.path().join(place), surroundings)
    };
    let artifacts = build(&tree, "build", &cargo::Surroundings::default())?;
    step("build", format_args!("{} artifacts by cargo, Rust {}", artifacts.len(), toolchain.version));

    let mut paths = write(&artifacts, &directory.join("artifacts"))?;
    let mut kept = Vec::new();
    for (artifact, platform) in artifacts.iter().zip(&platforms) {
        let inspection = artifact::inspect::inspect(&artifact.bytes, platform, &contract, Some(&tag.version()))?;
        for clause in inspection.broken() {
            output::step(format_args!(
                "{}: {} is {}, not {}",
                artifact.asset, clause.clause, clause.measured, clause.expected
            ));
        }
        kept.push(inspection.holds());
    }
    step("inspect", format_args!("{} of {} keep every clause of the contract", count(&kept), kept.len()));
    ensure!(kept.iter().all(|&kept| kept), "an artifact breaks the contract; the draft stays unpublished");

    let made_of = (!options.allow_dirty).then_some(commit.as_str());
    let records = record::records(&contract, &toolchain, &tree, made_of, "cargo", &artifacts)?;
    let mut expected = releases::Expectation::of(&contract, releases::Sums::default());
    for record in &records {
        let path = directory.join("artifacts").join(contract::record_name(&record.asset));
        files::write(&path, &record.to_bytes()?)?;
        expected.names.push(contract::record_name(&record.asset));
        expected.records.insert(&record.asset, &record.sha256)?;
        paths.push(path);
    }
    releases::upload(&client, draft.id, &paths, &releases::Rules::of(&contract))?;
    step("upload", format_args!("{} artifacts and their build records", artifacts.len()));

    let names: Vec<String> = artifacts.iter().map(|artifact| artifact.asset.clone()).collect();
    let downloaded = releases::download(&client, draft.id, &directory.join("downloaded"), &names)?;
    let mut trials = Vec::new();
    for platform in &platforms {
        let file = downloaded.iter().find(|file| file.name == platform.asset).context("an asset was not downloaded")?;
        make_executable(&file.path)?;
        trials.push(
            exercise::exercise(platform, &tag.version(), &file.path, Some(root))
                .context("the draft stays unpublished")?,
        );
    }
    let ran = trials.iter().filter(|trial| matches!(trial, Trial::Ran { .. })).count();
    step("test", format_args!("{ran} of {} loaded real libraries as downloaded", trials.len()));

    releases::finalize(&client, draft.id, &expected)?;
    let count = expected.names.len() + 1;
    step("finalize", format_args!("{} written, exactly {count} assets, published", contract.sums));

    let published = releases::download(&client, draft.id, &directory.join("published"), &names)?;
    let rebuilt = rebuild(&scratch, &tree, build)?;
    let mut rows = Vec::new();
    for (((artifact, kept), tested), platform) in rebuilt.iter().zip(kept).zip(trials).zip(&platforms) {
        let file = published.iter().find(|file| file.name == artifact.asset).context("an asset was not downloaded")?;
        let bytes = files::read(&file.path)?;
        rows.push(Row {
            platform: platform.name.clone(),
            size: bytes.len(),
            reproduced: bytes == artifact.bytes,
            sha256: file.sha256.clone(),
            contract: kept,
            tested,
        });
    }
    let reproduced = rows.iter().filter(|row| row.reproduced).count();
    step("verify", format_args!("{reproduced} of {} rebuilt bit for bit in another place", rows.len()));
    Ok((Report { tag: tag.to_string(), commit, platforms: rows }, Kept { server, token, _place: place }))
}

/// Where a rehearsal leaves what it made: `dist/rehearsal`, or beside it while another one uses that.
struct Place {
    path: PathBuf,
    /// Held until the rehearsal, and the server it may have left running, are done.
    _lock: File,
}

impl Place {
    /// Takes a place that no other rehearsal uses, and removes what an earlier one left there, and only that.
    fn take(root: &Path) -> Result<Self> {
        let dist = root.join("dist");
        let mut number = 0;
        loop {
            number += 1;
            let path = dist.join(if number == 1 { "rehearsal".to_owned() } else { format!("rehearsal-{number}") });
            files::create_dir(&path)?;
            let lock_path = path.join("lock");
            let lock = OpenOptions::new().create(true).write(true).truncate(false).open(&lock_path);
            let lock = lock.with_context(|| format!("cannot write {}", lock_path.display()))?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => {
                    return Err(error).with_context(|| format!("cannot lock {}", lock_path.display()));
                }
            }
            if number > 1 {
                output::step(format_args!("another rehearsal is running: this one is in {}", path.display()));
            }
            for made in ["artifacts", "downloaded", "published", "server"].map(|name| path.join(name)) {
                if made.exists() {
                    std::fs::remove_dir_all(&made)
                        .with_context(|| format!("cannot remove the last rehearsal in {}", made.display()))
                        .hint("check the directory's permissions")?;
                }
            }
            return Ok(Self { path, _lock: lock });
        }
    }
}

fn serve(options: &Options, directory: &Path, commit: &str, token: &str) -> Result<server::Running> {
    server::start(server::Options {
        address: format!("127.0.0.1:{}", options.port),
        token: Some(token.to_owned()),
        tags: vec![server::Tag { name: options.tag.to_string(), commit: commit.to_owned(), message: None }],
        head: Some(commit.to_owned()),
        source: Some(options.root.clone()),
        tls: options.tls,
        ..server::Options::new(&directory.join("server"))
    })
}

/// Builds again from the same sources in another directory, under another home, environment and number of jobs.
fn rebuild(
    scratch: &Scratch,
    tree: &Path,
    build: impl Fn(&Path, &str, &cargo::Surroundings) -> Result<Vec<Artifact>>,
) -> Result<Vec<Artifact>> {
    let home = scratch.path().join("home of a verifier");
    files::create_dir(&home)?;
    let set = |name: &str, value: &str| (name.into(), Some(value.into()));
    let surroundings = cargo::Surroundings {
        home: Some(home),
        jobs: Some(7),
        environment: vec![
            set("USER", "verifier"),
            set("TZ", "Pacific/Kiritimati"),
            set("LC_ALL", "tr_TR.UTF-8"),
            set("SOURCE_DATE_EPOCH", "1"),
            set("VERIFIER", "trusts nobody"),
        ],
        ..cargo::Surroundings::default()
    };
    build(tree, "a place with another name", &surroundings)
}

fn write(artifacts: &[Artifact], directory: &Path) -> Result<Vec<PathBuf>> {
    files::create_dir(directory)?;
    let one = |artifact: &Artifact| {
        let path = directory.join(&artifact.asset);
        files::write_executable(&path, &artifact.bytes).map(|()| path)
    };
    artifacts.iter().map(one).collect()
}

fn make_executable(path: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755))
        .with_context(|| format!("cannot make {} executable", path.display()))
}

fn count(all: &[bool]) -> usize {
    all.iter().filter(|&&one| one).count()
}

fn step(name: &str, text: std::fmt::Arguments<'_>) {
    output::step(format_args!("{name:>9}  {text}"));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rehearsal_holds_only_if_every_platform_keeps_the_contract_and_is_reproduced() {
        let report = |contract, reproduced| {
            let row = |contract, reproduced| Row {
                platform: "linux-amd64".to_owned(),
                size: 1,
                sha256: String::new(),
                contract,
                tested: Trial::NotRunHere { missing: String::new() },
                reproduced,
            };
            let platforms = vec![row(true, true), row(contract, reproduced)];
            Report { tag: "v1.2.3".to_owned(), commit: String::new(), platforms }
        };
        assert!(report(true, true).holds());
        assert!(!report(false, true).holds() && !report(true, false).holds());
        assert!(report(false, false).to_string().contains("NO"));
    }
}
