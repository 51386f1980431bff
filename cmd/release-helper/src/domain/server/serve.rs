//! One connection: read a request, perhaps let something go wrong, answer, log.

use std::io;
use std::time::Duration;

use serde_json::Value;

use super::account::{self, RATE_LIMIT};
use super::archive;
use super::assets;
use super::call::{Call, Server, Site, internal};
use super::conditional;
use super::faults::{Drawn, Kind};
#[cfg(feature = "graphql")]
use super::graphql;
use super::guard::{Access, harden};
use super::http::{Connection, Content, Request, Response};
use super::log::{Entry, Exchange};
use super::page;
use super::refs;
use super::releases;
use super::routes::{Operation, route, route_to_object};
use super::shapes::{error, not_found};
use super::tls::Stream;
use crate::domain::releases::clock::{epoch_seconds, rfc3339};

/// Serves a connection until either side closes it.
pub(super) fn serve(server: &Server, site: &Site, stream: Stream, is_objects: bool) {
    let mut connection = Connection::new(stream);
    loop {
        match connection.next() {
            Ok(Some(request)) => match exchange(server, site, &mut connection, &request, is_objects) {
                Ok(true) if !request.closes => {}
                // A client that went away, a fault that cuts, or the last answer.
                _ => break,
            },
            Err(failure) if failure.kind() == io::ErrorKind::InvalidData => {
                // What cannot be understood has no end either: the connection ends here.
                let response = harden(error(400, &failure.to_string()), Operation::Unknown);
                let _ = connection.answer(response.with("connection", "close"), false);
                break;
            }
            Ok(None) | Err(_) => break,
        }
    }
}

/// Answers one request. `false` closes the connection.
fn exchange(
    server: &Server,
    site: &Site,
    connection: &mut Connection,
    request: &Request,
    is_objects: bool,
) -> io::Result<bool> {
    let route = if is_objects { route_to_object(request) } else { route(request, &server.repository) };
    let operation = route.operation;
    if let Some(refusal) = server.guard.wrong_host(request) {
        log(server, request, operation, 421, None);
        connection.answer(harden(refusal, operation).with("connection", "close"), request.is_head())?;
        return Ok(false);
    }
    let fault = match operation {
        Operation::Page | Operation::Stylesheet | Operation::Unknown => None,
        _ => server.dealer.draw(operation),
    };
    let (body, unreadable) = match operation {
        Operation::UploadReleaseAsset => (None, None),
        _ => body(connection, request)?,
    };
    let access = server.guard.access(request);
    let mut call = Call { server, site, request, route: &route, access: access.unwrap_or(Access::Read), fault, body };
    let refused = fault.and_then(|fault| refusal(server, request, fault));
    let mut response = match (refused, access) {
        _ if call.has(Kind::CutBefore) => None,
        _ if call.has(Kind::Stall) => {
            std::thread::sleep(Duration::from_secs(2));
            None
        }
        (Some(refusal), _) => Some(refusal),
        (None, None) if !is_objects => Some(error(401, "Bad credentials")),
        _ => match unreadable {
            Some(refusal) => Some(refusal),
            None => handle(&mut call, connection)?,
        },
    };
    if call.has(Kind::CutAfter) {
        response = None;
    } else if call.has(Kind::LostAnswer) {
        response = Some(error(502, "Server Error"));
    } else if let (true, Some(Response { content: Content::Bytes(bytes), .. })) =
        (call.has(Kind::HalfJson), &mut response)
    {
        bytes.truncate(bytes.len() / 2);
    }
    let response = response.map(|response| conditional::revalidate(request, response));
    let status = response.as_ref().map_or(0, |response| response.status);
    log(server, request, operation, status, fault);
    if let Some(observer) = &server.observer {
        let answer = match &response {
            Some(Response { content: Content::Bytes(bytes), .. }) => serde_json::from_slice(bytes).ok(),
            _ => None,
        };
        let (request, body, fault) = (request.clone(), call.body.take(), fault.map(|fault| fault.kind));
        observer(&Exchange { operation, request, body, status, answer, fault });
    }
    let Some(response) = response else { return Ok(false) };
    // An early refusal of a large upload: answer, then close, as GitHub's front does.
    let is_small = request.length().unwrap_or(0) <= 1024 * 1024;
    if is_small {
        connection.drain()?;
    }
    // Nobody knows where the body of an upload in chunks ends: it was not read.
    let is_last = request.closes || (request.is_chunked() && operation == Operation::UploadReleaseAsset);
    let response = if is_last { response.with("connection", "close") } else { response };
    connection.answer(finished(server, response, operation), request.is_head())?;
    if !is_small {
        connection.drain()?;
    }
    Ok(!is_last)
}

/// The JSON that `request` carries, or the answer to one that carries none.
fn body(connection: &mut Connection, request: &Request) -> io::Result<(Option<Value>, Option<Response>)> {
    if request.length().is_none() && !request.is_chunked() {
        return Ok((None, None));
    }
    let Some(bytes) = connection.json_body(request)? else {
        return Ok((None, Some(error(413, "the body is too long").with("connection", "close"))));
    };
    if bytes.is_empty() {
        return Ok((None, None));
    }
    Ok(match serde_json::from_slice(&bytes) {
        Ok(body @ Value::Object(_)) => (Some(body), None),
        Ok(_) => (None, Some(error(400, "Body should be a JSON object"))),
        Err(_) => (None, Some(error(400, "Problems parsing JSON"))),
    })
}

/// Answers a request; `None` closes the connection instead.
fn handle(call: &mut Call<'_>, connection: &mut Connection) -> io::Result<Option<Response>> {
    use Operation as O;
    let answer = match call.route.operation {
        O::UploadReleaseAsset => return assets::upload(call, connection),
        O::DownloadAsset | O::BrowserDownload => assets::download(call),
        O::Object if !call.route.name.is_empty() => archive::object(call),
        O::Object => assets::object(call),
        O::ListReleaseAssets => Ok(assets::list(call)),
        O::GetReleaseAsset => Ok(assets::get(call)),
        O::UpdateReleaseAsset => assets::update(call),
        O::DeleteReleaseAsset => assets::delete(call),
        O::ListReleases => Ok(releases::list(call)),
        O::CreateRelease => releases::create(call),
        O::GetRelease | O::GetReleaseByTag | O::GetLatestRelease => Ok(releases::get(call)),
        O::UpdateRelease => releases::update(call),
        O::DeleteRelease => releases::delete(call),
        O::GenerateReleaseNotes => Ok(releases::generate_notes(call)),
        O::BrowserLatest => Ok(releases::latest(call)),
        O::ListTags => Ok(refs::tags(call)),
        O::GetRef => Ok(refs::get(call)),
        O::ListMatchingRefs => Ok(refs::matching(call)),
        O::ListCheckRuns => Ok(refs::check_runs(call)),
        O::CreateRef => refs::create(call),
        O::DeleteRef => refs::delete(call),
        O::GetTag => Ok(refs::tag_object(call)),
        O::DownloadArchive => Ok(archive::redirect(call)),
        O::GetRepository => Ok(Response::json(200, &call.links().repository())),
        O::CheckImmutableReleases | O::GetUser | O::GetRateLimit | O::GetMeta => Ok(account::get(call)),
        #[cfg(feature = "graphql")]
        O::Graphql => Ok(graphql::answer(call)),
        // gh asks it over TLS, which such a helper refused at the start.
        #[cfg(not(feature = "graphql"))]
        O::Graphql => Ok(not_found()),
        O::Page => Ok(page::page(call)),
        O::Stylesheet => Ok(page::stylesheet()),
        O::Unknown => Ok(not_found()),
    };
    Ok(Some(answer.unwrap_or_else(|failure| internal(&failure))))
}

/// Adds the headers of every answer.
fn finished(server: &Server, response: Response, operation: Operation) -> Response {
    let now = server.clock.now();
    let used = server.log.count();
    harden(response, operation)
        .with("date", crate::plumbing::date::http(epoch_seconds(now)))
        .with("x-github-request-id", format!("{:04X}:REHEARSAL", server.number()))
        .with("x-github-api-version-selected", "2022-11-28")
        // Counted, not enforced; a fault may have said otherwise.
        .with_default("x-ratelimit-limit", RATE_LIMIT)
        .with_default("x-ratelimit-remaining", RATE_LIMIT.saturating_sub(used).max(1))
        .with_default("x-ratelimit-reset", epoch_seconds(now) + 3600)
}

fn log(server: &Server, request: &Request, operation: Operation, status: u16, fault: Option<Drawn>) {
    server.log.add(Entry {
        time: rfc3339(server.clock.now()),
        method: request.method.clone(),
        // The query of an object is a signature.
        path: if operation == Operation::Object { request.path.clone() } else { request.target() },
        operation,
        status,
        fault: fault.map(|fault| format!("{:?}", fault.kind)),
    });
}

/// The answer of a fault that refuses before anything is done.
fn refusal(server: &Server, request: &Request, fault: Drawn) -> Option<Response> {
    let seconds = fault.time.as_secs().max(1);
    Some(match fault.kind {
        Kind::ServerError => error(500, "Server Error"),
        Kind::BadGateway => Response::bytes(502, "text/html", b"<html><body>502 Bad Gateway</body></html>".to_vec()),
        Kind::Unavailable => error(503, "Service Unavailable").with("retry-after", seconds),
        Kind::RequestTimeout => error(408, "Request Timeout"),
        Kind::SecondaryLimit => {
            error(403, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.")
                .with("retry-after", seconds)
        }
        Kind::TooManyRequests => error(429, "Too Many Requests").with("retry-after", seconds),
        Kind::PrimaryLimit => error(403, "API rate limit exceeded for installation.")
            .with("x-ratelimit-remaining", 0)
            .with("x-ratelimit-reset", epoch_seconds(server.clock.now()) + seconds),
        Kind::Forbidden => error(403, "Resource not accessible by integration"),
        Kind::Unauthorized => error(401, "Bad credentials"),
        Kind::NotFound => not_found(),
        Kind::EchoToken => error(500, &format!("no route for {}", request.header("authorization").unwrap_or("nobody"))),
        _ => return None,
    })
}
