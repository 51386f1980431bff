//! A published release as anybody can get it: its files, what the API says about them, and the commit of its tag.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

use crate::domain::releases::{Asset, Client};
use crate::domain::source;
use crate::plumbing::error::{Hint, hinted};
use crate::plumbing::{files, foreign};

/// No asset of a release is larger: neither is one that claims to be.
const LARGEST: u64 = 16 * 1024 * 1024;
/// All assets of a release together are not larger, in bytes. They are held in memory.
const ALL: u64 = 64 * 1024 * 1024;
/// No release has more assets. What comes after them is not looked at.
const MOST: usize = 100;

/// A published release.
pub struct Published {
    /// Where it comes from, for people.
    pub origin: String,
    /// Its assets by name.
    pub files: BTreeMap<String, Vec<u8>>,
    /// The commit of its tag, as the server says; `None` if there is no server to ask.
    pub commit: Option<String>,
    /// The repository that the user named: where the sources are cloned, if they are not here.
    pub repository: Option<String>,
    /// What is wrong with single assets before anything is rebuilt: the name and the reason.
    pub faults: Vec<(String, String)>,
}

impl Published {
    /// The release of `tag`, by the public API.
    pub fn fetch(client: &Client, tag: &str) -> Result<Self> {
        let release = client.release_by_tag(tag).map_err(|failure| {
            let advice = failure.advice().filter(|_| failure.is_status(401)).unwrap_or(
                "check --repo and the tag; a draft is not public; or download the assets and give --assets DIR",
            );
            let what = format!("cannot read the release {tag} of {}", client.repository());
            hinted(format_args!("{:#}", anyhow::Error::new(failure).context(what)), advice)
        })?;
        let commit = client
            .commit_of_tag(tag)
            .with_context(|| format!("cannot read the tag {tag} of {}", client.repository()))?
            .with_context(|| format!("{} has a release {tag}, but no such tag", client.repository()))
            .hint("without the tag nobody can say what the release was built from: do not trust it")?;
        if !source::is_hash(&commit) {
            return Err(hinted(
                format_args!("{} says that {tag} is {commit:?}, which names no commit", client.repository()),
                "an honest server names 40 hexadecimal digits: do not trust this one",
            ));
        }
        let mut published = Self {
            origin: format!("{}/releases/tag/{tag}", client.page()),
            files: BTreeMap::new(),
            commit: Some(commit),
            repository: Some(client.page()),
            faults: Vec::new(),
        };
        let assets = client.assets(release.id).context("cannot list the assets of the release")?;
        published.limit(assets.len());
        for asset in assets.iter().take(MOST) {
            published.add_asset(client, asset)?;
        }
        Ok(published)
    }

    /// Downloads `asset`, and notes what is wrong with it.
    fn add_asset(&mut self, client: &Client, asset: &Asset) -> Result<()> {
        let name = &asset.name;
        if !asset.is_uploaded() {
            self.fault(name, format!("the API says its state is {}", asset.state));
            return Ok(());
        }
        if asset.size > self.room() {
            self.fault(name, format!("it has {} bytes: too large to be what it should be", asset.size));
            return Ok(());
        }
        let (bytes, sha256) = client
            .retry_fetch(asset)
            .with_context(|| format!("cannot download {name}"))
            .hint("check the network connection, then run this again; or download the assets and give --assets DIR")?;
        if bytes.len() as u64 != asset.size {
            let (told, got) = (asset.size, bytes.len());
            self.fault(name, format!("the API says it has {told} bytes, the download has {got}"));
        }
        match asset.sha256() {
            None => self.fault(name, "the API gives no digest for it".to_owned()),
            Some(told) if !told.eq_ignore_ascii_case(&sha256) => {
                self.fault(name, format!("the API says its sha256 is {told}, the downloaded bytes have {sha256}"));
            }
            Some(_) => {}
        }
        self.add(name, bytes);
        Ok(())
    }

    fn add(&mut self, name: &str, bytes: Vec<u8>) {
        if self.files.insert(name.to_owned(), bytes).is_some() {
            self.fault(name, "the release has it twice".to_owned());
        }
    }

    fn fault(&mut self, name: &str, what: String) {
        self.faults.push((name.to_owned(), what));
    }

    /// Notes that there are more assets than any release has.
    fn limit(&mut self, count: usize) {
        if count > MOST {
            self.fault("the release", format!("it has more than {MOST} assets: the others are not looked at"));
        }
    }

    /// How large the next asset may be, in bytes.
    fn room(&self) -> u64 {
        let held: usize = self.files.values().map(Vec::len).sum();
        LARGEST.min(ALL.saturating_sub(held as u64))
    }

    /// The assets in `directory`, downloaded by somebody.
    pub fn read(directory: &Path) -> Result<Self> {
        let mut published = Self {
            origin: foreign::line(&directory.display().to_string()),
            files: BTreeMap::new(),
            commit: None,
            repository: None,
            faults: Vec::new(),
        };
        let entries = directory
            .read_dir()
            .with_context(|| format!("cannot list {}", directory.display()))
            .hint("give --assets the directory that the release's files were downloaded to")?;
        for (number, entry) in entries.enumerate() {
            if number == MOST {
                published.limit(number + 1);
                break;
            }
            let path = entry.with_context(|| format!("cannot list {}", directory.display()))?.path();
            let name = foreign::line(&path.file_name().unwrap_or_default().to_string_lossy());
            // A pipe, a device, a directory, a link to nowhere.
            match files::read_regular(&path, published.room()) {
                Ok(bytes) => published.add(&name, bytes),
                // The error says its name again.
                Err(error) => {
                    published.fault(&name, foreign::line(&format!("it is no asset of a release: {error:#}")));
                }
            }
        }
        Ok(published)
    }
}
