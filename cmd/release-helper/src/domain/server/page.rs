//! Pages to look at in a browser: the releases, their assets and digests, and the log of requests.

use super::call::Call;
use super::http::{Response, encode};
use super::log::Entry;
use super::routes::Operation;
use super::shapes::place;
use super::store::Release;

const STYLE: &str = include_str!("page.css");

pub(super) fn stylesheet() -> Response {
    Response::bytes(200, "text/css; charset=utf-8", STYLE.into())
}

/// A page is for the person who runs the server: unlike the API it shows drafts to everybody.
pub(super) fn page(call: &Call<'_>) -> Response {
    let releases = call.server.store.releases(call.server.clock.now(), std::time::Duration::ZERO);
    let wanted = |release: &&std::sync::Arc<Release>| {
        call.route.name.is_empty() || place(release) == call.route.name || release.tag == call.route.name
    };
    let shown: Vec<_> = releases.values().rev().filter(wanted).collect();
    let mut text = String::new();
    for release in &shown {
        text += &section(call, release);
    }
    if shown.is_empty() {
        text += "<p>No release here yet.</p>";
    }
    text += &log(&call.server.log.entries());
    let title = escape(&format!("Releases · {}", call.server.repository));
    let html = format!(
        "<!DOCTYPE html><html lang=en><head><meta charset=utf-8><meta name=viewport content=\"width=device-width\">\
         <title>{title}</title><link rel=stylesheet href=\"/style.css\"></head>\
         <body><h1><a href=\"/{0}/releases\">{title}</a></h1>{text}</body></html>",
        encode(&call.server.repository)
    );
    let status = if shown.is_empty() && !call.route.name.is_empty() { 404 } else { 200 };
    Response::bytes(status, "text/html; charset=utf-8", html.into_bytes())
}

fn section(call: &Call<'_>, release: &Release) -> String {
    let repository = encode(&call.server.repository);
    let mut labels = vec![if release.draft { ("draft", "Draft") } else { ("published", "Published") }];
    for (holds, label) in
        [(release.prerelease, "Pre-release"), (release.latest, "Latest"), (release.immutable, "Immutable")]
    {
        if holds {
            labels.push(("published", label));
        }
    }
    let labels: String =
        labels.iter().map(|(class, label)| format!(" <span class=\"label {class}\">{label}</span>")).collect();
    let mut rows = String::new();
    for asset in &release.assets {
        let name = escape(&asset.name);
        let link = if release.draft {
            name.clone()
        } else {
            format!(
                "<a href=\"/{repository}/releases/download/{}/{}\">{name}</a>",
                encode(&release.tag),
                encode(&asset.name)
            )
        };
        rows += &format!(
            "<tr><td>{link}</td><td class=number>{}</td><td><code>{}</code></td><td class=\"{state}\">{state}</td></tr>",
            asset.size,
            escape(asset.digest.as_deref().unwrap_or("–")),
            state = escape(&asset.state),
        );
    }
    if release.assets.is_empty() {
        rows += "<tr><td colspan=4>none yet</td></tr>";
    }
    format!(
        "<h2 id=\"{id}\"><a href=\"/{repository}/releases/tag/{place}\">{title}</a>{labels}</h2>\
         <p class=about>tag <code>{tag}</code> · release {id} · created {created} · published {published}</p><pre>{body}</pre>\
         <table><thead><tr><th>asset</th><th class=number>bytes</th><th>digest</th><th>state</th></tr></thead>\
         <tbody>{rows}</tbody></table>",
        id = release.id,
        place = encode(&place(release)),
        title = escape(release.name.as_deref().unwrap_or(&release.tag)),
        tag = escape(&release.tag),
        created = escape(&release.created_at),
        published = escape(release.published_at.as_deref().unwrap_or("not yet")),
        body = escape(release.body.as_deref().unwrap_or("")),
    )
}

fn log(entries: &[Entry]) -> String {
    let rows: String = entries
        .iter()
        .rev()
        .filter(|entry| !matches!(entry.operation, Operation::Page | Operation::Stylesheet))
        .take(200)
        .map(|entry| {
            let class = if entry.status == 0 || entry.status >= 400 { "failed" } else { "" };
            let status = if entry.status == 0 { "cut".to_owned() } else { entry.status.to_string() };
            format!(
                "<tr><td>{}</td><td>{}</td><td><code>{}</code></td><td class=\"{class}\">{status}</td><td>{}</td></tr>",
                escape(&entry.time),
                escape(&entry.method),
                escape(&entry.path),
                escape(entry.fault.as_deref().unwrap_or("")),
            )
        })
        .collect();
    format!(
        "<div class=requests><h2>Requests, newest first</h2><table class=log><thead><tr><th>time</th><th>method</th>\
         <th>path</th><th>status</th><th>fault</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
