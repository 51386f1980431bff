//! The operations of the REST API that a release needs (<https://docs.github.com/en/rest/releases>).

use std::io::{Read, Write};
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::address::encode;
use super::client::{Client, LAG, Payload};
use super::failure::{Cause, Failure};
use super::limits::refusal;
use crate::plumbing::digest::hex;
use crate::plumbing::foreign;

/// The items of one page of a list.
const PER_PAGE: usize = 100;
/// GitHub lists no more releases than these.
const MOST_RELEASES: usize = 10_000;
/// GitHub allows no more assets for one release.
const MOST_ASSETS: usize = 1000;

/// A release, as far as this client needs to know it.
#[derive(Clone, Debug, Deserialize)]
pub struct Release {
    /// Its number.
    pub id: u64,
    /// Its tag.
    pub tag_name: String,
    /// Its title.
    pub name: Option<String>,
    /// Its notes.
    pub body: Option<String>,
    /// Whether it is not published.
    pub draft: bool,
    /// Whether it is marked as not ready for production.
    #[serde(default)]
    pub prerelease: bool,
    /// Whether it is published and locked.
    #[serde(default)]
    pub immutable: bool,
    /// Where to send assets: an address with `{?name,label}` at its end.
    pub upload_url: String,
    /// Its page.
    pub html_url: String,
    /// Its assets, as far as this answer knows them.
    #[serde(default)]
    pub assets: Vec<Asset>,
}

/// An asset of a release.
#[derive(Clone, Debug, Deserialize)]
pub struct Asset {
    /// Its number.
    pub id: u64,
    /// Its file name.
    pub name: String,
    /// Its size in bytes.
    pub size: u64,
    /// `sha256:` and 64 digits; absent for old assets and at times for new ones.
    #[serde(default)]
    pub digest: Option<String>,
    /// `uploaded` when the bytes are there; `starter` after an upload that failed.
    pub state: String,
}

impl Asset {
    /// Whether the bytes are there.
    pub fn is_uploaded(&self) -> bool {
        self.state == "uploaded"
    }

    /// The SHA-256 in hexadecimal, if the API says it.
    pub fn sha256(&self) -> Option<&str> {
        self.digest.as_deref().and_then(|digest| digest.strip_prefix("sha256:"))
    }

    /// Whether it has exactly these bytes.
    pub fn is(&self, size: u64, sha256: &str) -> bool {
        self.is_uploaded() && self.size == size && self.sha256().is_some_and(|own| own.eq_ignore_ascii_case(sha256))
    }
}

/// A tag of the repository.
pub(super) struct Tag {
    /// The message, if it is annotated.
    pub(super) message: Option<String>,
}

#[derive(Deserialize)]
struct Reference {
    object: Object,
}

#[derive(Deserialize)]
struct Object {
    sha: String,
    #[serde(rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct TagObject {
    message: String,
}

#[derive(Deserialize)]
struct CheckRuns {
    check_runs: Vec<CheckRun>,
}

/// A check of a commit.
#[derive(Deserialize)]
pub struct CheckRun {
    /// Its conclusion; none while it runs.
    pub conclusion: Option<String>,
    app: Option<App>,
}

#[derive(Deserialize)]
struct App {
    slug: Option<String>,
}

#[derive(Deserialize)]
struct Notes {
    body: String,
}

impl Client {
    /// All pages of a list of at most `most` items.
    fn all<T: for<'a> Deserialize<'a>>(&self, path: &str, most: usize) -> Result<Vec<T>, Failure> {
        let mut items = Vec::new();
        let mut url = self.url(&format!("{path}?per_page={PER_PAGE}"));
        for page in 1.. {
            let answer = self.send("GET", &url, "application/vnd.github+json", Payload::None)?;
            let next = answer.header("link").and_then(next_page);
            let failure = answer.failure(Cause::Stopped);
            items.extend(self.read_json::<Vec<T>>(answer)?);
            let Some(next) = next else { break };
            let cause = if !self.is_own(&next) {
                let next = foreign::line(next.split('?').next().unwrap_or_default());
                Cause::Network(format!("the next page is on another host: {next}"))
            } else if page * PER_PAGE >= most || items.len() >= most {
                refusal(format!("the list goes on after {most} items, more than GitHub has"))
            } else {
                url = next;
                continue;
            };
            return Err(Failure { cause, ..failure });
        }
        Ok(items)
    }

    /// All releases, drafts included if the token may see them.
    pub fn releases(&self) -> Result<Vec<Release>, Failure> {
        self.retry(|| self.all("/releases", MOST_RELEASES))
    }

    /// The release called `id`, which some job has made: one that is not there yet is waited for.
    pub fn release(&self, id: u64) -> Result<Release, Failure> {
        self.await_visible(|| self.release_now(id))
    }

    /// The release called `id`, if it is there.
    pub(super) fn release_now(&self, id: u64) -> Result<Release, Failure> {
        self.retry(|| self.json("GET", &self.url(&format!("/releases/{id}")), Payload::None))
    }

    /// Asks again for a while when a release is not found: a new one may not be known everywhere for some seconds.
    fn await_visible<T>(&self, ask: impl Fn() -> Result<T, Failure>) -> Result<T, Failure> {
        for seconds in &LAG[..4] {
            match ask() {
                Err(failure) if failure.is_status(404) => {
                    self.say(format_args!("{failure}; looking again in {seconds} s"));
                    self.clock.sleep(Duration::from_secs(*seconds));
                }
                other => return other,
            }
        }
        ask()
    }

    /// The published release of `tag`.
    pub fn release_by_tag(&self, tag: &str) -> Result<Release, Failure> {
        self.retry(|| self.json("GET", &self.url(&format!("/releases/tags/{}", encode(tag))), Payload::None))
    }

    /// All assets of the release `id`.
    pub fn assets(&self, id: u64) -> Result<Vec<Asset>, Failure> {
        self.await_visible(|| self.retry(|| self.all(&format!("/releases/{id}/assets"), MOST_ASSETS)))
    }

    /// The tag `name`, `None` if it does not exist.
    pub(super) fn tag(&self, name: &str) -> Result<Option<Tag>, Failure> {
        let url = self.url(&format!("/git/ref/tags/{}", encode(name)));
        let reference: Reference = match self.retry(|| self.json("GET", &url, Payload::None)) {
            Err(failure) if failure.is_status(404) => return Ok(None),
            other => other?,
        };
        if reference.object.kind != "tag" {
            return Ok(Some(Tag { message: None }));
        }
        let url = self.url(&format!("/git/tags/{}", encode(&reference.object.sha)));
        let object: TagObject = self.retry(|| self.json("GET", &url, Payload::None))?;
        Ok(Some(Tag { message: Some(object.message) }))
    }

    /// The commit that the tag `name` means, `None` if there is no such tag.
    pub fn commit_of_tag(&self, name: &str) -> Result<Option<String>, Failure> {
        let url = self.url(&format!("/git/ref/tags/{}", encode(name)));
        let reference: Reference = match self.retry(|| self.json("GET", &url, Payload::None)) {
            Err(failure) if failure.is_status(404) => return Ok(None),
            other => other?,
        };
        if reference.object.kind != "tag" {
            return Ok(Some(reference.object.sha));
        }
        let url = self.url(&format!("/git/tags/{}", encode(&reference.object.sha)));
        let tag: Reference = self.retry(|| self.json("GET", &url, Payload::None))?;
        Ok(Some(tag.object.sha))
    }

    /// The newest run of each check called `name` that a workflow has made of `commit`.
    pub fn check_runs(&self, commit: &str, name: &str) -> Result<Vec<CheckRun>, Failure> {
        let path =
            format!("/commits/{}/check-runs?filter=latest&per_page=100&check_name={}", encode(commit), encode(name));
        let mut runs: CheckRuns = self.retry(|| self.json("GET", &self.url(&path), Payload::None))?;
        // Any app can make a check of any name.
        let is_ours = |run: &CheckRun| run.app.as_ref().and_then(|app| app.slug.as_deref()) == Some("github-actions");
        runs.check_runs.retain(is_ours);
        Ok(runs.check_runs)
    }

    /// Notes made from the history; they are not stored.
    pub(super) fn generate_notes(&self, tag: &str) -> Result<String, Failure> {
        let url = self.url("/releases/generate-notes");
        let notes: Notes = self.retry(|| self.json("POST", &url, Payload::Json(json!({ "tag_name": tag }))))?;
        Ok(notes.body)
    }

    /// Makes a draft, once: a failure may mean that it was made. `target_commitish` is never sent: a token without
    /// `workflows: write` may not name a commit that changes a workflow, and the tag exists already.
    pub(super) fn create_draft(&self, tag: &str, notes: &str, prerelease: bool) -> Result<Release, Failure> {
        let body = json!({ "tag_name": tag, "name": tag, "body": notes, "draft": true, "prerelease": prerelease });
        self.json("POST", &self.url("/releases"), Payload::Json(body))
    }

    /// Publishes a draft, once: a failure may mean that it was published. `make_latest` is a string in this API.
    pub(super) fn publish(&self, id: u64, prerelease: bool, latest: bool) -> Result<Release, Failure> {
        let make_latest = if latest && !prerelease { "true" } else { "false" };
        let body = json!({ "draft": false, "prerelease": prerelease, "make_latest": make_latest });
        self.json("PATCH", &self.url(&format!("/releases/{id}")), Payload::Json(body))
    }

    /// Deletes a release; one that is gone already is fine.
    pub(super) fn delete_release(&self, id: u64) -> Result<(), Failure> {
        self.retry(|| self.delete(&format!("/releases/{id}")))
    }

    /// Deletes an asset, once: before another try, look whether the release is still a draft. One that is gone
    /// already is fine.
    pub(super) fn delete_asset(&self, id: u64) -> Result<(), Failure> {
        self.delete(&format!("/releases/assets/{id}"))
    }

    fn delete(&self, path: &str) -> Result<(), Failure> {
        match self.send("DELETE", &self.url(path), "application/vnd.github+json", Payload::None) {
            Err(failure) if failure.is_status(404) => Ok(()),
            other => other.map(|_| ()),
        }
    }

    /// Sends the bytes of an asset, once: a failure may mean that they arrived.
    pub(super) fn send_asset(
        &self,
        release: &Release,
        name: &str,
        bytes: &mut dyn Read,
        length: u64,
    ) -> Result<Asset, Failure> {
        let base = release.upload_url.split('{').next().unwrap_or_default();
        let url = format!("{base}?name={}", encode(name));
        if !self.is_own(&url) {
            // Sent there, the token would leave the API's hosts.
            return Err(Failure {
                request: format!("POST {name}"),
                cause: refusal(format!("the server wants uploads sent to another host: {base}")),
                request_id: None,
            });
        }
        self.json("POST", &url, Payload::Stream(bytes, length))
    }

    /// The bytes of an asset, whatever they are, and their SHA-256. For small assets: they are held in memory.
    pub fn retry_fetch(&self, asset: &Asset) -> Result<(Vec<u8>, String), Failure> {
        self.retry(|| {
            let mut bytes = Vec::new();
            let (_, sha256) = self.fetch(asset, &mut bytes)?;
            Ok((bytes, sha256))
        })
    }

    /// Streams the bytes of an asset into `sink`, once; gives back their number and SHA-256. The token stays behind
    /// when the bytes come from another host.
    pub(super) fn fetch(&self, asset: &Asset, sink: &mut dyn Write) -> Result<(u64, String), Failure> {
        let octets = "application/octet-stream";
        let mut url = self.url(&format!("/releases/assets/{}", asset.id));
        let mut answer = self.send_for(asset.size, "GET", &url, octets, Payload::None)?;
        for _ in 0..5 {
            if answer.status() != 302 {
                break;
            }
            let Some(location) = answer.header("location").filter(|location| self.may_follow(location)) else {
                let reason = "a redirect to no address, or to one that is not as safe as the API's";
                return Err(answer.failure(Cause::Network(reason.to_owned())));
            };
            url = location.to_owned();
            answer = self.send_for(asset.size, "GET", &url, octets, Payload::None)?;
        }
        let failure = answer.failure(Cause::Stopped);
        let because =
            |cause| Failure { request: failure.request.clone(), cause, request_id: failure.request_id.clone() };
        if answer.status() != 200 {
            return Err(because(Cause::Network(format!("unexpected status {}", answer.status()))));
        }
        // One byte more than announced is enough to know that it is another file.
        let mut reader = answer.into_reader().take(asset.size.saturating_add(1));
        let (mut hasher, mut size) = (Sha256::new(), 0);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let got = reader.read(&mut buffer).map_err(|error| because(Cause::Network(error.to_string())))?;
            if got == 0 {
                break;
            }
            self.receive(got as u64).map_err(because)?;
            size += got as u64;
            hasher.update(&buffer[..got]);
            sink.write_all(&buffer[..got])
                .map_err(|error| because(Cause::Local(format!("cannot write {}: {error}", asset.name))))?;
        }
        Ok((size, hex(&hasher.finalize())))
    }
}

/// The address of the next page in a `Link` header (RFC 8288).
fn next_page(link: &str) -> Option<String> {
    let next = link.split(',').find(|part| part.split(';').skip(1).any(|rel| rel.trim() == "rel=\"next\""))?;
    Some(next.split('>').next()?.trim().strip_prefix('<')?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_page_is_found_in_a_link_header() {
        let link = "<https://h/r?page=1>; rel=\"prev\", <https://h/r?page=3>; rel=\"next\", <https://h/r?page=9>; rel=\"last\"";
        assert_eq!(next_page(link).as_deref(), Some("https://h/r?page=3"));
        assert_eq!(next_page("<https://h/r?page=1>; rel=\"prev\""), None);
        assert_eq!(next_page("garbage"), None);
    }

    #[test]
    fn an_asset_is_the_file_only_if_state_size_and_digest_say_so() {
        let asset =
            Asset { id: 1, name: "a".into(), size: 3, digest: Some("sha256:AB".into()), state: "uploaded".into() };
        assert!(asset.is(3, "ab"));
        assert!(!asset.is(4, "ab"));
        assert!(!asset.is(3, "ac"));
        assert!(!Asset { state: "starter".into(), ..asset.clone() }.is(3, "ab"));
        assert!(!Asset { digest: None, ..asset }.is(3, "ab"));
    }

    #[test]
    fn an_upload_to_another_host_is_refused_before_a_byte_is_sent() {
        let client = Client::new("https://api.github.com", "o/r", Some("ghs_secret")).unwrap();
        for upload_url in ["https://uploads.evil.example/x{?name,label}", "http://uploads.github.com/x", ""] {
            let release: Release = serde_json::from_value(json!({
                "id": 1, "tag_name": "v1.2.3", "draft": true, "upload_url": upload_url, "html_url": "",
            }))
            .unwrap();
            let failure = client.send_asset(&release, "name", &mut &b"bytes"[..], 5).unwrap_err();
            assert!(failure.to_string().contains("uploads sent to another host"), "{failure}");
        }
        assert_eq!(client.requests(), 0);
    }
}
