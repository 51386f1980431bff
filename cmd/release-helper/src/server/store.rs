//! The server's state, kept in files so that a kill at any moment loses no acknowledged write: each release is one
//! JSON file, each asset one file of bytes, both replaced by rename before the answer is sent.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::Tag;
use crate::error::Hint;
use crate::files;

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
    directory: PathBuf,
    state: Mutex<State>,
    /// Held for the life of the server: two servers on one directory would overwrite each other.
    lock: File,
}

struct State {
    releases: Releases,
    /// Earlier states, for answers that lag behind; only kept where a lag can be asked for.
    history: Option<Vec<(SystemTime, Releases)>>,
    ledger: Ledger,
    next_id: u64,
}

impl Store {
    pub(super) fn open(directory: &Path, tags: &[Tag], keep_history: bool) -> Result<Self> {
        let (releases_directory, assets) = (directory.join("releases"), directory.join("assets"));
        files::create_dir(&releases_directory)?;
        files::create_dir(&assets)?;
        let lock_path = directory.join("lock");
        let lock = File::create(&lock_path).with_context(|| format!("cannot write {}", lock_path.display()))?;
        lock.try_lock()
            .with_context(|| format!("{} is in use by another release server", directory.display()))
            .hint("stop the other server, or give this one another --directory")?;
        let mut releases = Releases::new();
        for entry in list(&releases_directory)? {
            let release: Release = serde_json::from_slice(&files::read(&entry)?)
                .with_context(|| format!("{} is not a release", entry.display()))
                .hint("remove the file, or start with an empty --directory")?;
            releases.insert(release.id, Arc::new(release));
        }
        // Bytes of an upload that a kill interrupted; the asset itself stays as `starter`, as on GitHub.
        let known = |path: &Path| {
            let id = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.parse::<u64>().ok());
            releases.values().flat_map(|release| &release.assets).any(|asset| Some(asset.id) == id)
        };
        for orphan in list(&assets)?.into_iter().filter(|path| !known(path)) {
            fs::remove_file(&orphan).with_context(|| format!("cannot remove {}", orphan.display()))?;
        }
        let ledger_path = directory.join("ledger.json");
        let mut ledger: Ledger = if ledger_path.exists() {
            serde_json::from_slice(&files::read(&ledger_path)?)
                .with_context(|| format!("{} is not a ledger", ledger_path.display()))?
        } else {
            Ledger { next_block: 1, ..Ledger::default() }
        };
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
        Ok(Self { directory: directory.to_owned(), state: Mutex::new(state), lock })
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

    /// Has the tag called `name` mean another commit, as a forced push does; says whether there is such a tag.
    pub(super) fn move_tag(&self, name: &str, commit: &str) -> Result<Option<Tag>> {
        let mut state = self.state();
        let Some(tag) = state.ledger.tags.iter_mut().find(|tag| tag.name == name) else { return Ok(None) };
        commit.clone_into(&mut tag.commit);
        tag.message = None;
        let moved = tag.clone();
        self.write_ledger(&state.ledger)?;
        Ok(Some(moved))
    }

    /// The annotated tag object `sha`.
    pub(super) fn tag_object(&self, sha: &str) -> Option<Tag> {
        self.state().ledger.tags.iter().find(|tag| tag.message.is_some() && tag.object() == sha).cloned()
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
        files::write(&self.release_path(release.id), &serde_json::to_vec(&*release)?)?;
        if !release.draft && state.ledger.tags.iter().all(|tag| tag.name != release.tag) {
            // GitHub makes a lightweight tag at the moment of publication.
            state.ledger.tags.push(Tag::lightweight(&release.tag));
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
        let path = self.release_path(id);
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
        self.directory.join("assets").join(asset.to_string())
    }

    fn release_path(&self, id: u64) -> PathBuf {
        self.directory.join("releases").join(format!("{id}.json"))
    }

    fn write_ledger(&self, ledger: &Ledger) -> Result<()> {
        files::write(&self.directory.join("ledger.json"), &serde_json::to_vec(ledger)?)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        // Closing is not enough: a child that another thread is just starting holds a copy until it executes.
        let _ = self.lock.unlock();
    }
}

impl State {
    fn remember(&mut self, now: SystemTime) {
        if let Some(history) = &mut self.history {
            history.push((now, self.releases.clone()));
        }
    }
}

/// The files in `directory`, without the temporary ones of an interrupted write.
fn list(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory).with_context(|| format!("cannot list {}", directory.display()))? {
        let path = entry.with_context(|| format!("cannot list {}", directory.display()))?.path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(".tmp-")) {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        } else {
            paths.push(path);
        }
    }
    Ok(paths)
}
