//! The operations on assets.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

use anyhow::{Context, Result};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::call::{Call, internal};
use super::conditional::{self, Part};
use super::faults::Kind;
use super::http::{Connection, Content, Response};
use super::releases::{paged, visible, without_digests};
use super::routes::Operation;
use super::shapes::{error, not_found, stored_name, validation};
use super::store::{Asset, Release};
use crate::domain::releases::clock::epoch_seconds;
use crate::plumbing::digest::hex;

/// GitHub's limit for one file, in bytes.
const MAX_SIZE: u64 = 2_147_483_648;
/// GitHub's limit for the assets of one release.
const MAX_ASSETS: usize = 1000;
/// GitHub has served this page with status 200 in place of an asset (microsoft/git#934).
const UNICORN: &[u8] =
    b"<!DOCTYPE html><html><body><h1>Unicorn!</h1><p>No server is currently available.</p></body></html>";

pub(super) fn list(call: &Call<'_>) -> Response {
    let releases = visible(call);
    let Some(release) = releases.iter().find(|release| release.id == call.route.id) else { return not_found() };
    let items = release.assets.iter().map(|asset| without_digests(call, call.links().asset(release, asset))).collect();
    paged(call, items)
}

pub(super) fn get(call: &Call<'_>) -> Response {
    match seen(call) {
        Some((release, asset)) => Response::json(200, &call.links().asset(&release, &asset)),
        None => not_found(),
    }
}

pub(super) fn update(call: &Call<'_>) -> Result<Response> {
    let (Some((release, _)), Some(body)) = (seen(call), &call.body) else { return Ok(not_found()) };
    if !call.may_push() {
        return Ok(not_found());
    }
    let changed = call.server.store.change(call.server.clock.now(), |releases, _| {
        let mut release = Release::clone(releases.get(&release.id).ok_or_else(not_found)?);
        refuse_immutable(&release)?;
        if let Some(name) = body.get("name").and_then(Value::as_str).map(stored_name) {
            if release.assets.iter().any(|asset| asset.name == name && asset.id != call.route.id) {
                return Err(validation("ReleaseAsset", "name", "already_exists", None));
            }
            asset_mut(&mut release, call.route.id)?.name = name;
        }
        if let Some(label) = body.get("label").and_then(Value::as_str) {
            asset_mut(&mut release, call.route.id)?.label = Some(label.to_owned());
        }
        asset_mut(&mut release, call.route.id)?.updated_at = call.time();
        Ok(release)
    })?;
    Ok(match changed {
        Err(refusal) => refusal,
        Ok(_) => get(call),
    })
}

pub(super) fn delete(call: &Call<'_>) -> Result<Response> {
    let Some((release, _)) = seen(call).filter(|_| call.may_push()) else { return Ok(not_found()) };
    let changed = call.server.store.change(call.server.clock.now(), |releases, _| {
        let mut release = Release::clone(releases.get(&release.id).ok_or_else(not_found)?);
        refuse_immutable(&release)?;
        release.assets.retain(|asset| asset.id != call.route.id);
        Ok(release)
    })?;
    Ok(match changed {
        Err(refusal) => refusal,
        Ok(_) => {
            call.server.store.remove_bytes(call.route.id);
            Response::empty(204)
        }
    })
}

pub(super) fn upload(call: &Call<'_>, connection: &mut Connection) -> io::Result<Option<Response>> {
    let Some(length) = call.request.length().filter(|length| *length > 0) else {
        return Ok(Some(error(400, "Bad Content-Length: ")));
    };
    let id = match begin(call, length) {
        Ok(Ok(id)) => id,
        Ok(Err(refusal)) => return Ok(Some(refusal)),
        Err(failure) => return Ok(Some(internal(&failure))),
    };
    if call.has(Kind::Starter) {
        return Ok(Some(error(502, "Server Error")));
    }
    let wanted = if call.has(Kind::CutMiddle) { length / 2 } else { length };
    match receive(call, connection, id, wanted) {
        _ if wanted < length => Ok(None),
        Ok(digest) => Ok(Some(finish(call, id, length, digest).unwrap_or_else(|failure| internal(&failure)))),
        Err(failure) => match failure.downcast::<io::Error>() {
            // The client went away in the middle: the asset stays as `starter`.
            Ok(gone) => Err(gone),
            Err(failure) => Ok(Some(internal(&failure))),
        },
    }
}

/// Makes the `starter` asset that an upload begins with.
fn begin(call: &Call<'_>, length: u64) -> Result<Result<u64, Response>> {
    if !call.may_push() {
        return Ok(Err(not_found()));
    }
    let id = call.server.store.new_id()?;
    let changed = call.server.store.change(call.server.clock.now(), |releases, _| {
        let mut release = Release::clone(releases.get(&call.route.id).ok_or_else(not_found)?);
        refuse_immutable(&release)?;
        let name = stored_name(call.request.parameter("name").unwrap_or_default());
        if name.is_empty() {
            return Err(validation("ReleaseAsset", "name", "missing_field", None));
        }
        if length >= MAX_SIZE {
            let message = "size must be less than or equal to 2147483648";
            return Err(validation("ReleaseAsset", "size", "custom", Some(message)));
        }
        if release.assets.iter().any(|asset| asset.name == name) {
            return Err(validation("ReleaseAsset", "name", "already_exists", None));
        }
        if release.assets.len() >= MAX_ASSETS {
            let message = "file_count must be less than or equal to 1000";
            return Err(validation("ReleaseAsset", "file_count", "custom", Some(message)));
        }
        release.assets.push(Asset {
            id,
            name,
            label: Some(call.request.parameter("label").unwrap_or_default().to_owned()),
            content_type: call.request.header("content-type").unwrap_or("application/octet-stream").to_owned(),
            size: 0,
            digest: None,
            state: "starter".to_owned(),
            created_at: call.time(),
            updated_at: call.time(),
            downloads: 0,
        });
        Ok(release)
    })?;
    Ok(changed.map(|_| id))
}

/// Streams the body into the asset's file; gives back its SHA-256.
fn receive(call: &Call<'_>, connection: &mut Connection, id: u64, length: u64) -> Result<String> {
    let path = call.server.store.asset_path(id);
    let directory = path.parent().context("an asset's path has a directory")?;
    let (mut file, _leftover) = crate::plumbing::files::temporary_beside(&path)
        .map_err(|error| anyhow::anyhow!("cannot write into {}: {error}", directory.display()))?;
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    let mut body = connection.body().take(length);
    loop {
        let got = body.read(&mut buffer)?;
        if got == 0 {
            break;
        }
        hasher.update(&buffer[..got]);
        file.write_all(&buffer[..got]).map_err(|error| anyhow::anyhow!("cannot write an asset: {error}"))?;
    }
    file.as_file().sync_all().map_err(|error| anyhow::anyhow!("cannot write an asset: {error}"))?;
    file.persist(&path).map_err(|error| anyhow::anyhow!("cannot write {}: {error}", path.display()))?;
    Ok(hex(&hasher.finalize()))
}

/// Turns the `starter` asset into an uploaded one.
fn finish(call: &Call<'_>, id: u64, size: u64, digest: String) -> Result<Response> {
    let changed = call.server.store.change(call.server.clock.now(), |releases, _| {
        let mut release = Release::clone(releases.get(&call.route.id).ok_or_else(not_found)?);
        let asset = asset_mut(&mut release, id)?;
        asset.size = size;
        asset.digest = Some(format!("sha256:{digest}"));
        "uploaded".clone_into(&mut asset.state);
        asset.updated_at = call.time();
        Ok(release)
    })?;
    Ok(match changed {
        Ok(release) => match release.assets.iter().find(|asset| asset.id == id) {
            Some(asset) => Response::json(201, &call.links().asset(&release, asset)),
            None => not_found(),
        },
        Err(refusal) => {
            // Someone deleted it while it was being uploaded.
            call.server.store.remove_bytes(id);
            refusal
        }
    })
}

pub(super) fn download(call: &Call<'_>) -> Result<Response> {
    let found = if call.route.operation == Operation::BrowserDownload {
        visible(call).into_iter().find(|release| !release.draft && release.tag == call.route.name).and_then(|release| {
            let asset = release.assets.iter().find(|asset| asset.name == call.route.file)?.clone();
            Some((release, asset))
        })
    } else {
        seen(call)
    };
    let Some((_, asset)) = found.filter(|(_, asset)| asset.state == "uploaded") else { return Ok(not_found()) };
    if call.server.direct_downloads || call.has(Kind::Html) || call.has(Kind::Corrupt) || call.has(Kind::CutMiddle) {
        return bytes(call, &asset);
    }
    Ok(Response::redirect(call.signed(&format!("asset/{}", asset.id))))
}

/// The bytes on the other host: whoever has the signed address may have them, and nobody else.
pub(super) fn object(call: &Call<'_>) -> Result<Response> {
    if let Some(refusal) = call.refuse_unsigned(&format!("asset/{}", call.route.id)) {
        return Ok(refusal);
    }
    match call.server.store.release_of_asset(call.route.id) {
        Some((_, asset)) => bytes(call, &asset),
        None => Ok(not_found()),
    }
}

fn bytes(call: &Call<'_>, asset: &Asset) -> Result<Response> {
    let path = call.server.store.asset_path(asset.id);
    let mut file = File::open(&path).with_context(|| format!("cannot read {}", path.display()))?;
    if call.has(Kind::Html) {
        return Ok(Response::bytes(200, "text/html; charset=utf-8", UNICORN.to_vec()));
    }
    let written = file.metadata().and_then(|metadata| metadata.modified());
    let written = written.with_context(|| format!("cannot look at {}", path.display()))?;
    let changed = crate::plumbing::date::http(epoch_seconds(written));
    let tag = format!("\"{}\"", asset.digest.as_deref().unwrap_or_default());
    let headers = |length: u64, reader: Box<dyn Read>, cut_after: u64| {
        let content = Content::Stream(reader, length, cut_after);
        Response { status: 200, headers: vec![("content-type", asset.content_type.clone())], content }
            .with("content-disposition", format!("attachment; filename={}", asset.name))
            .with("accept-ranges", "bytes")
            .with("last-modified", &changed)
            .with("etag", &tag)
    };
    if call.has(Kind::Corrupt) {
        let mut first = [0];
        file.read_exact(&mut first).with_context(|| format!("cannot read {}", path.display()))?;
        let reader = io::Cursor::new([first[0] ^ 1]).chain(file);
        return Ok(headers(asset.size, Box::new(reader), u64::MAX));
    }
    let (start, end) = match conditional::part(call.request, asset.size, &tag, &changed) {
        Part::Whole => (0, asset.size),
        Part::Range(start, end) => (start, end),
        Part::Nowhere => {
            return Ok(Response::empty(416).with("content-range", format!("bytes */{}", asset.size)));
        }
    };
    file.seek(SeekFrom::Start(start)).with_context(|| format!("cannot read {}", path.display()))?;
    let cut_after = if call.has(Kind::CutMiddle) { (end - start) / 2 } else { u64::MAX };
    let response = headers(end - start, Box::new(file), cut_after);
    Ok(if (start, end) == (0, asset.size) {
        response
    } else {
        let range = format!("bytes {start}-{}/{}", end.saturating_sub(1), asset.size);
        Response { status: 206, ..response }.with("content-range", range)
    })
}

/// The asset that the path names, if this client may see it.
fn seen(call: &Call<'_>) -> Option<(std::sync::Arc<Release>, Asset)> {
    let found = call.server.store.release_of_asset(call.route.id);
    found.filter(|(release, _)| call.may_push() || !release.draft)
}

fn asset_mut(release: &mut Release, id: u64) -> Result<&mut Asset, Response> {
    release.assets.iter_mut().find(|asset| asset.id == id).ok_or_else(not_found)
}

fn refuse_immutable(release: &Release) -> Result<(), Response> {
    if release.immutable && !release.draft {
        return Err(error(422, "Cannot upload assets to an immutable release."));
    }
    Ok(())
}
