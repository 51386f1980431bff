//! Which operation a request asks for, in the names of GitHub's OpenAPI description.

use serde::{Deserialize, Serialize};

use super::http::{Request, decode};

/// An operation of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Operation {
    /// `GET /repos/{owner}/{repo}/releases`
    ListReleases,
    /// `POST /repos/{owner}/{repo}/releases`
    CreateRelease,
    /// `GET /repos/{owner}/{repo}/releases/{id}`
    GetRelease,
    /// `GET /repos/{owner}/{repo}/releases/tags/{tag}`
    GetReleaseByTag,
    /// `GET /repos/{owner}/{repo}/releases/latest`
    GetLatestRelease,
    /// `PATCH /repos/{owner}/{repo}/releases/{id}`
    UpdateRelease,
    /// `DELETE /repos/{owner}/{repo}/releases/{id}`
    DeleteRelease,
    /// `POST /repos/{owner}/{repo}/releases/generate-notes`
    GenerateReleaseNotes,
    /// `GET /repos/{owner}/{repo}/releases/{id}/assets`
    ListReleaseAssets,
    /// `POST {upload_url}`
    UploadReleaseAsset,
    /// `GET /repos/{owner}/{repo}/releases/assets/{id}` for JSON
    GetReleaseAsset,
    /// The same for the bytes (`Accept: application/octet-stream`)
    DownloadAsset,
    /// `PATCH /repos/{owner}/{repo}/releases/assets/{id}`
    UpdateReleaseAsset,
    /// `DELETE /repos/{owner}/{repo}/releases/assets/{id}`
    DeleteReleaseAsset,
    /// `GET /repos/{owner}/{repo}/git/ref/tags/{tag}`
    GetRef,
    /// `PATCH /repos/{owner}/{repo}/git/refs/tags/{tag}`
    UpdateRef,
    /// `GET /repos/{owner}/{repo}/git/tags/{sha}`
    GetTag,
    /// `GET /repos/{owner}/{repo}/commits/{ref}/check-runs`
    ListCheckRuns,
    /// `GET /repos/{owner}/{repo}`
    GetRepository,
    /// The bytes of an asset on the other host, behind a redirect
    Object,
    /// `GET /{owner}/{repo}/releases/download/{tag}/{name}`
    BrowserDownload,
    /// A page for people
    Page,
    /// None of the above
    Unknown,
}

/// An operation with what its path says.
pub(super) struct Route {
    pub(super) operation: Operation,
    /// The id in the path.
    pub(super) id: u64,
    /// The tag or object name in the path.
    pub(super) name: String,
    /// The asset's name in a browser's download.
    pub(super) file: String,
}

/// What `request` asks for from `repository`.
pub(super) fn route(request: &Request, repository: &str) -> Route {
    use Operation as O;
    let mut route = Route { operation: O::Unknown, id: 0, name: String::new(), file: String::new() };
    // gh speaks to other hosts under /api/v3.
    let path = request.path.strip_prefix("/api/v3").unwrap_or(&request.path);
    let segments: Vec<String> =
        path.split('/').filter(|segment| !segment.is_empty()).map(|segment| decode(segment, false)).collect();
    let mut segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    let uploads = segments.first() == Some(&"uploads");
    if uploads {
        segments.remove(0);
    }
    let method = request.method.as_str();
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()) && text.len() < 19;
    let named = segments.len() >= 2 && segments[..2].join("/") == repository;
    if segments.first() == Some(&"repos") {
        if segments.len() < 3 || segments[1..3].join("/") != repository {
            return route;
        }
        for segment in &segments[3..] {
            if is_number(segment) {
                route.id = segment.parse().unwrap_or(0);
            }
        }
        let octets = request.header("accept").is_some_and(|accept| accept.contains("application/octet-stream"));
        route.operation = match (method, &segments[3..]) {
            ("POST", ["releases", id, "assets"]) if uploads && is_number(id) => O::UploadReleaseAsset,
            _ if uploads => O::Unknown,
            ("GET", []) => O::GetRepository,
            ("GET", ["releases"]) => O::ListReleases,
            ("POST", ["releases"]) => O::CreateRelease,
            ("GET", ["releases", "latest"]) => O::GetLatestRelease,
            ("POST", ["releases", "generate-notes"]) => O::GenerateReleaseNotes,
            ("GET", ["releases", "tags", tag @ ..]) => {
                route.name = tag.join("/");
                O::GetReleaseByTag
            }
            ("GET", ["releases", "assets", id]) if is_number(id) && octets => O::DownloadAsset,
            ("GET", ["releases", "assets", id]) if is_number(id) => O::GetReleaseAsset,
            ("PATCH", ["releases", "assets", id]) if is_number(id) => O::UpdateReleaseAsset,
            ("DELETE", ["releases", "assets", id]) if is_number(id) => O::DeleteReleaseAsset,
            ("GET", ["releases", id]) if is_number(id) => O::GetRelease,
            ("PATCH", ["releases", id]) if is_number(id) => O::UpdateRelease,
            ("DELETE", ["releases", id]) if is_number(id) => O::DeleteRelease,
            ("GET", ["releases", id, "assets"]) if is_number(id) => O::ListReleaseAssets,
            ("GET", ["git", "ref", "tags", tag @ ..]) => {
                route.name = tag.join("/");
                O::GetRef
            }
            ("PATCH", ["git", "refs", "tags", tag @ ..]) => {
                route.name = tag.join("/");
                O::UpdateRef
            }
            ("GET", ["git", "tags", sha]) => {
                (*sha).clone_into(&mut route.name);
                O::GetTag
            }
            ("GET", ["commits", commit, "check-runs"]) => {
                (*commit).clone_into(&mut route.name);
                O::ListCheckRuns
            }
            _ => O::Unknown,
        };
    } else if method == "GET" && named {
        route.operation = match &segments[2..] {
            [] | ["releases"] => O::Page,
            ["releases", "tag", tag @ ..] => {
                route.name = tag.join("/");
                O::Page
            }
            ["releases", "download", tag @ .., name] => {
                route.name = tag.join("/");
                (*name).clone_into(&mut route.file);
                O::BrowserDownload
            }
            _ => O::Unknown,
        };
    } else if method == "GET" && segments.is_empty() {
        route.operation = O::Page;
    }
    route
}
