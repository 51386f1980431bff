//! Counts independent rebuilders: reads signed statements, says which bytes they agree on. The signatures are checked
//! by ssh-keygen and minisign; who speaks is what the signature says, never what the statement says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::contract::Contract;
use crate::error::Hint;
use crate::files;
use crate::interrupt::Scratch;
use crate::process::Call;
use crate::releases::Sums;
use crate::verify::attest::{NAMESPACE, Statement};

/// What the statements in a directory come to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Tally {
    /// Every statement that counts, by who signed it.
    pub rebuilders: BTreeMap<String, String>,
    /// What does not count: the file and why.
    pub ignored: Vec<(String, String)>,
    /// One entry for each asset of the contract.
    pub assets: Vec<Count>,
    /// How many must agree.
    pub wanted: usize,
}

/// What rebuilders say of one asset.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Count {
    /// The asset's name.
    pub asset: String,
    /// Who got which digest.
    pub digests: BTreeMap<String, BTreeSet<String>>,
    /// The digest in the release's sums, if they were given.
    pub published: Option<String>,
}

impl Count {
    /// How many agree, if nobody disagrees with them or with the release.
    pub fn agreeing(&self) -> Option<usize> {
        let (digest, who) = self.digests.iter().next()?;
        let is_published = self.published.as_ref().is_none_or(|published| published == digest);
        (self.digests.len() == 1 && is_published).then_some(who.len())
    }
}

impl Tally {
    /// Whether every asset has as many agreeing rebuilders as wanted, and none who disagrees.
    pub fn holds(&self) -> bool {
        self.assets.iter().all(|count| count.agreeing().is_some_and(|agreeing| agreeing >= self.wanted))
    }
}

/// Counts the statements in `directory`, which is about one release. `signers` holds the file `allowed_signers` of
/// ssh-keygen and, for minisign, a `NAME.pub` for each rebuilder.
pub fn tally(
    contract: &Contract,
    directory: &Path,
    signers: &Path,
    sums: Option<&Sums>,
    wanted: usize,
) -> Result<Tally> {
    let entries = directory.read_dir().with_context(|| format!("cannot list {}", directory.display()))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.with_context(|| format!("cannot list {}", directory.display()))?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    let mut statements: BTreeMap<String, (String, Statement)> = BTreeMap::new();
    let mut ignored = Vec::new();
    let mut torn = BTreeSet::new();
    for path in &paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match read(path, signers) {
            Err(error) => ignored.push((name, format!("{error:#}"))),
            Ok((who, statement)) => match statements.get(&who) {
                // The same voice again is no second rebuilder, and one that contradicts itself is none at all.
                Some((_, first)) => {
                    ignored.push((name, format!("{who} has spoken already")));
                    if !same(first, &statement) {
                        torn.insert(who);
                    }
                }
                None => drop(statements.insert(who, (name, statement))),
            },
        }
    }
    for who in torn {
        if let Some((name, _)) = statements.remove(&who) {
            ignored.push((name, format!("{who} contradicts itself")));
        }
    }
    let releases: BTreeSet<_> =
        statements.values().map(|(_, statement)| (&statement.predicate.tag, &statement.predicate.commit)).collect();
    if releases.len() > 1 {
        let list: Vec<_> = releases.iter().map(|(tag, commit)| format!("{tag} at {commit}")).collect();
        return Err(anyhow::anyhow!("the statements are about different sources: {}", list.join(", ")))
            .hint("keep one directory for each release; if the tag is the same, it was moved");
    }
    let assets = contract.platforms().map(|platform| {
        let mut digests: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (who, (_, statement)) in &statements {
            for subject in statement.subject.iter().filter(|subject| subject.name == platform.asset) {
                if let Some(sha256) = subject.digest.get("sha256") {
                    digests.entry(sha256.clone()).or_default().insert(who.clone());
                }
            }
        }
        let published = sums.map(|sums| sums.get(&platform.asset).unwrap_or("not listed").to_owned());
        Count { asset: platform.asset.clone(), digests, published }
    });
    Ok(Tally {
        assets: assets.collect(),
        rebuilders: statements.iter().map(|(who, (name, _))| (who.clone(), name.clone())).collect(),
        ignored,
        wanted,
    })
}

fn same(one: &Statement, other: &Statement) -> bool {
    let list = |statement: &Statement| -> BTreeSet<_> {
        statement.subject.iter().map(|subject| (subject.name.clone(), subject.digest.clone())).collect()
    };
    list(one) == list(other)
}

/// Reads the statement at `path`, and says who signed exactly these bytes.
fn read(path: &Path, signers: &Path) -> Result<(String, Statement)> {
    let bytes = files::read(path)?;
    let beside = |suffix: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    };
    // What is checked is the copy that is read: the file could change in between.
    let scratch = Scratch::new()?;
    let copy = scratch.path().join("statement");
    files::write(&copy, &bytes)?;
    let who = if beside(".sig").is_file() {
        ssh(&copy, &beside(".sig"), &signers.join("allowed_signers"))?
    } else if beside(".minisig").is_file() {
        minisign(&copy, &beside(".minisig"), signers)?
    } else {
        bail!("it is not signed: there is no .sig or .minisig beside it");
    };
    Ok((who, Statement::parse(&bytes)?))
}

fn ssh(statement: &Path, signature: &Path, allowed: &Path) -> Result<String> {
    let mut command = Command::new("ssh-keygen");
    command.args(["-Y", "find-principals", "-f"]).arg(allowed).arg("-s").arg(signature);
    let found = Call::new(command).read().context("its signer is not among the allowed signers")?;
    let found = String::from_utf8_lossy(&found).into_owned();
    let who = found.lines().next().unwrap_or_default().split(',').next().unwrap_or_default().to_owned();
    let mut command = Command::new("ssh-keygen");
    command.args(["-Y", "verify", "-n", NAMESPACE, "-I", &who, "-f"]).arg(allowed).arg("-s").arg(signature);
    let statement = std::fs::File::open(statement).context("cannot read the statement")?;
    if !Call::new(command).input(statement).outcome()?.status.success() {
        bail!("its signature does not fit the file, or is for another purpose than {NAMESPACE}");
    }
    Ok(who)
}

fn minisign(statement: &Path, signature: &Path, signers: &Path) -> Result<String> {
    let entries = signers.read_dir().with_context(|| format!("cannot list {}", signers.display()))?;
    for entry in entries {
        let key = entry.with_context(|| format!("cannot list {}", signers.display()))?.path();
        if key.extension().is_none_or(|extension| extension != "pub") {
            continue;
        }
        let mut command = Command::new("minisign");
        command.arg("-Vqm").arg(statement).arg("-x").arg(signature).arg("-p").arg(&key);
        if Call::new(command).outcome()?.status.success() {
            return Ok(key.file_stem().unwrap_or_default().to_string_lossy().into_owned());
        }
    }
    bail!("its signature fits none of the public keys in {}", signers.display())
}
