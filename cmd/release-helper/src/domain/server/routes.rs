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
    /// `GET /repos/{owner}/{repo}/immutable-releases`
    CheckImmutableReleases,
    /// `GET /repos/{owner}/{repo}/tags`
    ListTags,
    /// `GET /repos/{owner}/{repo}/git/ref/tags/{tag}`
    GetRef,
    /// `GET /repos/{owner}/{repo}/git/matching-refs/tags/{start}`
    ListMatchingRefs,
    /// `POST /repos/{owner}/{repo}/git/refs`
    CreateRef,
    /// `DELETE /repos/{owner}/{repo}/git/refs/tags/{tag}`
    DeleteRef,
    /// `GET /repos/{owner}/{repo}/git/tags/{sha}`
    GetTag,
    /// `GET /repos/{owner}/{repo}/tarball/{ref}` or `zipball`
    DownloadArchive,
    /// `GET /repos/{owner}/{repo}/commits/{ref}/check-runs`
    ListCheckRuns,
    /// `GET /repos/{owner}/{repo}`
    GetRepository,
    /// `GET /user` or `/users/{name}`
    GetUser,
    /// `GET /rate_limit`
    GetRateLimit,
    /// `GET /meta`
    GetMeta,
    /// `POST /graphql`
    Graphql,
    /// What the other host serves, behind a redirect: the bytes of an asset, an archive
    Object,
    /// `GET /{owner}/{repo}/releases/download/{tag}/{name}`
    BrowserDownload,
    /// `GET /{owner}/{repo}/releases/latest` and what lies below it: redirects to the release's own address
    BrowserLatest,
    /// A page for people
    Page,
    /// What the pages look like
    Stylesheet,
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
    /// The asset's name in a browser's download, or the format of an archive.
    pub(super) file: String,
}

impl Route {
    fn to(operation: Operation) -> Self {
        Self { operation, id: 0, name: String::new(), file: String::new() }
    }

    fn id(self, id: &str) -> Self {
        // An id of which there is none: nobody has that many releases.
        Self { id: id.parse().unwrap_or(u64::MAX), ..self }
    }

    fn name(self, segments: &[&str]) -> Self {
        Self { name: segments.join("/"), ..self }
    }

    fn file(self, file: &str) -> Self {
        Self { file: file.to_owned(), ..self }
    }
}

/// What `request` asks for from `repository`.
pub(super) fn route(request: &Request, repository: &str) -> Route {
    // Clients speak to hosts that are not github.com below /api: REST at /api/v3, GraphQL at /api/graphql.
    let path = ["/api/v3", "/api"]
        .iter()
        .find_map(|prefix| request.path.strip_prefix(prefix).filter(|rest| rest.is_empty() || rest.starts_with('/')));
    // Decoded first: some clients send a tag's name with its slashes encoded.
    let path = decode(path.unwrap_or(&request.path));
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let method = if request.is_head() { "GET" } else { request.method.as_str() };
    let is_here = |owner: &str, name: &str| format!("{owner}/{name}").eq_ignore_ascii_case(repository);
    let octets = request.header("accept").is_some_and(|accept| accept.contains("application/octet-stream"));
    match segments[..] {
        ["uploads", "repos", owner, name, "releases", id, "assets"]
            if method == "POST" && is_here(owner, name) && is_number(id) =>
        {
            Route::to(Operation::UploadReleaseAsset).id(id)
        }
        ["repos", owner, name, ref rest @ ..] if is_here(owner, name) => in_repository(method, rest, octets),
        ["user"] if method == "GET" => Route::to(Operation::GetUser),
        ["users", name] if method == "GET" => Route::to(Operation::GetUser).name(&[name]),
        ["rate_limit"] if method == "GET" => Route::to(Operation::GetRateLimit),
        ["meta"] if method == "GET" => Route::to(Operation::GetMeta),
        ["graphql"] if method == "POST" => Route::to(Operation::Graphql),
        ["style.css"] if method == "GET" => Route::to(Operation::Stylesheet),
        [] if method == "GET" => Route::to(Operation::Page),
        [owner, name, ref rest @ ..] if method == "GET" && is_here(owner, name) => in_browser(rest),
        _ => Route::to(Operation::Unknown),
    }
}

/// What `request` asks for from the host behind redirects.
pub(super) fn route_to_object(request: &Request) -> Route {
    let path = decode(&request.path);
    let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
    let is_reading = request.is_head() || request.method == "GET";
    match segments[..] {
        ["asset", id] if is_reading && is_number(id) => Route::to(Operation::Object).id(id),
        ["archive", format, ref name @ ..] if is_reading => Route::to(Operation::Object).name(name).file(format),
        _ => Route::to(Operation::Unknown),
    }
}

fn in_repository(method: &str, rest: &[&str], octets: bool) -> Route {
    use Operation as O;
    match (method, rest) {
        ("GET", []) => Route::to(O::GetRepository),
        ("GET", ["releases"]) => Route::to(O::ListReleases),
        ("POST", ["releases"]) => Route::to(O::CreateRelease),
        ("GET", ["releases", "latest"]) => Route::to(O::GetLatestRelease),
        ("POST", ["releases", "generate-notes"]) => Route::to(O::GenerateReleaseNotes),
        ("GET", ["releases", "tags", tag @ ..]) => Route::to(O::GetReleaseByTag).name(tag),
        ("GET", ["releases", "assets", id]) if is_number(id) && octets => Route::to(O::DownloadAsset).id(id),
        ("GET", ["releases", "assets", id]) if is_number(id) => Route::to(O::GetReleaseAsset).id(id),
        ("PATCH", ["releases", "assets", id]) if is_number(id) => Route::to(O::UpdateReleaseAsset).id(id),
        ("DELETE", ["releases", "assets", id]) if is_number(id) => Route::to(O::DeleteReleaseAsset).id(id),
        ("GET", ["releases", id]) if is_number(id) => Route::to(O::GetRelease).id(id),
        ("PATCH", ["releases", id]) if is_number(id) => Route::to(O::UpdateRelease).id(id),
        ("DELETE", ["releases", id]) if is_number(id) => Route::to(O::DeleteRelease).id(id),
        ("GET", ["releases", id, "assets"]) if is_number(id) => Route::to(O::ListReleaseAssets).id(id),
        ("GET", ["immutable-releases"]) => Route::to(O::CheckImmutableReleases),
        ("GET", ["tags"]) => Route::to(O::ListTags),
        ("GET", ["git", "ref" | "refs", "tags", tag @ ..]) if !tag.is_empty() => Route::to(O::GetRef).name(tag),
        ("GET", ["git", "matching-refs", "tags", start @ ..]) => Route::to(O::ListMatchingRefs).name(start),
        ("GET", ["commits", commit @ .., "check-runs"]) => Route::to(O::ListCheckRuns).name(commit),
        ("POST", ["git", "refs"]) => Route::to(O::CreateRef),
        ("DELETE", ["git", "refs", "tags", tag @ ..]) => Route::to(O::DeleteRef).name(tag),
        ("GET", ["git", "tags", sha]) => Route::to(O::GetTag).name(&[sha]),
        ("GET", ["tarball", name @ ..]) => Route::to(O::DownloadArchive).name(name).file("tar.gz"),
        ("GET", ["zipball", name @ ..]) => Route::to(O::DownloadArchive).name(name).file("zip"),
        _ => Route::to(O::Unknown),
    }
}

fn in_browser(rest: &[&str]) -> Route {
    use Operation as O;
    match rest {
        [] | ["releases"] => Route::to(O::Page),
        ["releases", "tag", tag @ ..] => Route::to(O::Page).name(tag),
        ["releases", "latest"] => Route::to(O::BrowserLatest),
        ["releases", "latest", "download", name] => Route::to(O::BrowserLatest).file(name),
        ["releases", "download", tag @ .., name] => Route::to(O::BrowserDownload).name(tag).file(name),
        ["archive", name @ .., last] => {
            let name = if let ["refs", "tags", name @ ..] = name { name } else { name };
            let formats = ["tar.gz", "zip"];
            let found = formats.iter().find_map(|format| Some((last.strip_suffix(&format!(".{format}"))?, format)));
            let Some((last, format)) = found else { return Route::to(O::Unknown) };
            Route::to(O::DownloadArchive).name(&[name, &[last]].concat()).file(format)
        }
        _ => Route::to(O::Unknown),
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}
