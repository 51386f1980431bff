//! `download`: assets of a release, by number, checked against size and digest before they get their names.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::api::Asset;
use super::client::{Client, LAG};
use super::failure::{Cause, Explain, Failure};
use crate::plumbing::error::Hint;
use crate::plumbing::files;

/// A file that has the bytes of an asset.
#[derive(Clone, Debug)]
pub struct Downloaded {
    /// The asset's name.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
}

/// Downloads the assets called `names` of the release `id` into `directory`; all of them if no name is given.
/// A draft can be read with `contents: write` only.
pub fn download(client: &Client, id: u64, directory: &Path, names: &[String]) -> Result<Vec<Downloaded>> {
    let next = format!("`release-helper download --release-id {id}`");
    let state = format!("cannot download release {id}");
    let assets = complete(client, id, names).explain(&state, &next)?;
    for name in names {
        assets
            .iter()
            .find(|asset| asset.name == *name)
            .with_context(|| format!("release {id} has no asset called {name}"))
            .hint(format!("its assets are: {}", join(&assets)))?;
    }
    files::create_dir(directory)?;
    let mut downloaded = Vec::new();
    for asset in assets.iter().filter(|asset| names.is_empty() || names.contains(&asset.name)) {
        let path = directory.join(&asset.name);
        let is_bare = Path::new(&asset.name).file_name().is_some_and(|name| name == asset.name.as_str());
        if !is_bare {
            return Err(anyhow::anyhow!("an asset is called {:?}, which is no file name", asset.name))
                .hint("delete that asset: it was not made by this program");
        }
        let (size, sha256) = files::write_with(&path, |file| {
            client.retry(|| fetch_checked(client, asset, file)).explain(&state, &next)
        })?;
        downloaded.push(Downloaded { name: asset.name.clone(), path, size, sha256 });
    }
    Ok(downloaded)
}

/// The assets of a release once those called `names` are uploaded and have digests, or what there is in the end.
fn complete(client: &Client, id: u64, names: &[String]) -> Result<Vec<Asset>, Failure> {
    for seconds in LAG {
        let assets = client.assets(id)?;
        let is_ready = |asset: &Asset| asset.is_uploaded() && asset.digest.is_some();
        let ready = assets.iter().all(|asset| is_ready(asset) || !(names.is_empty() || names.contains(&asset.name)))
            && names.iter().all(|name| assets.iter().any(|asset| asset.name == *name));
        if ready {
            return Ok(assets);
        }
        client.clock.sleep(Duration::from_secs(seconds));
    }
    client.assets(id)
}

/// Fetches an asset once and checks it. A sink that can start again must: `restart` is called before each byte.
pub(super) fn fetch_checked(client: &Client, asset: &Asset, sink: &mut dyn Restart) -> Result<(u64, String), Failure> {
    let local = |error: std::io::Error| Failure {
        request: format!("download of {}", asset.name),
        cause: Cause::Local(format!("cannot write {}: {error}", asset.name)),
        request_id: None,
    };
    sink.restart().map_err(local)?;
    let (size, sha256) = client.fetch(asset, &mut *sink)?;
    if !asset.is(size, &sha256) {
        return Err(Failure {
            request: format!("download of {}", asset.name),
            cause: Cause::Corrupt(format!(
                "{size} bytes with sha256 {sha256} instead of {} bytes with {}, state {}",
                asset.size,
                asset.digest.as_deref().unwrap_or("no digest"),
                asset.state
            )),
            request_id: None,
        });
    }
    Ok((size, sha256))
}

/// A sink that can be emptied for another try.
pub(super) trait Restart: Write {
    /// Forgets what was written.
    fn restart(&mut self) -> std::io::Result<()>;
}

impl Restart for std::fs::File {
    fn restart(&mut self) -> std::io::Result<()> {
        use std::io::Seek;
        self.set_len(0)?;
        self.rewind()
    }
}

impl Restart for std::io::Sink {
    fn restart(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn join(assets: &[Asset]) -> String {
    assets.iter().map(|asset| asset.name.as_str()).collect::<Vec<_>>().join(", ")
}
