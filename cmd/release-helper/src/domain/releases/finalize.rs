//! `finalize`: publishes a draft once it has exactly the assets it must have, with the bytes the builders made.
//!
//! Of a published release nothing is changed, with one exception: if only the sums are missing, they are put back. The
//! API has no conditional DELETE, so a run that replaces unfinished sums of a draft and is killed can take away those
//! of a release that another run publishes in that moment (issue 5, seed 5212 of its fault campaign).

use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::api::{Asset, Release};
use super::client::{Client, LAG};
use super::download::fetch_checked;
use super::draft::ensure_only;
use super::failure::{Explain, Failure};
use super::sums::Sums;
use super::upload::{Content, Outcome, Source, place};
use crate::domain::contract::Contract;
use crate::domain::version::Tag;
use crate::plumbing::digest;
use crate::plumbing::error::Hint;

/// What the release must be.
pub struct Expectation {
    /// The names of all assets but the sums.
    pub names: Vec<String>,
    /// The name of the asset with the sums.
    pub sums: String,
    /// The names that must have a record before a published release is completed: the artifacts.
    pub recorded: Vec<String>,
    /// Digests that the builders recorded; those of other names are not checked against a record.
    pub records: Sums,
    /// Whether to mark the release as the latest one, if no newer version is out. A prerelease never is.
    pub latest: bool,
    /// The commit that the tag must mean when the release is published.
    pub commit: Option<String>,
    /// Whether the release may have assets of other names too. They are left alone, and the sums don't list them.
    pub among_others: bool,
    /// Whether a complete draft is published, or left to somebody else who does that.
    pub publish: bool,
}

impl Expectation {
    /// What `contract` asks for, with the builders' `records`.
    pub fn of(contract: &Contract, records: Sums) -> Self {
        let names: Vec<_> = contract.assets().into_iter().filter(|name| *name != contract.sums).collect();
        let (recorded, sums) = (names.clone(), contract.sums.clone());
        Self { names, sums, recorded, records, latest: true, commit: None, among_others: false, publish: true }
    }

    /// Whether `asset` is one of those that are expected.
    fn has(&self, asset: &Asset) -> bool {
        self.names.contains(&asset.name) || asset.name == self.sums
    }

    /// The expected ones among `assets`.
    fn own(&self, assets: &[Asset]) -> Vec<Asset> {
        assets.iter().filter(|asset| self.has(asset)).cloned().collect()
    }
}

/// A published release.
#[derive(Clone, Debug)]
pub struct Finalized {
    /// Its tag.
    pub tag: String,
    /// Its page.
    pub url: String,
    /// The digests of its assets, the sums themselves excepted.
    pub sums: Sums,
    /// Whether it is still a draft, as was asked for.
    pub draft: bool,
    /// Whether this run published it.
    pub published_now: bool,
    /// Whether this run put the sums back, which the published release had lost.
    pub sums_restored: bool,
}

/// Publishes the draft `id`, or confirms that it is published as expected; missing sums are put back.
pub fn finalize(client: &Client, id: u64, expected: &Expectation) -> Result<Finalized> {
    let next = format!("`release-helper finalize --release-id {id}`");
    let release = client.release(id).explain(format!("nothing was changed: cannot read release {id}"), &next)?;
    let state = format!(
        "release {id} for {} {}",
        release.tag_name,
        if release.draft { "is still a draft" } else { "is published" }
    );
    if release.tag_name.parse::<Tag>().is_ok_and(|tag| tag.is_dry_run()) {
        return Err(anyhow::anyhow!("{state}, and must stay one: its tag names a dry run"))
            .hint("push a tag such as v1.2.3 to make a release");
    }
    for (name, _) in expected.records.iter() {
        if !expected.names.iter().any(|expected| expected == name) {
            bail!("{state}: there is a record of {name}, which is no asset of this release");
        }
    }
    let assets = wait_for_set(client, &release, expected, false, &state, &next)?;
    let sums = digests(client, &assets, expected, &state, &next)?;
    let listed = sums.to_string().into_bytes();
    let source = Source {
        name: expected.sums.clone(),
        size: listed.len() as u64,
        sha256: digest::sha256(&listed),
        content: Content::Memory(listed),
        completes: true,
    };
    if release.draft {
        let known = assets.into_iter().find(|asset| asset.name == expected.sums);
        place(client, &release, &source, known)
            .explain(format!("{state}: {} is not as it must be", expected.sums), &next)?;
        // The set once more, now with the sums: the state that gets published.
        let complete = wait_for_set(client, &release, expected, true, &state, &next)?;
        same_bytes(&complete, &sums, &source, &release, &state)?;
        let all = ensure_only(client, &release, &state, &next)?;
        if let Some(commit) = &expected.commit {
            ensure_tag(client, &release.tag_name, commit).with_context(|| state.clone())?;
        }
        if !expected.publish {
            let url = client.release_page(&release.tag_name, &release.html_url);
            let tag = release.tag_name;
            return Ok(Finalized { tag, url, sums, draft: true, published_now: false, sums_restored: false });
        }
        let latest = expected.latest && is_newest(&all, &release.tag_name);
        publish(client, &release, latest, &state, &next)?;
    }
    let (published, sums_restored) = read_back(client, &release, expected, &sums, &source, &next)?;
    let published_now = release.draft;
    let url = client.release_page(&release.tag_name, &published.html_url);
    Ok(Finalized { tag: release.tag_name, url, sums, draft: false, published_now, sums_restored })
}

/// Fails unless the tag means `commit` on the server: whoever can move a tag can have one commit built and another
/// published under its name.
pub fn ensure_tag(client: &Client, tag: &str, commit: &str) -> Result<()> {
    let found = client.commit_of_tag(tag).explain(format!("cannot look up the tag {tag}"), "the job")?;
    let moved = match found {
        Some(found) if found == commit => return Ok(()),
        Some(found) => format!("the tag {tag} means the commit {found} on the server, not {commit}"),
        None => format!("the tag {tag} is not on the server; it was built from {commit}"),
    };
    Err(anyhow::anyhow!(moved))
        .hint("nothing was published: find out who moved the tag, and release a new version from a right one")
}

/// Whether no release of a newer version is out: a correction of an old one must not become the latest.
fn is_newest(releases: &[Release], tag: &str) -> bool {
    let Ok(own) = tag.parse::<Tag>() else { return true };
    let mut others = releases.iter().filter(|other| !other.draft && !other.prerelease && other.tag_name != tag);
    !others.any(|other| other.tag_name.parse::<Tag>().is_ok_and(|other| other > own))
}

/// What to do about a release whose assets are not those of the contract.
fn remedy(release: &Release, next: &str) -> String {
    if release.draft {
        let id = release.id;
        format!(
            "upload what is missing with `release-helper upload --release-id {id}`, delete what does not belong, then run {next} again"
        )
    } else if release.immutable {
        "an immutable release cannot be changed: release a new version".to_owned()
    } else {
        "of a published release only missing sums are put back, once all else is confirmed: find out who changed it, or release a new version".to_owned()
    }
}

/// Waits until the assets are the expected ones: no fewer, no others, all uploaded and with digests.
fn wait_for_set(
    client: &Client,
    release: &Release,
    expected: &Expectation,
    with_sums: bool,
    state: &str,
    next: &str,
) -> Result<Vec<Asset>> {
    let mut waits = LAG.iter();
    loop {
        let assets = client.assets(release.id).explain(format!("{state}: cannot list its assets"), next)?;
        let foreign = foreign(&assets, expected);
        let mut wrong = differences(&assets, expected, with_sums);
        if wrong.is_empty() && foreign.is_empty() {
            return Ok(expected.own(&assets));
        }
        // Lists lag behind what was uploaded; what somebody else has put there does not go away by waiting.
        let waiting = foreign.is_empty().then(|| waits.next()).flatten();
        wrong.extend(foreign);
        let Some(seconds) = waiting else {
            return Err(anyhow::anyhow!("{state}, and its assets are not those of the contract: {}", wrong.join("; ")))
                .hint(remedy(release, next));
        };
        client.say(format_args!("{}; lists lag at times, looking again in {seconds} s", wrong.join("; ")));
        client.clock.sleep(Duration::from_secs(*seconds));
    }
}

/// What separates `assets` from the expected set.
fn differences(assets: &[Asset], expected: &Expectation, with_sums: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let sums = with_sums.then_some(&expected.sums);
    for name in expected.names.iter().chain(sums) {
        match assets.iter().filter(|asset| asset.name == *name).collect::<Vec<_>>()[..] {
            [] => wrong.push(format!("{name} is missing")),
            [asset] if !asset.is_uploaded() => wrong.push(format!("{name} is not uploaded but {}", asset.state)),
            [asset] if asset.sha256().is_none() => wrong.push(format!("{name} has no digest")),
            [_] => {}
            _ => wrong.push(format!("{name} is there more than once")),
        }
    }
    wrong
}

/// The assets that do not belong to the release, if they may not be there.
fn foreign(assets: &[Asset], expected: &Expectation) -> Vec<String> {
    let foreign = assets.iter().filter(|asset| !expected.among_others && !expected.has(asset));
    foreign.map(|asset| format!("{} does not belong here", asset.name)).collect()
}

/// Downloads the bytes of all assets and compares them with the API's digests and the builders' records.
fn digests(client: &Client, assets: &[Asset], expected: &Expectation, state: &str, next: &str) -> Result<Sums> {
    let mut sums = Sums::default();
    for asset in assets.iter().filter(|asset| asset.name != expected.sums) {
        let (_, sha256) = client
            .retry(|| fetch_checked(client, asset, &mut std::io::sink()))
            .explain(format!("{state}: the bytes of {} are not confirmed", asset.name), next)?;
        if let Some(record) = expected.records.get(&asset.name).filter(|record| *record != sha256) {
            return Err(anyhow::anyhow!(
                "{state}: {} has sha256 {sha256}, but its builder recorded {record}",
                asset.name
            ))
            .hint("upload the builder's file again, or find out who changed it before running finalize");
        }
        sums.insert(&asset.name, &sha256)?;
    }
    Ok(sums)
}

/// Whether the set still has the bytes that were downloaded.
fn same_bytes(assets: &[Asset], sums: &Sums, source: &Source, release: &Release, state: &str) -> Result<()> {
    for asset in assets {
        let wanted = if asset.name == source.name { Some(source.sha256.as_str()) } else { sums.get(&asset.name) };
        if asset.sha256() != wanted {
            let (what, advice) = if release.draft {
                ("was replaced while it was being finalized", "let the uploads end, then run finalize again")
            } else {
                ("does not have the bytes it must have", "find out who changed it, or release a new version")
            };
            return Err(anyhow::anyhow!("{state}: {} {what}", asset.name)).hint(advice);
        }
    }
    Ok(())
}

/// The last write. After a failure the release itself says whether it happened.
fn publish(client: &Client, release: &Release, latest: bool, state: &str, next: &str) -> Result<()> {
    let mut failures = 0;
    let mut attempt = || -> Result<(), Failure> {
        loop {
            let Err(failure) = client.publish(release.id, release.prerelease, latest) else { return Ok(()) };
            failures += 1;
            // A refusal may mean that another run was faster.
            let stands = if failure.is_temporary() { client.pause(failures, failure).err() } else { Some(failure) };
            let is_stopped = stands.as_ref().is_some_and(Failure::is_stopped);
            if !is_stopped && !client.release(release.id)?.draft {
                return Ok(());
            }
            if let Some(failure) = stands {
                return Err(failure);
            }
        }
    };
    attempt().explain(format!("{state} with all its assets, not published"), next)
}

/// Reads the published release by its tag, as its users will, and puts the sums back if they alone are missing; says
/// whether that was so.
fn read_back(
    client: &Client,
    release: &Release,
    expected: &Expectation,
    sums: &Sums,
    source: &Source,
    next: &str,
) -> Result<(Release, bool)> {
    let tag = &release.tag_name;
    let state = format!("release {} for {tag} is published", release.id);
    let (mut tried, mut restored) = (false, false);
    let mut waits = LAG.iter();
    loop {
        let (found, reason) = match client.release_by_tag(tag) {
            Ok(found) if found.id != release.id => {
                bail!("{state}, but {tag} means release {}", found.id)
            }
            Ok(found) if found.draft => (None, "its tag still shows a draft".to_owned()),
            Ok(found) => {
                let mut wrong = differences(&found.assets, expected, true);
                wrong.extend(foreign(&found.assets, expected));
                if wrong.is_empty() {
                    same_bytes(&expected.own(&found.assets), sums, source, &found, &state)?;
                    return Ok((found, restored));
                }
                (Some(found), wrong.join("; "))
            }
            Err(failure) if failure.is_status(404) => (None, failure.to_string()),
            Err(failure) => return Err(failure).explain(format!("{state}, but not read back"), next),
        };
        if let Some(seconds) = waits.next() {
            client.clock.sleep(Duration::from_secs(*seconds));
            continue;
        }
        let Some(found) = found else {
            return Err(anyhow::anyhow!("{state}, but cannot be read back: {reason}"))
                .hint(format!("run {next} again to check it"));
        };
        let is_whole =
            differences(&found.assets, expected, false).is_empty() && foreign(&found.assets, expected).is_empty();
        if tried || found.immutable || !is_whole {
            return Err(anyhow::anyhow!("{state}, and its assets are not those of the contract: {reason}"))
                .hint(remedy(&found, next));
        }
        client.say(format_args!("{state} without its sums ({reason}): putting them back"));
        restored = restore(client, &found, expected, sums, source, &state, next)?;
        (tried, waits) = (true, LAG.iter());
    }
}

/// Puts the sums of a published release back whose other assets are confirmed; says whether they were missing.
fn restore(
    client: &Client,
    found: &Release,
    expected: &Expectation,
    sums: &Sums,
    source: &Source,
    state: &str,
    next: &str,
) -> Result<bool> {
    let mut artifacts = expected.own(&found.assets);
    artifacts.retain(|asset| asset.name != source.name);
    same_bytes(&artifacts, sums, source, found, state)?;
    if let Some(name) = expected.recorded.iter().find(|name| expected.records.get(name).is_none()) {
        return Err(anyhow::anyhow!("{state} without {}, and no builder's record confirms {name}", source.name))
            .hint(format!("run {next} with --records to have the sums put back"));
    }
    let known = found.assets.iter().find(|asset| asset.name == source.name).cloned();
    let outcome = place(client, found, source, known).explain(format!("{state} without {}", source.name), next)?;
    Ok(outcome != Outcome::Present)
}
