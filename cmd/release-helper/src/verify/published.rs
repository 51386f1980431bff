//! A published release as anybody can get it: its files, what the API says about them, and the commit of its tag.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

use crate::error::{Hint, hinted};
use crate::releases::Client;
use crate::{files, source};

/// No asset of a release is larger: neither is one that claims to be.
const LARGEST: u64 = 64 * 1024 * 1024;

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
        let release = client
            .release_by_tag(tag)
            .with_context(|| format!("cannot read the release {tag} of {}", client.repository()))
            .hint("check --repo and the tag; a draft is not public; or download the assets and give --assets DIR")?;
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
        for asset in assets {
            let mut fault = |text: String| published.faults.push((asset.name.clone(), text));
            if !asset.is_uploaded() {
                fault(format!("the API says its state is {}", asset.state));
                continue;
            }
            if asset.size > LARGEST {
                fault(format!("it has {} bytes: too large to be what it should be", asset.size));
                continue;
            }
            let (bytes, sha256) = client
                .retry_fetch(&asset)
                .with_context(|| format!("cannot download {}", asset.name))
                .hint("check the network connection, then run this again")?;
            if bytes.len() as u64 != asset.size {
                fault(format!("the API says it has {} bytes, the download has {}", asset.size, bytes.len()));
            }
            match asset.sha256() {
                None => fault("the API gives no digest for it".to_owned()),
                Some(claimed) if !claimed.eq_ignore_ascii_case(&sha256) => {
                    fault(format!("the API says its sha256 is {claimed}, the downloaded bytes have {sha256}"));
                }
                Some(_) => {}
            }
            if published.files.insert(asset.name.clone(), bytes).is_some() {
                published.faults.push((asset.name.clone(), "the release has it twice".to_owned()));
            }
        }
        Ok(published)
    }

    /// The assets in `directory`, downloaded by somebody.
    pub fn read(directory: &Path) -> Result<Self> {
        let mut published = Self {
            origin: directory.display().to_string(),
            files: BTreeMap::new(),
            commit: None,
            repository: None,
            faults: Vec::new(),
        };
        let entries = directory
            .read_dir()
            .with_context(|| format!("cannot list {}", directory.display()))
            .hint("give --assets the directory that the release's files were downloaded to")?;
        for entry in entries {
            let path = entry.with_context(|| format!("cannot list {}", directory.display()))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let size = path.metadata().with_context(|| format!("cannot read {}", path.display()))?.len();
            if path.is_dir() || size > LARGEST {
                published.faults.push((name, "it is no asset of a release".to_owned()));
            } else {
                published.files.insert(name, files::read(&path)?);
            }
        }
        Ok(published)
    }
}
