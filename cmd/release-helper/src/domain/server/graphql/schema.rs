//! The part of GitHub's GraphQL schema that is about releases and tags.

use std::sync::Arc;

use serde_json::{Value, json};

use super::arguments::Arguments;
use crate::domain::server::call::Call;
use crate::domain::server::releases::visible;
use crate::domain::server::shapes::{LOGIN, place};
use crate::domain::server::store::{Asset, Release};
use crate::domain::server::tag::Tag;

/// The types and their fields, for those who ask before they query (`__type`).
pub(super) const TYPES: [(&str, &[&str]); 12] = [
    ("Query", &["rateLimit", "repository", "viewer"]),
    (
        "Repository",
        &[
            "databaseId",
            "defaultBranchRef",
            "id",
            "isPrivate",
            "latestRelease",
            "name",
            "nameWithOwner",
            "owner",
            "ref",
            "refs",
            "release",
            "releases",
            "url",
            "viewerPermission",
        ],
    ),
    ("ReleaseConnection", &["nodes", "pageInfo", "totalCount"]),
    (
        "Release",
        &[
            "author",
            "createdAt",
            "databaseId",
            "description",
            "id",
            "immutable",
            "isDraft",
            "isLatest",
            "isPrerelease",
            "name",
            "publishedAt",
            "releaseAssets",
            "resourcePath",
            "tag",
            "tagCommit",
            "tagName",
            "updatedAt",
            "url",
        ],
    ),
    ("ReleaseAssetConnection", &["nodes", "pageInfo", "totalCount"]),
    (
        "ReleaseAsset",
        &[
            "contentType",
            "createdAt",
            "digest",
            "downloadCount",
            "downloadUrl",
            "id",
            "name",
            "size",
            "updatedAt",
            "uploadedBy",
            "url",
        ],
    ),
    ("RefConnection", &["nodes", "pageInfo", "totalCount"]),
    ("Ref", &["id", "name", "prefix", "target"]),
    ("Commit", &["id", "oid"]),
    ("User", &["id", "login", "url"]),
    ("PageInfo", &["endCursor", "hasNextPage", "hasPreviousPage", "startCursor"]),
    ("RateLimit", &["cost", "limit", "remaining", "resetAt"]),
];

/// What a field turned out to be.
pub(super) enum Found {
    /// A scalar.
    Value(Value),
    /// An object.
    One(Node),
    /// A list of objects.
    Many(Vec<Node>),
    /// No object: null. With a kind of error and a message, or just so; `like` is what there could have been.
    None { why: Option<(&'static str, String)>, like: Node },
    /// There is no such field.
    Unknown,
}

/// An object.
#[derive(Clone)]
pub(super) enum Node {
    Query,
    /// The root of a kind of operation that there is nothing of.
    Nothing(&'static str),
    Repository,
    Releases(Page<Arc<Release>>),
    Release(Arc<Release>),
    Assets(Arc<Release>, Page<Asset>),
    Asset(Arc<Release>, Asset),
    Refs(Page<Tag>),
    /// A tag, or without one the default branch.
    Ref(Option<Tag>),
    Commit(String),
    User(String),
    PageInfo(Value),
    RateLimit,
    Type(&'static str),
    TypeField(&'static str),
}

/// A page of a list.
#[derive(Clone)]
pub(super) struct Page<T> {
    items: Vec<T>,
    total: usize,
    info: Value,
}

impl Node {
    /// The name of its type.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Query => "Query",
            Self::Nothing(kind) => kind,
            Self::Repository => "Repository",
            Self::Releases(_) => "ReleaseConnection",
            Self::Release(_) => "Release",
            Self::Assets(..) => "ReleaseAssetConnection",
            Self::Asset(..) => "ReleaseAsset",
            Self::Refs(_) => "RefConnection",
            Self::Ref(_) => "Ref",
            Self::Commit(_) => "Commit",
            Self::User(_) => "User",
            Self::PageInfo(_) => "PageInfo",
            Self::RateLimit => "RateLimit",
            Self::Type(_) => "__Type",
            Self::TypeField(_) => "__Field",
        }
    }

    /// Whether it is of the type `kind`, or of an interface of it.
    pub(super) fn is(&self, kind: &str) -> bool {
        let interfaces: &[&str] = match self {
            Self::User(_) => &["Actor", "Node", "RepositoryOwner"],
            Self::Commit(_) => &["GitObject", "Node"],
            Self::Repository | Self::Release(_) | Self::Asset(..) | Self::Ref(_) => &["Node"],
            _ => &[],
        };
        self.kind() == kind || interfaces.contains(&kind)
    }

    /// Its field `name`.
    pub(super) fn field(&self, call: &Call<'_>, name: &str, arguments: &mut Arguments) -> Found {
        if name == "__typename" {
            return Found::Value(self.kind().into());
        }
        match self {
            Self::Query => query(call, name, arguments),
            Self::Nothing(_) => Found::Unknown,
            Self::Repository => repository(call, name, arguments),
            Self::Releases(page) => connection(page, name, |release| Self::Release(release.clone())),
            Self::Release(release) => self::release(call, release, name, arguments),
            Self::Assets(release, page) => connection(page, name, |asset| Self::Asset(release.clone(), asset.clone())),
            Self::Asset(release, asset) => self::asset(call, release, asset, name),
            Self::Refs(page) => connection(page, name, |tag| Self::Ref(Some(tag.clone()))),
            Self::Ref(tag) => reference(call, tag.as_ref(), name),
            Self::Commit(oid) => from(&json!({ "id": format!("C_{oid}"), "oid": oid }), name),
            Self::User(login) => {
                let url = format!("{}/{login}", call.site.base);
                from(&json!({ "id": format!("U_{login}"), "login": login, "url": url }), name)
            }
            Self::PageInfo(info) => from(info, name),
            Self::RateLimit => {
                from(&json!({ "cost": 1, "limit": 5000, "remaining": 4999, "resetAt": call.time() }), name)
            }
            Self::Type(kind) => described(kind, name, arguments),
            Self::TypeField(field) => from(&json!({ "name": field }), name),
        }
    }
}

fn query(call: &Call<'_>, name: &str, arguments: &mut Arguments) -> Found {
    match name {
        "repository" => {
            let (owner, name) = (arguments.text("owner"), arguments.text("name"));
            arguments.take("followRenames");
            if format!("{owner}/{name}").eq_ignore_ascii_case(&call.server.repository) {
                return Found::One(Node::Repository);
            }
            let why = format!("Could not resolve to a Repository with the name '{owner}/{name}'.");
            Found::None { why: Some(("NOT_FOUND", why)), like: Node::Repository }
        }
        "viewer" => Found::One(Node::User(LOGIN.to_owned())),
        "rateLimit" => Found::One(Node::RateLimit),
        "__type" => {
            let wanted = arguments.text("name");
            match TYPES.iter().find(|(kind, _)| *kind == wanted) {
                Some((kind, _)) => Found::One(Node::Type(kind)),
                None => Found::None { why: None, like: Node::Type("Query") },
            }
        }
        _ => Found::Unknown,
    }
}

fn repository(call: &Call<'_>, name: &str, arguments: &mut Arguments) -> Found {
    let (owner, bare) = call.server.repository.split_once('/').unwrap_or_default();
    let release = |found: Option<Arc<Release>>| {
        found.map_or(Found::None { why: None, like: Node::Release(Arc::default()) }, |found| {
            Found::One(Node::Release(found))
        })
    };
    match name {
        "id" => Found::Value("R_1".into()),
        "databaseId" => Found::Value(1.into()),
        "name" => Found::Value(bare.into()),
        "nameWithOwner" => Found::Value(call.server.repository.as_str().into()),
        "url" => Found::Value(call.links().web().into()),
        "isPrivate" => Found::Value(false.into()),
        "viewerPermission" => Found::Value("WRITE".into()),
        "owner" => Found::One(Node::User(owner.to_owned())),
        "defaultBranchRef" => Found::One(Node::Ref(None)),
        "latestRelease" => release(visible(call).into_iter().find(|release| !release.draft && release.latest)),
        "release" => {
            let tag = arguments.text("tagName");
            let mut all = visible(call);
            // A published release first: a draft of the same tag is found only where there is no other.
            all.sort_by_key(|release| release.draft);
            release(all.into_iter().find(|release| release.tag == tag))
        }
        "releases" => {
            let mut all = visible(call);
            if arguments.take("orderBy").is_some_and(|order| order["direction"] == "ASC") {
                all.reverse();
            }
            page(all, "releases", arguments, |release| release.id.to_string(), Node::Releases)
        }
        "ref" => {
            let wanted = arguments.text("qualifiedName");
            let tag = wanted.strip_prefix("refs/tags/").unwrap_or(&wanted);
            match call.server.store.tag(tag) {
                Some(tag) => Found::One(Node::Ref(Some(tag))),
                None if ["main", "refs/heads/main"].contains(&wanted.as_str()) => Found::One(Node::Ref(None)),
                None => Found::None { why: None, like: Node::Ref(None) },
            }
        }
        "refs" => {
            let prefix = arguments.text("refPrefix");
            arguments.take("orderBy");
            let tags = if prefix == "refs/tags/" { call.server.store.tags() } else { Vec::new() };
            page(tags, "refs", arguments, |tag| tag.name.clone(), Node::Refs)
        }
        _ => Found::Unknown,
    }
}

fn release(call: &Call<'_>, release: &Arc<Release>, name: &str, arguments: &mut Arguments) -> Found {
    let path = format!("/{}/releases/tag/{}", call.server.repository, place(release));
    let tag = || call.server.store.tag(&release.tag);
    match name {
        "id" => Found::Value(format!("RE_{}", release.id).into()),
        "databaseId" => Found::Value(release.id.into()),
        "tagName" => Found::Value(release.tag.as_str().into()),
        "name" => Found::Value(release.name.clone().into()),
        "description" => Found::Value(release.body.clone().into()),
        "isDraft" => Found::Value(release.draft.into()),
        "isPrerelease" => Found::Value(release.prerelease.into()),
        "isLatest" => Found::Value((release.latest && !release.draft).into()),
        "immutable" => Found::Value(release.immutable.into()),
        "createdAt" => Found::Value(release.created_at.as_str().into()),
        "publishedAt" => Found::Value(release.published_at.clone().into()),
        "updatedAt" => Found::Value(release.updated_at.as_str().into()),
        "url" => Found::Value(format!("{}{path}", call.site.base).into()),
        "resourcePath" => Found::Value(path.into()),
        "author" => Found::One(Node::User(LOGIN.to_owned())),
        "tag" => tag().map_or(Found::None { why: None, like: Node::Ref(None) }, |tag| Found::One(Node::Ref(Some(tag)))),
        "tagCommit" => tag().map_or(Found::None { why: None, like: Node::Commit(String::new()) }, |tag| {
            Found::One(Node::Commit(tag.commit))
        }),
        "releaseAssets" => {
            let wanted = arguments.take("name");
            let all = release.assets.iter().filter(|asset| wanted.as_ref().is_none_or(|name| *name == asset.name));
            let key = |asset: &Asset| asset.id.to_string();
            page(all.cloned().collect(), "releaseAssets", arguments, key, |page| Node::Assets(release.clone(), page))
        }
        _ => Found::Unknown,
    }
}

fn asset(call: &Call<'_>, release: &Release, asset: &Asset, name: &str) -> Found {
    let rest = call.links().asset(release, asset);
    let same = match name {
        "id" => "node_id",
        "name" => "name",
        "size" => "size",
        "contentType" => "content_type",
        "digest" => "digest",
        "downloadCount" => "download_count",
        "downloadUrl" | "url" => "browser_download_url",
        "createdAt" => "created_at",
        "updatedAt" => "updated_at",
        "uploadedBy" => return Found::One(Node::User(LOGIN.to_owned())),
        _ => return Found::Unknown,
    };
    Found::Value(rest[same].clone())
}

fn reference(call: &Call<'_>, tag: Option<&Tag>, name: &str) -> Found {
    let (prefix, bare) = tag.map_or(("refs/heads/", "main"), |tag| ("refs/tags/", tag.name.as_str()));
    match name {
        "target" => Found::One(Node::Commit(tag.map_or_else(|| call.server.head.clone(), |tag| tag.commit.clone()))),
        _ => from(&json!({ "id": format!("REF_{bare}"), "name": bare, "prefix": prefix }), name),
    }
}

fn described(kind: &str, name: &str, arguments: &mut Arguments) -> Found {
    let fields = TYPES.iter().find(|(known, _)| *known == kind).map(|(_, fields)| *fields).unwrap_or_default();
    match name {
        "fields" => {
            arguments.take("includeDeprecated");
            Found::Many(fields.iter().map(|field| Node::TypeField(field)).collect())
        }
        _ => from(&json!({ "name": kind, "kind": "OBJECT" }), name),
    }
}

/// A field of `object`, whose values are all scalars.
fn from(object: &Value, name: &str) -> Found {
    object.get(name).map_or(Found::Unknown, |value| Found::Value(value.clone()))
}

fn connection<T>(page: &Page<T>, name: &str, node: impl Fn(&T) -> Node) -> Found {
    match name {
        "nodes" => Found::Many(page.items.iter().map(node).collect()),
        "totalCount" => Found::Value(page.total.into()),
        "pageInfo" => Found::One(Node::PageInfo(page.info.clone())),
        _ => Found::Unknown,
    }
}

/// The page of `all` that `first`, `last`, `after` and `before` ask for; `key` is an item's cursor.
fn page<T>(
    all: Vec<T>,
    field: &str,
    arguments: &mut Arguments,
    key: impl Fn(&T) -> String,
    node: impl Fn(Page<T>) -> Node,
) -> Found {
    let empty = |why| {
        let info = json!({ "endCursor": null, "hasNextPage": false, "hasPreviousPage": false, "startCursor": null });
        let page = Page { items: Vec::new(), total: 0, info };
        Found::None { why: Some(why), like: node(page) }
    };
    let mut number = |name| arguments.take(name).and_then(|value| value.as_i64());
    let (first, last) = (number("first"), number("last"));
    let place = |cursor: Option<Value>| {
        let cursor = cursor?;
        let wanted = cursor.as_str()?.strip_prefix("cursor:")?.to_owned();
        all.iter().position(|item| key(item) == wanted)
    };
    let after = place(arguments.take("after")).map_or(0, |place| place + 1);
    let before = place(arguments.take("before")).unwrap_or(all.len());
    let count = match (first, last) {
        (None, None) => {
            let message =
                format!("You must provide a `first` or `last` value to properly paginate the `{field}` connection.");
            return empty(("MISSING_PAGINATION_BOUNDARIES", message));
        }
        (Some(count), _) | (None, Some(count)) => count,
    };
    let Some(count) = usize::try_from(count).ok().filter(|count| *count <= 100) else {
        let message =
            format!("Requesting {count} records on the `{field}` connection exceeds the limit of 100 records.");
        return empty(("EXCESSIVE_PAGINATION", message));
    };
    let (after, before) = (after.min(before), before);
    let range = if first.is_some() {
        after..before.min(after.saturating_add(count))
    } else {
        before.saturating_sub(count).max(after)..before
    };
    let total = all.len();
    let (has_previous, has_next) = (range.start > 0, range.end < total);
    let items: Vec<T> = all.into_iter().skip(range.start).take(range.len()).collect();
    let cursor = |item: Option<&T>| item.map(|item| format!("cursor:{}", key(item)));
    let info = json!({
        "endCursor": cursor(items.last()), "hasNextPage": has_next,
        "hasPreviousPage": has_previous, "startCursor": cursor(items.first()),
    });
    Found::One(node(Page { items, total, info }))
}
