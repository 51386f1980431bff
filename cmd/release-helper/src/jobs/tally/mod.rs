//! Counts independent rebuilders: reads signed statements, says which bytes they agree on. The signatures are checked
//! by ssh-keygen and minisign; who speaks is what a valid signature says, never what the statement says.

mod keys;
mod repeated;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use self::keys::{Keys, read_small};
use crate::domain::contract::Contract;
use crate::domain::releases::Sums;
use crate::jobs::verify::attest::Statement;
use crate::plumbing::error::{Hint, hinted};
use crate::plumbing::files;
use crate::plumbing::foreign;
use crate::plumbing::interrupt::Scratch;

/// What is asked.
pub struct Question<'a> {
    /// The assets that there should be.
    pub contract: &'a Contract,
    /// The statements and their signatures.
    pub directory: &'a Path,
    /// Whose statements count, and which keys are one person's; it lies outside of `directory`.
    pub keys: &'a Path,
    /// The tag that the statements must be about.
    pub tag: &'a str,
    /// The commit that they must have rebuilt.
    pub commit: &'a str,
    /// The published sums, to compare with.
    pub sums: Option<&'a Sums>,
    /// How many must agree.
    pub wanted: usize,
}

/// What the statements in a directory come to.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Tally {
    /// The tag that was asked about.
    pub tag: String,
    /// The commit that was asked about.
    pub commit: String,
    /// The file that says whose statements count.
    pub keys: PathBuf,
    /// Every voice that counts, and the files it spoke in.
    pub rebuilders: BTreeMap<String, BTreeSet<String>>,
    /// Voices that said two things about one asset, and count for nothing: which asset.
    pub contradictions: BTreeMap<String, String>,
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

/// What one voice said: each asset's digests, and in which files.
#[derive(Default)]
struct Voice {
    digests: BTreeMap<String, BTreeSet<String>>,
    files: BTreeSet<String>,
}

/// Counts.
pub fn tally(question: &Question<'_>) -> Result<Tally> {
    let Question { directory, keys: keys_path, .. } = *question;
    refuse_keys_of_the_data(directory, keys_path)?;
    let keys = Keys::read(keys_path)?;
    let mut voices: BTreeMap<String, Voice> = BTreeMap::new();
    let mut ignored = Vec::new();
    for path in statements(directory)? {
        let file = foreign::line(&path.file_name().unwrap_or_default().to_string_lossy());
        let read = read_small(&path).and_then(|bytes| Ok((digests(&bytes, question)?, bytes)));
        let (digests, bytes) = match read {
            Ok(read) => read,
            Err(error) => {
                ignored.push((file, foreign::line(&format!("{error:#}"))));
                continue;
            }
        };
        let signers = signers(&path, &bytes, &keys, &mut ignored)?;
        if signers.is_empty() {
            ignored.push((file.clone(), "no valid signature of anybody in the keys' file lies beside it".to_owned()));
        }
        for who in signers {
            let voice = voices.entry(who).or_default();
            voice.files.insert(file.clone());
            for (asset, digest) in &digests {
                voice.digests.entry(asset.clone()).or_default().insert(digest.clone());
            }
        }
    }
    // One that says two things says nothing; the others are heard all the same.
    let mut contradictions = BTreeMap::new();
    voices.retain(|who, voice| {
        let torn = voice.digests.iter().find(|(_, digests)| digests.len() > 1);
        if let Some((asset, _)) = torn {
            contradictions.insert(who.clone(), asset.clone());
        }
        torn.is_none()
    });
    let assets = question.contract.platforms().map(|platform| {
        let mut digests: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (who, voice) in &voices {
            for digest in voice.digests.get(&platform.asset).into_iter().flatten() {
                digests.entry(digest.clone()).or_default().insert(who.clone());
            }
        }
        let published = question.sums.map(|sums| sums.get(&platform.asset).unwrap_or("not listed").to_owned());
        Count { asset: platform.asset.clone(), digests, published }
    });
    Ok(Tally {
        tag: question.tag.to_owned(),
        commit: question.commit.to_owned(),
        keys: keys_path.to_owned(),
        assets: assets.collect(),
        rebuilders: voices.into_iter().map(|(who, voice)| (who, voice.files)).collect(),
        contradictions,
        ignored,
        wanted: question.wanted,
    })
}

/// Whoever made the statements could have made these keys, too.
fn refuse_keys_of_the_data(directory: &Path, keys: &Path) -> Result<()> {
    let real = |path: &Path| path.canonicalize().with_context(|| format!("cannot find {}", path.display()));
    let (directory, keys) = (real(directory)?, real(keys).hint("name the file of trusted keys with --keys")?);
    if keys.starts_with(&directory) {
        return Err(hinted(
            format_args!("{} lies among the statements that it is to judge", keys.display()),
            "take the repository's own verifications/allowed_signers, or a file that you made yourself",
        ));
    }
    Ok(())
}

/// The files that may be statements, by name.
fn statements(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    let entries = directory.read_dir().with_context(|| format!("cannot list {}", directory.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("cannot list {}", directory.display()))?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// The digests in a statement about what was asked. Two for one asset are two here as well.
fn digests(bytes: &[u8], question: &Question<'_>) -> Result<Vec<(String, String)>> {
    if let Some(name) = repeated::member(bytes) {
        bail!("it can be read in two ways: {name:?} stands twice in one object");
    }
    let statement = Statement::parse(bytes)?;
    let (tag, commit) = (&statement.predicate.tag, &statement.predicate.commit);
    if tag != question.tag {
        bail!("it is about {tag}, not {}", question.tag);
    }
    if !commit.eq_ignore_ascii_case(question.commit) {
        bail!("it is about commit {commit}, not {}", question.commit);
    }
    let mut digests = Vec::new();
    for subject in &statement.subject {
        let digest = subject.digest.get("sha256").map(|digest| digest.to_ascii_lowercase()).unwrap_or_default();
        if digest.len() != 64 || !digest.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            bail!("it has no SHA-256 of {}", subject.name);
        }
        digests.push((subject.name.clone(), digest));
    }
    Ok(digests)
}

/// Who signed exactly `bytes`, the content of `path`, by the signatures beside it. A bad signature takes nothing from a
/// good one; it is added to `ignored`.
fn signers(path: &Path, bytes: &[u8], keys: &Keys, ignored: &mut Vec<(String, String)>) -> Result<BTreeSet<String>> {
    let scratch = Scratch::new()?;
    // What is checked are the copies that were read: the files could change in between.
    let (statement, copy) = (scratch.path().join("statement"), scratch.path().join("signature"));
    files::write(&statement, bytes)?;
    let mut signers = BTreeSet::new();
    for suffix in [".sig", ".minisig"] {
        let mut signature = path.as_os_str().to_owned();
        signature.push(suffix);
        let signature = PathBuf::from(signature);
        if signature.symlink_metadata().is_err() || (suffix == ".minisig" && !keys.has_minisign()) {
            continue;
        }
        let file = foreign::line(&signature.file_name().unwrap_or_default().to_string_lossy());
        match read_small(&signature) {
            Err(error) => {
                ignored.push((file, format!("{error:#}")));
                continue;
            }
            Ok(bytes) => files::write(&copy, &bytes)?,
        }
        let signer = match suffix {
            ".sig" => keys.ssh_signer(bytes, &copy)?,
            _ => keys.minisign_signer(&statement, &copy)?,
        };
        match signer {
            Some(who) => drop(signers.insert(who.to_owned())),
            None => {
                ignored.push((file, "it is nobody's in the keys' file, for this purpose and these bytes".to_owned()))
            }
        }
    }
    Ok(signers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rebuilders_agree_on_nothing_but_what_was_published() {
        let voices = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<_>>();
        let count = |digests: &[&str], published: Option<&str>| Count {
            asset: "asset".to_owned(),
            digests: digests.iter().map(|digest| ((*digest).to_owned(), voices(&["alice", "bob"]))).collect(),
            published: published.map(str::to_owned),
        };
        assert_eq!(count(&["a"], None).agreeing(), Some(2));
        assert_eq!(count(&["a"], Some("a")).agreeing(), Some(2));
        assert_eq!(count(&["a"], Some("b")).agreeing(), None);
        assert_eq!(count(&["a", "b"], Some("a")).agreeing(), None);
        assert_eq!(count(&[], None).agreeing(), None);
    }
}
