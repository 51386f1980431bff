//! The server's state, kept in files so that a kill at any moment loses no acknowledged write: each release is one
//! JSON file, each asset one file of bytes, both replaced by rename before the answer is sent.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::directory::Directory;
use super::tag::{Tag, is_hash};
use crate::plumbing::error::Hint;
use crate::plumbing::files;

/// Ids are reserved in blocks of this size, so that giving one out costs no write.
const ID_BLOCK: u64 = 1000;

/// A release as the server keeps it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Release {
    pub(super) id: u64,
    pub(super) tag: String,
    pub(super) name: Option<String>,
    pub(super) body: Option<String>,
    pub(super) draft: bool,
    pub(super) prerelease: bool,
    pub(super) latest: bool,
    pub(super) immutable: bool,
    pub(super) target_commitish: String,
    pub(super) created_at: String,
    pub(super) updated_at: String,
    pub(super) published_at: Option<String>,
    pub(super) assets: Vec<Asset>,
}

/// An asset as the server keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Asset {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) label: Option<String>,
    pub(super) content_type: String,
    pub(super) size: u64,
    pub(super) digest: Option<String>,
    /// `starter` until the bytes are here, then `uploaded`.
    pub(super) state: String,
    pub(super) created_at: String,
    pub(super) updated_at: String,
    pub(super) downloads: u64,
}

/// All releases at one moment.
pub(super) type Releases = BTreeMap<u64, Arc<Release>>;

/// What a release's life leaves behind beside itself.
#[derive(Default, Serialize, Deserialize)]
struct Ledger {
    /// The first id that was never reserved.
    next_block: u64,
    /// Tags made by publishing.
    tags: Vec<Tag>,
    /// Tags of deleted immutable releases: never to be used again.
    burned: Vec<String>,
}

/// The state of the server.
pub(super) struct Store {
    directory: Directory,
    /// The commit that the default branch is at.
    head: String,
    state: Mutex<State>,
}

struct State {
    releases: Releases,
    /// Earlier states, for answers that lag behind; only kept where a lag can be asked for.
    history: Option<Vec<(SystemTime, Releases)>>,
    ledger: Ledger,
    next_id: u64,
}

impl Store {
    pub(super) fn open(directory: &Path, tags: &[Tag], head: &str, keep_history: bool) -> Result<Self> {
        let directory = Directory::take(directory)?;
        let mut ledger = read_ledger(&directory.ledger())?;
        let mut releases = Releases::new();
        for (id, path) in directory.releases()? {
            let read = || -> Result<Release> {
                let release: Release = serde_json::from_slice(&files::read(&path)?)?;
                ensure!(release.id == id, "it says that it is release {}", release.id);
                Ok(release)
            };
            let release = read()
                .with_context(|| format!("{} is not a release", path.display()))
                .hint("remove the file, or start with an empty --directory")?;
            releases.insert(id, Arc::new(release));
        }
        // The asset whose upload was interrupted stays as `starter`, as on GitHub; its bytes do not.
        directory
            .sweep_assets(|id| releases.values().flat_map(|release| &release.assets).any(|asset| asset.id == id))?;
        for tag in tags {
            ledger.tags.retain(|known| known.name != tag.name);
            ledger.tags.push(tag.clone());
        }
        let state = State {
            next_id: ledger.next_block,
            history: keep_history.then(|| vec![(SystemTime::UNIX_EPOCH, releases.clone())]),
            releases,
            ledger,
        };
        Ok(Self { directory, head: head.to_owned(), state: Mutex::new(state) })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // The state is replaced only after the file was: a panic elsewhere leaves it whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All releases, now or as they were `lag` before `now`.
    pub(super) fn releases(&self, now: SystemTime, lag: Duration) -> Releases {
        let state = self.state();
        let past = now.checked_sub(lag).unwrap_or(SystemTime::UNIX_EPOCH);
        match &state.history {
            Some(history) if !lag.is_zero() => history
                .iter()
                .rev()
                .find(|(time, _)| *time <= past)
                .map_or_else(|| state.releases.clone(), |(_, releases)| releases.clone()),
            _ => state.releases.clone(),
        }
    }

    /// The release that holds the asset `id`.
    pub(super) fn release_of_asset(&self, id: u64) -> Option<(Arc<Release>, Asset)> {
        self.state().releases.values().find_map(|release| {
            let asset = release.assets.iter().find(|asset| asset.id == id)?;
            Some((release.clone(), asset.clone()))
        })
    }

    /// The tag called `name`.
    pub(super) fn tag(&self, name: &str) -> Option<Tag> {
        self.state().ledger.tags.iter().find(|tag| tag.name == name).cloned()
    }

    /// The annotated tag object `sha`.
    pub(super) fn tag_object(&self, sha: &str) -> Option<Tag> {
        self.state().ledger.tags.iter().find(|tag| tag.message.is_some() && tag.object() == sha).cloned()
    }

    /// All tags, in the order of their names.
    pub(super) fn tags(&self) -> Vec<Tag> {
        let mut tags = self.state().ledger.tags.clone();
        tags.sort_by(|one, other| one.name.cmp(&other.name));
        tags
    }

    /// Adds a tag; `false` if there is one of that name.
    pub(super) fn add_tag(&self, tag: Tag) -> Result<bool> {
        let mut state = self.state();
        if state.ledger.tags.iter().any(|known| known.name == tag.name) {
            return Ok(false);
        }
        state.ledger.tags.push(tag);
        self.write_ledger(&state.ledger)?;
        Ok(true)
    }

    /// Removes the tag called `name`; `false` if there is none.
    pub(super) fn remove_tag(&self, name: &str) -> Result<bool> {
        let mut state = self.state();
        let before = state.ledger.tags.len();
        state.ledger.tags.retain(|tag| tag.name != name);
        let is_removed = state.ledger.tags.len() < before;
        if is_removed {
            self.write_ledger(&state.ledger)?;
        }
        Ok(is_removed)
    }

    /// An id that no release and no asset ever had.
    pub(super) fn new_id(&self) -> Result<u64> {
        let mut state = self.state();
        let id = state.next_id;
        if id >= state.ledger.next_block {
            state.ledger.next_block = id + ID_BLOCK;
            self.write_ledger(&state.ledger)?;
        }
        state.next_id += 1;
        Ok(id)
    }

    /// Changes the releases under the lock: `change` looks at all of them, and at the tags never to be used again,
    /// and gives back the one to store, or a refusal `E`. The change is on disk when this returns. `change` must not
    /// call the store.
    pub(super) fn change<E>(
        &self,
        now: SystemTime,
        change: impl FnOnce(&Releases, &[String]) -> Result<Release, E>,
    ) -> Result<Result<Arc<Release>, E>> {
        let mut state = self.state();
        let release = match change(&state.releases, &state.ledger.burned) {
            Ok(release) => Arc::new(release),
            Err(refusal) => return Ok(Err(refusal)),
        };
        files::write(&self.directory.release(release.id), &serde_json::to_vec(&*release)?)?;
        if !release.draft && state.ledger.tags.iter().all(|tag| tag.name != release.tag) {
            // GitHub makes a lightweight tag at the moment of publication.
            let is_commit = is_hash(&release.target_commitish);
            let commit = if is_commit { &release.target_commitish } else { &self.head };
            let tag = Tag { name: release.tag.clone(), commit: commit.clone(), message: None };
            state.ledger.tags.push(tag);
            self.write_ledger(&state.ledger)?;
        }
        state.releases.insert(release.id, release.clone());
        state.remember(now);
        Ok(Ok(release))
    }

    /// Forgets a release and its assets.
    pub(super) fn remove(&self, now: SystemTime, id: u64) -> Result<bool> {
        let mut state = self.state();
        let Some(release) = state.releases.get(&id).cloned() else { return Ok(false) };
        if release.immutable {
            state.ledger.burned.push(release.tag.clone());
            self.write_ledger(&state.ledger)?;
        }
        let path = self.directory.release(id);
        fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        for asset in &release.assets {
            self.remove_bytes(asset.id);
        }
        state.releases.remove(&id);
        state.remember(now);
        Ok(true)
    }

    /// Forgets the bytes of an asset. Bytes that stay behind are swept at the next start.
    pub(super) fn remove_bytes(&self, asset: u64) {
        let _ = fs::remove_file(self.asset_path(asset));
    }

    /// Where the bytes of an asset are.
    pub(super) fn asset_path(&self, asset: u64) -> PathBuf {
        self.directory.asset(asset)
    }

    fn write_ledger(&self, ledger: &Ledger) -> Result<()> {
        files::write(&self.directory.ledger(), &serde_json::to_vec(ledger)?)
    }
}

impl State {
    fn remember(&mut self, now: SystemTime) {
        if let Some(history) = &mut self.history {
            history.push((now, self.releases.clone()));
        }
    }
}

/// The ledger of a directory; a new one is written at once, as the mark that the directory is ours.
fn read_ledger(path: &Path) -> Result<Ledger> {
    if !path.exists() {
        let ledger = Ledger { next_block: 1, ..Ledger::default() };
        files::write(path, &serde_json::to_vec(&ledger)?)?;
        return Ok(ledger);
    }
    serde_json::from_slice(&files::read(path)?)
        .with_context(|| format!("{} is not a release server's ledger", path.display()))
        .hint("give a new or an empty directory with --directory")
}
