//! Archives of the source, as git makes them.

use anyhow::Result;

use super::call::Call;
use super::http::Response;
use super::shapes::not_found;
use crate::domain::source;

/// The way to the archive, on the other host.
pub(super) fn redirect(call: &Call<'_>) -> Response {
    let name = call.route.name.strip_prefix("refs/tags/").unwrap_or(&call.route.name);
    if call.server.source.is_none() || commit(call, name).is_none() {
        return not_found();
    }
    Response::redirect(call.signed(&path(&call.route.file, name)))
}

/// The archive.
pub(super) fn object(call: &Call<'_>) -> Result<Response> {
    let (format, name) = (&call.route.file, &call.route.name);
    if let Some(refusal) = call.refuse_unsigned(&path(format, name)) {
        return Ok(refusal);
    }
    let (Some(source), Some(commit)) = (&call.server.source, commit(call, name)) else { return Ok(not_found()) };
    let repository = call.server.repository.replace('/', "-");
    let prefix = format!("{repository}-{}", &commit[..7]);
    // A tag's commit may be one that the repository does not have.
    let Ok(bytes) = source::archive(source, &commit, format, &prefix) else { return Ok(not_found()) };
    let kind = if format == "zip" { "application/zip" } else { "application/x-gzip" };
    let file = format!("attachment; filename={repository}-{}.{format}", name.replace('/', "-"));
    Ok(Response::bytes(200, kind, bytes).with("content-disposition", file))
}

fn path(format: &str, name: &str) -> String {
    format!("archive/{format}/{name}")
}

fn commit(call: &Call<'_>, name: &str) -> Option<String> {
    match call.server.store.tag(name) {
        Some(tag) => Some(tag.commit),
        None => ["", "main", "HEAD"].contains(&name).then(|| call.server.head.clone()),
    }
}
