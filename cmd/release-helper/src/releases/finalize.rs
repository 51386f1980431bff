//! `finalize`: publishes a draft once it has exactly the assets it must have, with the bytes the builders made.

use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::Explain;
use super::api::{Asset, Release};
use super::client::{Client, LAG};
use super::download::fetch_checked;
use super::draft::ensure_only;
use super::failure::Failure;
use super::sums::Sums;
use super::upload::{Content, Source, place};
use crate::contract::Contract;
use crate::digest;
use crate::error::Hint;
use crate::version::Tag;

/// What the release must be.
pub struct Expectation {
    /// The names of all assets but the sums.
    pub names: Vec<String>,
    /// The name of the asset with the sums.
    pub sums: String,
    /// Digests that the builders recorded; those of other names are not checked against a record.
    pub records: Sums,
    /// Whether to mark the release as the latest one. A prerelease never is.
    pub latest: bool,
}

impl Expectation {
    /// What `contract` asks for, with the builders' `records`.
    pub fn of(contract: &Contract, records: Sums) -> Self {
        let names = contract.assets().into_iter().filter(|name| *name != contract.sums).collect();
        Self { names, sums: contract.sums.clone(), records, latest: true }
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
    /// Whether this run published it.
    pub published_now: bool,
}

/// Publishes the draft `id`, or confirms that it is published as expected.
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
    let assets = wait_for_set(client, &release, expected, !release.draft, &state, &next)?;
    let sums = digests(client, &assets, expected, &state, &next)?;
    let listed = sums.to_string().into_bytes();
    let source = Source {
        name: expected.sums.clone(),
        size: listed.len() as u64,
        sha256: digest::sha256(&listed),
        content: Content::Memory(listed),
    };
    let known = assets.into_iter().find(|asset| asset.name == expected.sums);
    place(client, &release, &source, known)
        .explain(format!("{state}: {} is not as it must be", expected.sums), &next)?;
    let finalized =
        |url, published_now| Finalized { tag: release.tag_name.clone(), url, sums: sums.clone(), published_now };
    if !release.draft {
        return Ok(finalized(release.html_url.clone(), false));
    }
    // The set once more, now with the sums: the state that gets published.
    let complete = wait_for_set(client, &release, expected, true, &state, &next)?;
    same_bytes(&complete, &sums, &source, &state)?;
    ensure_only(client, &release, &state, &next)?;
    publish(client, &release, expected, &state, &next)?;
    let published = read_back(client, &release, expected, &sums, &source)?;
    Ok(finalized(published.html_url, true))
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
        let wrong = differences(&assets, expected, with_sums);
        if wrong.is_empty() {
            return Ok(assets);
        }
        let Some(seconds) = waits.next() else {
            return Err(anyhow::anyhow!("{state}, and its assets are not those of the contract: {}", wrong.join("; "))).hint(
                format!("upload what is missing with `release-helper upload --release-id {}`, delete what does not belong, then run {next} again", release.id),
            );
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
    let is_foreign = |asset: &&Asset| !expected.names.contains(&asset.name) && asset.name != expected.sums;
    wrong.extend(assets.iter().filter(is_foreign).map(|asset| format!("{} does not belong here", asset.name)));
    wrong
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
fn same_bytes(assets: &[Asset], sums: &Sums, source: &Source, state: &str) -> Result<()> {
    for asset in assets {
        let wanted = if asset.name == source.name { Some(source.sha256.as_str()) } else { sums.get(&asset.name) };
        if asset.sha256() != wanted {
            return Err(anyhow::anyhow!("{state}: {} was replaced while it was being finalized", asset.name))
                .hint("let the uploads end, then run finalize again");
        }
    }
    Ok(())
}

/// The last write. After a failure the release itself says whether it happened.
fn publish(client: &Client, release: &Release, expected: &Expectation, state: &str, next: &str) -> Result<()> {
    let mut failures = 0;
    let mut attempt = || -> Result<(), Failure> {
        loop {
            let Err(failure) = client.publish(release.id, release.prerelease, expected.latest) else { return Ok(()) };
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

/// Reads the published release by its tag, as its users will.
fn read_back(
    client: &Client,
    release: &Release,
    expected: &Expectation,
    sums: &Sums,
    source: &Source,
) -> Result<Release> {
    let tag = &release.tag_name;
    let mut last = None;
    for seconds in LAG {
        match client.release_by_tag(tag) {
            Ok(found)
                if found.id == release.id && !found.draft && differences(&found.assets, expected, true).is_empty() =>
            {
                same_bytes(&found.assets, sums, source, &format!("release {} is published", release.id))?;
                return Ok(found);
            }
            Ok(found) if found.id != release.id => {
                bail!("release {} was published for {tag}, but {tag} means release {}", release.id, found.id)
            }
            Ok(_) => {}
            Err(failure) if failure.is_status(404) => last = Some(failure),
            Err(failure) => {
                return Err(failure)
                    .explain(format!("release {} is published, but not read back", release.id), "finalize");
            }
        }
        client.clock.sleep(Duration::from_secs(seconds));
    }
    let reason = last.map_or_else(|| "its assets are not all listed".to_owned(), |failure| failure.to_string());
    Err(anyhow::anyhow!(reason))
        .with_context(|| format!("release {} is published for {tag}, but cannot be read back", release.id))
        .hint(format!("run `release-helper finalize --release-id {}` again to check it", release.id))
}
