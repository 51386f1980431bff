//! `upload`: each file becomes exactly one asset with its bytes, whatever was there and whatever fails on the way.

use std::collections::VecDeque;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::api::{Asset, Release};
use super::client::{ATTEMPTS, Client, LAG};
use super::download::fetch_checked;
use super::failure::{Cause, Explain, Failure, Refusal};
use super::progress::Progress;
use super::sums::digest_of_file;
use crate::domain::artifact;
use crate::domain::contract::Contract;
use crate::plumbing::error::Hint;
use crate::plumbing::files;

/// GitHub's limit: files must be smaller, in bytes.
const MAX_SIZE: u64 = 2_147_483_648;
/// Files sent at the same time.
const PARALLEL: usize = 4;

/// Which files may become assets.
pub struct Rules<'a> {
    /// The names of the contract.
    pub names: Vec<String>,
    /// Refuses a file that breaks the contract; it is given the release's tag too.
    pub check: Check<'a>,
}

/// Says what is wrong with a file for the release of a tag.
pub type Check<'a> = Box<dyn Fn(&Path, &str) -> Result<()> + Sync + 'a>;

impl Rules<'_> {
    /// The contract's assets and their companions, except for the sums, which only `finalize` makes.
    pub fn of(contract: &Contract) -> Rules<'_> {
        let names = contract.assets().into_iter().chain(contract.companions());
        Rules {
            names: names.filter(|name| *name != contract.sums).collect(),
            check: Box::new(|path, tag| inspect(contract, path, tag)),
        }
    }
}

/// Refuses an artifact that breaks a clause of the contract, its version among them.
fn inspect(contract: &Contract, path: &Path, tag: &str) -> Result<()> {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let Some(platform) = contract.platform_of_asset(name) else { return Ok(()) };
    let advice = format!("nothing was uploaded; see `release-helper inspect {}`", path.display());
    let size = path.metadata().with_context(|| format!("cannot read {}", path.display()))?.len();
    if size > platform.max_size {
        // Before it is read into memory.
        let what = format!("size is {size} bytes, at most {} are allowed", platform.max_size);
        return Err(anyhow::anyhow!("{} breaks the contract: {what}", path.display())).hint(advice);
    }
    let inspection = artifact::inspect(&files::read(path)?, platform, contract, Some(tag))
        .with_context(|| format!("cannot judge {}", path.display()))
        .hint(advice.as_str())?;
    let broken: Vec<String> = inspection
        .broken()
        .map(|clause| format!("{} is {}, not {}", clause.clause, clause.measured, clause.expected))
        .collect();
    if broken.is_empty() {
        return Ok(());
    }
    Err(anyhow::anyhow!("{} breaks the contract: {}", path.display(), broken.join("; "))).hint(advice)
}

/// What happened to a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Sent.
    Uploaded,
    /// Sent in place of other bytes under the same name.
    Replaced,
    /// The asset was there with these bytes.
    Present,
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Uploaded => "uploaded",
            Self::Replaced => "replaced",
            Self::Present => "present",
        })
    }
}

/// A file that is an asset now.
#[derive(Clone, Debug)]
pub struct Uploaded {
    /// The asset's name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
    /// What happened to it.
    pub outcome: Outcome,
}

/// Bytes to become an asset.
pub(super) struct Source {
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) sha256: String,
    pub(super) content: Content,
    /// Whether a published release that lacks it is completed with it: so with the sums, which follow from the other
    /// assets.
    pub(super) completes: bool,
}

/// Where the bytes are.
pub(super) enum Content {
    File(PathBuf),
    Memory(Vec<u8>),
}

/// Makes `paths` assets of the release `id`. On a published release nothing is written: the files must be there.
pub fn upload(client: &Client, id: u64, paths: &[PathBuf], rules: &Rules<'_>) -> Result<Vec<Uploaded>> {
    let sources = prepare(paths, rules)?;
    let next = format!("`release-helper upload --release-id {id}` with the same files");
    let release = client.release(id).explain(format!("nothing was uploaded: cannot read release {id}"), &next)?;
    paths.iter().try_for_each(|path| (rules.check)(path, &release.tag_name))?;
    let state = if release.draft { "a draft" } else { "published" };
    let queue: Mutex<VecDeque<usize>> = Mutex::new((0..sources.len()).collect());
    let results: Vec<Mutex<Option<Result<Outcome, Failure>>>> = sources.iter().map(|_| Mutex::default()).collect();
    std::thread::scope(|scope| {
        for _ in 0..PARALLEL.min(sources.len()) {
            scope.spawn(|| {
                loop {
                    let taken = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(index) = taken else { break };
                    let source = &sources[index];
                    let known = release.assets.iter().find(|asset| asset.name == source.name).cloned();
                    let result = place(client, &release, source, known);
                    if let Ok(outcome) = &result {
                        client.say(format_args!("{outcome:8} {} ({} bytes)", source.name, source.size));
                    }
                    *results[index].lock().unwrap_or_else(PoisonError::into_inner) = Some(result);
                }
            });
        }
    });
    let mut uploaded = Vec::new();
    let mut failed = Vec::new();
    for (source, result) in sources.iter().zip(results) {
        match result.into_inner().unwrap_or_else(PoisonError::into_inner) {
            Some(Ok(outcome)) => uploaded.push(Uploaded {
                name: source.name.clone(),
                size: source.size,
                sha256: source.sha256.clone(),
                outcome,
            }),
            Some(Err(failure)) => failed.push((source.name.as_str(), failure)),
            None => {}
        }
    }
    if let Some((name, failure)) = failed.into_iter().next() {
        let done = format!("{} of {} files are assets of release {id}, {state}", uploaded.len(), sources.len());
        return Err(failure).explain(format!("{name}: {done}"), next);
    }
    Ok(uploaded)
}

/// Looks at all files before the first request.
fn prepare(paths: &[PathBuf], rules: &Rules<'_>) -> Result<Vec<Source>> {
    let mut sources: Vec<Source> = Vec::new();
    for path in paths {
        let shown = path.display();
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        let metadata = path.metadata().with_context(|| format!("cannot read {shown}"))?;
        let check = || -> Result<()> {
            ensure!(metadata.is_file(), "{shown} is not a file");
            ensure!(rules.names.contains(&name), "{shown} does not have the name of an asset of this release");
            ensure!(metadata.len() > 0, "{shown} is empty");
            ensure!(
                metadata.len() < MAX_SIZE,
                "{shown} is too large: {} bytes, GitHub takes less than {MAX_SIZE}",
                metadata.len()
            );
            ensure!(sources.iter().all(|source| source.name != name), "{name} is given twice");
            Ok(())
        };
        check().hint(format!("nothing was uploaded; the assets are {}", rules.names.join(", ")))?;
        let (size, sha256) = digest_of_file(path)?;
        sources.push(Source { name, size, sha256, content: Content::File(path.clone()), completes: false });
    }
    Ok(sources)
}

/// Brings one asset to exactly these bytes. `known` is what the release says about the name now.
pub(super) fn place(
    client: &Client,
    release: &Release,
    source: &Source,
    known: Option<Asset>,
) -> Result<Outcome, Failure> {
    let mut known = known;
    let mut outcome = Outcome::Uploaded;
    let mut failures = 0;
    // Whether we sent the bytes ourselves: then what is there counts as sent.
    let mut sent = false;
    loop {
        if let Some(asset) = known.take()
            && let Some(asset) = wait_for_end(client, release, asset)?
        {
            if has_bytes(client, &asset, source)? {
                return Ok(if sent { outcome } else { Outcome::Present });
            }
            known = remove(client, release, source, &asset)?;
            if known.is_some() {
                continue;
            }
            if !sent {
                outcome = Outcome::Replaced;
            }
        }
        if !may_add(release, source) {
            return Err(refuse(source, "is not an asset of this release, which is published: nothing was written"));
        }
        let failure = match send(client, release, source) {
            Ok(asset) if asset.name == source.name && asset.is_uploaded() && asset.size == source.size => {
                match asset.sha256() {
                    // Null for a while after an upload: `finalize` waits for it.
                    None => return Ok(outcome),
                    Some(sha256) if sha256 == source.sha256 => return Ok(outcome),
                    Some(_) => Failure {
                        request: format!("upload of {}", source.name),
                        cause: Cause::Corrupt("the server has other bytes than were sent".to_owned()),
                        request_id: None,
                    },
                }
            }
            Ok(asset) => {
                remove(client, release, source, &asset)?;
                let what =
                    format!("became an asset called {} of {} bytes, {}: removed", asset.name, asset.size, asset.state);
                return Err(refuse(source, &what));
            }
            Err(failure) => failure,
        };
        failures += 1;
        sent |= failure.is_unclear() || matches!(failure.cause, Cause::Corrupt(_));
        if failure.is_already_exists() {
            // Someone's asset that is not listed yet, or our own whose answer got lost.
            if failures > LAG.len() as u32 {
                return Err(failure);
            }
            client.clock.sleep(Duration::from_secs(LAG[failures as usize - 1]));
        } else {
            if failures >= ATTEMPTS {
                return Err(failure);
            }
            client.pause(failures, failure)?;
        }
        known = client.assets(release.id)?.into_iter().find(|asset| asset.name == source.name);
    }
}

/// An asset that is not uploaded may be another job's, just being sent, or our own whose answer got lost: give that
/// some time to end.
fn wait_for_end(client: &Client, release: &Release, asset: Asset) -> Result<Option<Asset>, Failure> {
    let mut asset = asset;
    for seconds in &LAG[..4] {
        if asset.is_uploaded() {
            break;
        }
        client.clock.sleep(Duration::from_secs(*seconds));
        let assets = client.assets(release.id)?;
        match assets.into_iter().find(|other| other.name == asset.name) {
            Some(fresh) => asset = fresh,
            None => return Ok(None),
        }
    }
    Ok(Some(asset))
}

/// Whether an asset has the bytes of `source`. Where the API does not say its digest, the bytes themselves are asked.
fn has_bytes(client: &Client, asset: &Asset, source: &Source) -> Result<bool, Failure> {
    if asset.digest.is_some() || !asset.is_uploaded() || asset.size != source.size {
        return Ok(asset.is(source.size, &source.sha256));
    }
    let wanted = Asset { digest: Some(format!("sha256:{}", source.sha256)), ..asset.clone() };
    match client.retry(|| fetch_checked(client, &wanted, &mut std::io::sink())) {
        Ok(_) => Ok(true),
        Err(Failure { cause: Cause::Corrupt(_), .. }) => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// Whether `source` may be added to a release in this state.
fn may_add(release: &Release, source: &Source) -> bool {
    release.draft || (source.completes && !release.immutable)
}

/// Removes an asset that does not have the bytes of `source`, if the release allows it now; gives the asset back if it
/// was just being sent and has become complete meanwhile.
///
/// The API has no conditional DELETE, so the release is read right before each one: another `finalize` may have
/// published it since, or be about to. What slips through that gap is repaired by `finalize`, which puts missing sums
/// back.
fn remove(client: &Client, release: &Release, source: &Source, asset: &Asset) -> Result<Option<Asset>, Failure> {
    client.retry(|| {
        let fresh = client.release(release.id)?;
        let Some(now) = fresh.assets.iter().find(|other| other.id == asset.id) else { return Ok(None) };
        if now.is_uploaded() && !asset.is_uploaded() {
            return Ok(Some(now.clone()));
        }
        // Nobody can download what is not uploaded: where the sums are only begun, they are missing.
        if !fresh.draft && (asset.is_uploaded() || !may_add(&fresh, source)) {
            let what = "differs, and the release is published: its assets are not changed";
            return Err(refuse(source, what));
        }
        client.delete_asset(asset.id).map(|()| None)
    })
}

fn send(client: &Client, release: &Release, source: &Source) -> Result<Asset, Failure> {
    match &source.content {
        Content::Memory(bytes) => client.send_asset(release, &source.name, &mut bytes.as_slice(), source.size),
        Content::File(path) => {
            let file = File::open(path).map_err(|error| Failure {
                request: format!("upload of {}", source.name),
                cause: Cause::Local(format!("cannot read {}: {error}", path.display())),
                request_id: None,
            })?;
            client.send_asset(release, &source.name, &mut Progress::new(file, &source.name, source.size), source.size)
        }
    }
}

fn refuse(source: &Source, what: &str) -> Failure {
    let refusal = Refusal { status: 0, message: what.to_owned(), details: Vec::new() };
    Failure { request: source.name.clone(), cause: Cause::Refusal(refusal), request_id: None }
}
