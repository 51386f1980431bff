//! The operations on git tags.

use anyhow::Result;
use serde_json::Value;

use super::call::Call;
use super::http::Response;
use super::releases::{paged, writable};
use super::shapes::{error, not_found};
use super::tag::{Tag, is_hash, is_tag_name};

pub(super) fn tags(call: &Call<'_>) -> Response {
    // GitHub lists the youngest versions first, by name.
    let tags = call.server.store.tags();
    paged(call, tags.iter().rev().map(|tag| call.links().listed_tag(tag)).collect())
}

pub(super) fn get(call: &Call<'_>) -> Response {
    let tag = call.server.store.tag(&call.route.name);
    tag.map_or_else(not_found, |tag| Response::json(200, &call.links().reference(&tag)))
}

pub(super) fn matching(call: &Call<'_>) -> Response {
    let tags = call.server.store.tags();
    let matching = tags.iter().filter(|tag| tag.name.starts_with(&call.route.name));
    Response::json(200, &matching.map(|tag| call.links().reference(tag)).collect::<Vec<_>>().into())
}

pub(super) fn tag_object(call: &Call<'_>) -> Response {
    let tag = call.server.store.tag_object(&call.route.name);
    tag.map_or_else(not_found, |tag| Response::json(200, &call.links().tag_object(&tag)))
}

pub(super) fn check_runs(call: &Call<'_>) -> Response {
    let wanted = call.request.parameter("check_name");
    let all = call.server.checks.iter().filter(|check| check.commit == call.route.name);
    let runs: Vec<_> = all
        .filter(|check| wanted.is_none_or(|name| name == check.name))
        .enumerate()
        .map(|(number, check)| call.links().check_run(number, check))
        .collect();
    Response::json(200, &serde_json::json!({ "total_count": runs.len(), "check_runs": runs }))
}

/// Makes a lightweight tag. Which commits there are is not known here: any full hash is taken for one.
pub(super) fn create(call: &Call<'_>) -> Result<Response> {
    let Some(body) = writable(call) else { return Ok(not_found()) };
    let text = |name: &str| body.get(name).and_then(Value::as_str).unwrap_or_default();
    let Some(name) = text("ref").strip_prefix("refs/tags/").filter(|name| is_tag_name(name)) else {
        return Ok(error(422, "Reference name must start with 'refs/tags/' and be a valid one"));
    };
    if !is_hash(text("sha")) {
        return Ok(error(422, "Object does not exist"));
    }
    let tag = Tag { name: name.to_owned(), commit: text("sha").to_ascii_lowercase(), message: None };
    if !call.server.store.add_tag(tag.clone())? {
        return Ok(error(422, "Reference already exists"));
    }
    Ok(Response::json(201, &call.links().reference(&tag)))
}

pub(super) fn delete(call: &Call<'_>) -> Result<Response> {
    if !call.may_push() {
        return Ok(not_found());
    }
    let name = &call.route.name;
    let releases = call.server.store.releases(call.server.clock.now(), std::time::Duration::ZERO);
    if releases.values().any(|release| release.immutable && !release.draft && release.tag == *name) {
        return Ok(error(422, "Cannot delete the tag of an immutable release"));
    }
    Ok(if call.server.store.remove_tag(name)? { Response::empty(204) } else { error(422, "Reference does not exist") })
}
