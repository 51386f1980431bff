//! The operations on releases and tags.

use std::sync::Arc;

use anyhow::Result;
use serde_json::{Value, json};

use super::call::Call;
use super::faults::Kind;
use super::http::{Response, encode};
use super::routes::Operation as O;
use super::shapes::{error, not_found, validation};
use super::store::{Release, Releases};
use super::tag::is_tag_name;

/// GitHub's limit for the notes of a release, in characters.
const MAX_BODY: usize = 125_000;

/// What a client with this access sees of the releases, newest first.
pub(super) fn visible(call: &Call<'_>) -> Vec<Arc<Release>> {
    let releases = call.server.store.releases(call.server.clock.now(), call.lag());
    releases.into_values().rev().filter(|release| call.may_push() || !release.draft).collect()
}

/// Cuts a page out of `items` and links to the next one, as `per_page` and `page` ask.
pub(super) fn paged(call: &Call<'_>, items: Vec<Value>) -> Response {
    let number = |name: &str, default: usize| {
        call.request.parameter(name).and_then(|value| value.parse().ok()).unwrap_or(default).max(1)
    };
    let (size, page) = (number("per_page", 30).min(100), number("page", 1));
    let start = (page - 1).saturating_mul(size).min(items.len());
    let end = start.saturating_add(size).min(items.len());
    let last = items.len().div_ceil(size);
    let response = Response::json(200, &Value::from(items[start..end].to_vec()));
    if end == items.len() {
        return response;
    }
    let url = |page: usize| format!("{}{}?per_page={size}&page={page}", call.site.base, call.request.path);
    response.with("link", format!("<{}>; rel=\"next\", <{}>; rel=\"last\"", url(page + 1), url(last)))
}

/// Takes the digests out of an answer, as GitHub's is for a while after an upload.
pub(super) fn without_digests(call: &Call<'_>, mut value: Value) -> Value {
    fn clear(value: &mut Value) {
        match value {
            Value::Array(items) => items.iter_mut().for_each(clear),
            Value::Object(map) => {
                if let Some(digest) = map.get_mut("digest") {
                    *digest = Value::Null;
                }
                map.values_mut().for_each(clear);
            }
            _ => {}
        }
    }
    if call.has(Kind::NullDigest) {
        clear(&mut value);
    }
    value
}

pub(super) fn list(call: &Call<'_>) -> Response {
    let items = visible(call).iter().map(|release| without_digests(call, call.links().release(release))).collect();
    paged(call, items)
}

pub(super) fn get(call: &Call<'_>) -> Response {
    let releases = visible(call);
    let found = match call.route.operation {
        O::GetRelease => releases.iter().find(|release| release.id == call.route.id),
        O::GetReleaseByTag => releases.iter().find(|release| !release.draft && release.tag == call.route.name),
        _ => releases.iter().find(|release| !release.draft && release.latest),
    };
    found.map_or_else(not_found, |release| Response::json(200, &without_digests(call, call.links().release(release))))
}

pub(super) fn create(call: &Call<'_>) -> Result<Response> {
    let Some(body) = writable(call) else { return Ok(not_found()) };
    let release = Release { id: call.server.store.new_id()?, created_at: call.time(), ..Release::default() };
    let changed = call.server.store.change(call.server.clock.now(), |releases, burned| {
        let mut release = Release { draft: false, target_commitish: "main".to_owned(), ..release };
        edit(call, releases, burned, &mut release, body)?;
        Ok(release)
    })?;
    Ok(changed.map_or_else(
        |refusal| refusal,
        |release| {
            let value = call.links().release(&release);
            let location = format!("{}/releases/{}", call.links().api(), release.id);
            Response::json(201, &value).with("location", location)
        },
    ))
}

pub(super) fn update(call: &Call<'_>) -> Result<Response> {
    let Some(body) = writable(call) else { return Ok(not_found()) };
    let changed = call.server.store.change(call.server.clock.now(), |releases, burned| {
        let mut release = Release::clone(releases.get(&call.route.id).ok_or_else(not_found)?);
        let was_draft = release.draft;
        edit(call, releases, burned, &mut release, body)?;
        if release.draft && !was_draft && release.immutable {
            return Err(validation(
                "Release",
                "draft",
                "custom",
                Some("draft cannot be restored on an immutable release"),
            ));
        }
        Ok(release)
    })?;
    Ok(changed.map_or_else(|refusal| refusal, |release| Response::json(200, &call.links().release(&release))))
}

/// Applies the fields that create and update share.
fn edit(
    call: &Call<'_>,
    releases: &Releases,
    burned: &[String],
    release: &mut Release,
    body: &Value,
) -> Result<(), Response> {
    refuse_wrong_types(body)?;
    let text = |name: &str| body.get(name).and_then(Value::as_str).map(str::to_owned);
    let flag = |name: &str| body.get(name).and_then(Value::as_bool);
    let was_published = release.published_at.is_some();
    if let Some(tag) = text("tag_name") {
        if release.immutable && tag != release.tag {
            return Err(validation(
                "Release",
                "tag_name",
                "custom",
                Some("tag_name of an immutable release is locked"),
            ));
        }
        release.tag = tag;
    }
    if release.tag.is_empty() {
        return Err(validation("Release", "tag_name", "missing_field", None));
    }
    if !is_tag_name(&release.tag) {
        return Err(validation("Release", "tag_name", "custom", Some("tag_name is not a valid tag")));
    }
    release.name = text("name").or(release.name.take());
    release.body = text("body").or(release.body.take());
    if flag("generate_release_notes") == Some(true) && release.body.is_none() {
        release.body = Some(notes(&release.tag));
    }
    if release.body.as_ref().is_some_and(|body| body.chars().count() > MAX_BODY) {
        return Err(validation("Release", "body", "custom", Some("body is too long (maximum is 125000 characters)")));
    }
    release.target_commitish = text("target_commitish").unwrap_or(std::mem::take(&mut release.target_commitish));
    release.draft = flag("draft").unwrap_or(release.draft);
    release.prerelease = flag("prerelease").unwrap_or(release.prerelease);
    release.updated_at = call.time();
    if !release.draft {
        let is_taken = |other: &Arc<Release>| other.id != release.id && !other.draft && other.tag == release.tag;
        if releases.values().any(is_taken) {
            return Err(validation("Release", "tag_name", "already_exists", None));
        }
        if burned.contains(&release.tag) {
            let message = "tag_name was used by an immutable release";
            return Err(validation("Release", "tag_name", "custom", Some(message)));
        }
        release.immutable |= call.server.immutable;
        if !was_published {
            release.published_at = Some(call.time());
        }
    }
    match body.get("make_latest") {
        None | Some(Value::Null) => release.latest |= !release.draft && !release.prerelease && !was_published,
        Some(Value::String(choice)) if ["true", "false", "legacy"].contains(&choice.as_str()) => {
            release.latest = choice != "false" && !release.draft && !release.prerelease;
        }
        Some(_) => {
            let message = "make_latest is not one of \"true\", \"false\", \"legacy\"";
            return Err(validation("Release", "make_latest", "invalid", Some(message)));
        }
    }
    Ok(())
}

/// Fails if a field of a release has a value of another type than the description says.
fn refuse_wrong_types(body: &Value) -> Result<(), Response> {
    let texts = ["tag_name", "target_commitish", "name", "body"].map(|name| (name, "string"));
    let flags = ["draft", "prerelease", "generate_release_notes"].map(|name| (name, "boolean"));
    for (name, kind) in texts.into_iter().chain(flags) {
        let Some(value) = body.get(name).filter(|value| !value.is_null()) else { continue };
        if (kind == "string" && !value.is_string()) || (kind == "boolean" && !value.is_boolean()) {
            return Err(error(422, &format!("Invalid request.\n\nFor 'properties/{name}', {value} is not a {kind}.")));
        }
    }
    Ok(())
}

pub(super) fn delete(call: &Call<'_>) -> Result<Response> {
    if !call.may_push() || !call.server.store.remove(call.server.clock.now(), call.route.id)? {
        return Ok(not_found());
    }
    Ok(Response::empty(204))
}

pub(super) fn generate_notes(call: &Call<'_>) -> Response {
    let tag = writable(call).and_then(|body| body.get("tag_name")).and_then(Value::as_str);
    tag.map_or_else(not_found, |tag| Response::json(200, &json!({ "name": tag, "body": notes(tag) })))
}

fn notes(tag: &str) -> String {
    format!("**Full Changelog**: everything up to {tag}")
}

/// The way from `releases/latest` to the latest release's own address.
pub(super) fn latest(call: &Call<'_>) -> Response {
    let releases = visible(call);
    let Some(release) = releases.iter().find(|release| !release.draft && release.latest) else { return not_found() };
    let web = call.links().web();
    let (tag, file) = (encode(&release.tag), &call.route.file);
    Response::redirect(if file.is_empty() {
        format!("{web}/releases/tag/{tag}")
    } else {
        format!("{web}/releases/download/{tag}/{}", encode(file))
    })
}

/// The JSON object in the body, if the client may write.
pub(super) fn writable<'a>(call: &'a Call<'_>) -> Option<&'a Value> {
    call.body.as_ref().filter(|_| call.may_push())
}
