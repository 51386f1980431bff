//! GitHub's JSON shapes (schemas `release`, `release-asset`, `git-ref`, `git-tag` and the errors of
//! <https://github.com/github/rest-api-description>; a test validates every answer against them).

use serde_json::{Value, json};

use super::http::{Response, encode};
use super::store::{Asset, Release};
use super::tag::{Check, Tag};

/// The account that owns all releases here.
pub(super) const LOGIN: &str = "github-actions[bot]";

/// Where the answers' links point to.
pub(super) struct Links<'a> {
    pub(super) base: &'a str,
    pub(super) repository: &'a str,
}

impl Links<'_> {
    /// The address of the repository in the API.
    pub(super) fn api(&self) -> String {
        format!("{}/repos/{}", self.base, self.repository)
    }

    /// The address of the repository's web pages.
    pub(super) fn web(&self) -> String {
        format!("{}/{}", self.base, self.repository)
    }

    pub(super) fn release(&self, release: &Release) -> Value {
        let (api, web, id) = (self.api(), self.web(), release.id);
        // Links of a draft hold a placeholder instead of the tag and die on publication.
        let place = encode(&place(release));
        json!({
            "url": format!("{api}/releases/{id}"),
            "assets_url": format!("{api}/releases/{id}/assets"),
            // Beside the API's own paths, as uploads.github.com is beside api.github.com.
            "upload_url": format!("{}/uploads/repos/{}/releases/{id}/assets{{?name,label}}", self.base, self.repository),
            "html_url": format!("{web}/releases/tag/{place}"),
            "id": id,
            "author": self.user(),
            "node_id": format!("RE_{id}"),
            "tag_name": release.tag,
            "target_commitish": release.target_commitish,
            "name": release.name,
            "draft": release.draft,
            "immutable": release.immutable,
            "prerelease": release.prerelease,
            "created_at": release.created_at,
            "updated_at": release.updated_at,
            "published_at": release.published_at,
            "assets": release.assets.iter().map(|asset| self.asset(release, asset)).collect::<Vec<_>>(),
            "tarball_url": (!release.draft).then(|| format!("{api}/tarball/{place}")),
            "zipball_url": (!release.draft).then(|| format!("{api}/zipball/{place}")),
            "body": release.body,
        })
    }

    pub(super) fn asset(&self, release: &Release, asset: &Asset) -> Value {
        json!({
            "url": format!("{}/releases/assets/{}", self.api(), asset.id),
            "id": asset.id,
            "node_id": format!("RA_{}", asset.id),
            "name": asset.name,
            "label": asset.label,
            "uploader": self.user(),
            "content_type": asset.content_type,
            "state": asset.state,
            "size": asset.size,
            "digest": asset.digest,
            "download_count": asset.downloads,
            "created_at": asset.created_at,
            "updated_at": asset.updated_at,
            "browser_download_url": format!(
                "{}/releases/download/{}/{}", self.web(), encode(&place(release)), encode(&asset.name),
            ),
        })
    }

    /// What clients ask of a repository before they turn to its releases; not the whole schema.
    pub(super) fn repository(&self) -> Value {
        let (owner, name) = self.repository.split_once('/').unwrap_or_default();
        json!({
            "id": 1, "node_id": "R_1", "name": name, "full_name": self.repository, "private": false, "fork": false,
            "owner": { "login": owner, "id": 1, "node_id": "U_1", "type": "User", "url": format!("{}/users/{owner}", self.base) },
            "url": self.api(), "html_url": self.web(), "default_branch": "main",
            "releases_url": format!("{}/releases{{/id}}", self.api()),
            "permissions": { "admin": false, "maintain": false, "push": true, "triage": true, "pull": true },
        })
    }

    pub(super) fn reference(&self, tag: &Tag) -> Value {
        let kind = if tag.message.is_some() { "tag" } else { "commit" };
        json!({
            "ref": format!("refs/tags/{}", tag.name),
            "node_id": format!("REF_{}", tag.name),
            "url": format!("{}/git/refs/tags/{}", self.api(), encode(&tag.name)),
            "object": { "sha": tag.object(), "type": kind, "url": format!("{}/git/{kind}s/{}", self.api(), tag.object()) },
        })
    }

    pub(super) fn tag_object(&self, tag: &Tag) -> Value {
        json!({
            "node_id": format!("TA_{}", tag.object()),
            "tag": tag.name,
            "sha": tag.object(),
            "url": format!("{}/git/tags/{}", self.api(), tag.object()),
            "message": tag.message,
            "tagger": { "name": "Tagger", "email": "tagger@example.com", "date": "2026-01-01T00:00:00Z" },
            "object": { "sha": tag.commit, "type": "commit", "url": format!("{}/git/commits/{}", self.api(), tag.commit) },
        })
    }

    pub(super) fn check_run(&self, number: usize, check: &Check) -> Value {
        let url = format!("{}/check-runs/{number}", self.api());
        let status = if check.conclusion.is_some() { "completed" } else { "in_progress" };
        json!({
            "id": number, "node_id": format!("CR_{number}"), "head_sha": check.commit, "name": check.name, "url": url,
            "external_id": "", "html_url": format!("{}/runs/{number}", self.web()), "details_url": self.web(),
            "status": status, "conclusion": check.conclusion, "started_at": "2026-01-01T00:00:00Z",
            "completed_at": check.conclusion.as_ref().map(|_| "2026-01-01T00:10:00Z"),
            "output": {
                "title": null, "summary": null, "text": null, "annotations_count": 0,
                "annotations_url": format!("{url}/annotations"),
            },
            "check_suite": { "id": 1 }, "pull_requests": [],
            "app": {
                "id": 15_368, "node_id": "A_1", "slug": "github-actions", "name": "GitHub Actions", "description": null,
                "owner": self.user(), "external_url": self.web(), "html_url": self.web(), "permissions": {}, "events": [],
                "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
            },
        })
    }

    /// A tag as the list of tags has it.
    pub(super) fn listed_tag(&self, tag: &Tag) -> Value {
        let (api, name) = (self.api(), encode(&tag.name));
        json!({
            "name": tag.name,
            "commit": { "sha": tag.commit, "url": format!("{api}/commits/{}", tag.commit) },
            "zipball_url": format!("{api}/zipball/refs/tags/{name}"),
            "tarball_url": format!("{api}/tarball/refs/tags/{name}"),
            "node_id": format!("REF_{}", tag.name),
        })
    }

    pub(super) fn user(&self) -> Value {
        let url = format!("{}/users/{LOGIN}", self.base);
        json!({
            "login": LOGIN, "id": 41_898_282, "node_id": "MDM6Qm90NDE4OTgyODI=", "gravatar_id": "",
            "avatar_url": format!("{}/avatar", self.base), "url": url, "html_url": format!("{}/apps/github-actions", self.base),
            "followers_url": format!("{url}/followers"), "following_url": format!("{url}/following{{/other_user}}"),
            "gists_url": format!("{url}/gists{{/gist_id}}"), "starred_url": format!("{url}/starred{{/owner}}{{/repo}}"),
            "subscriptions_url": format!("{url}/subscriptions"), "organizations_url": format!("{url}/orgs"),
            "repos_url": format!("{url}/repos"), "events_url": format!("{url}/events{{/privacy}}"),
            "received_events_url": format!("{url}/received_events"), "type": "Bot", "site_admin": false,
        })
    }
}

/// What stands for the tag in the links of a release.
pub(super) fn place(release: &Release) -> String {
    if release.draft {
        format!("untagged-{:020x}", release.id.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    } else {
        release.tag.clone()
    }
}

/// An error in GitHub's words.
pub(super) fn error(status: u16, message: &str) -> Response {
    Response::json(
        status,
        &json!({
            "message": message,
            "documentation_url": "https://docs.github.com/rest/releases",
            "status": status.to_string(),
        }),
    )
}

/// The 404 of everything that does not exist or may not be seen.
pub(super) fn not_found() -> Response {
    error(404, "Not Found")
}

/// A 422 about one field.
pub(super) fn validation(resource: &str, field: &str, code: &str, message: Option<&str>) -> Response {
    let mut detail = json!({ "resource": resource, "code": code, "field": field });
    if let Some(message) = message {
        detail["message"] = message.into();
    }
    Response::json(
        422,
        &json!({
            "message": "Validation Failed",
            "errors": [detail],
            "documentation_url": "https://docs.github.com/rest/releases",
            "status": "422",
        }),
    )
}

/// The name under which GitHub stores an asset: everything outside `[A-Za-z0-9._@+-]` becomes a dot, runs of dots
/// collapse, dots at the ends go. (GitHub also transliterates letters beyond ASCII; here they become dots.)
pub(super) fn stored_name(requested: &str) -> String {
    let mut name = String::new();
    for character in requested.chars() {
        let kept = if character.is_ascii_alphanumeric() || "._@+-".contains(character) { character } else { '.' };
        if kept != '.' || !name.ends_with('.') {
            name.push(kept);
        }
    }
    name.trim_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_rewritten_as_github_does() {
        assert_eq!(stored_name("tsuku-dltest-linux-amd64"), "tsuku-dltest-linux-amd64");
        assert_eq!(stored_name("a b~(1):c.tar.gz"), "a.b.1.c.tar.gz");
        assert_eq!(stored_name(".hidden."), "hidden");
        assert_eq!(stored_name("a+b@c"), "a+b@c");
    }
}
