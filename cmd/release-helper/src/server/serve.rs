//! One connection: read a request, perhaps let something go wrong, answer, log.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::Value;

use super::Server;
use super::faults::{Drawn, Kind};
use super::http::{Connection, Content, Request, Response};
use super::routes::{Operation, Route, route};
use super::shapes::{Links, error, not_found};
use crate::releases::clock::{epoch_seconds, rfc3339};

/// So many requests are kept for the page; the file has them all.
const KEPT: usize = 10_000;

/// A request and its answer, as an observer sees them.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Which operation it was.
    pub operation: Operation,
    /// The head of the request.
    pub request: Request,
    /// The body of the request if it was JSON.
    pub body: Option<Value>,
    /// The status of the answer; 0 if there was none.
    pub status: u16,
    /// The body of the answer if it was JSON.
    pub answer: Option<Value>,
    /// What went wrong on purpose.
    pub fault: Option<Kind>,
}

/// A line of the log.
#[derive(Clone, Serialize)]
pub(super) struct Entry {
    pub(super) time: String,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) operation: Operation,
    pub(super) status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fault: Option<String>,
}

/// The log of requests, in memory for the page and in `requests.jsonl`. It never holds headers, so no token.
pub(super) struct Log {
    entries: Mutex<Vec<Entry>>,
    file: Mutex<File>,
}

impl Log {
    pub(super) fn open(directory: &Path) -> Result<Self> {
        let path = directory.join("requests.jsonl");
        let file = OpenOptions::new().create(true).append(true).open(&path);
        Ok(Self {
            entries: Mutex::default(),
            file: Mutex::new(file.with_context(|| format!("cannot write {}", path.display()))?),
        })
    }

    pub(super) fn entries(&self) -> Vec<Entry> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn add(&self, entry: Entry) {
        if let Ok(mut line) = serde_json::to_vec(&entry) {
            line.push(b'\n');
            // The log is for people; a full disk must not change an answer.
            let _ = self.file.lock().unwrap_or_else(PoisonError::into_inner).write_all(&line);
        }
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() == KEPT {
            entries.remove(0);
        }
        entries.push(entry);
    }
}

/// What a client may do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// See what is published.
    Read,
    /// See drafts, and write.
    Push,
}

/// What a handler needs to know beside the store.
pub(super) struct Call<'a> {
    pub(super) server: &'a Server,
    pub(super) request: &'a Request,
    pub(super) route: &'a Route,
    pub(super) access: Access,
    pub(super) fault: Option<Drawn>,
    pub(super) body: Option<Value>,
}

impl Call<'_> {
    pub(super) fn links(&self) -> Links<'_> {
        Links { base: &self.server.base, repository: &self.server.repository }
    }

    /// How far a reading lags behind.
    pub(super) fn lag(&self) -> Duration {
        match self.fault {
            Some(Drawn { kind: Kind::Lag, time }) => time,
            _ => Duration::ZERO,
        }
    }

    pub(super) fn has(&self, kind: Kind) -> bool {
        self.fault.is_some_and(|fault| fault.kind == kind)
    }

    /// The time now as the API writes it.
    pub(super) fn time(&self) -> String {
        rfc3339(self.server.clock.now())
    }
}

/// Serves a connection until either side closes it.
pub(super) fn serve(server: &Server, stream: TcpStream, is_objects: bool) {
    let mut connection = Connection::new(stream);
    // An error here is a client that went away or does not speak HTTP: close.
    while let Ok(Some(request)) = connection.next() {
        match exchange(server, &mut connection, &request, is_objects) {
            Ok(true) if !request.closes() => {}
            _ => break,
        }
    }
}

/// Answers one request. `false` closes the connection.
fn exchange(server: &Server, connection: &mut Connection, request: &Request, is_objects: bool) -> io::Result<bool> {
    let mut route = route(request, &server.repository);
    if is_objects {
        route.operation = Operation::Object;
        route.id = request.path.rsplit('/').next().and_then(|id| id.parse().ok()).unwrap_or(0);
    }
    let operation = route.operation;
    let fault = match operation {
        Operation::Page | Operation::Unknown => None,
        _ => server.dealer.draw(operation),
    };
    let is_upload = operation == Operation::UploadReleaseAsset;
    let body = if is_upload || request.length().is_none() {
        None
    } else {
        let bytes = connection.json_body()?;
        (!bytes.is_empty()).then(|| serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    };
    let access = match (request.header("authorization"), &server.token) {
        (None, _) => Some(Access::Read),
        (Some(_), None) => Some(Access::Push),
        (Some(given), Some(token)) => {
            let given = given.split_once(' ').map_or("", |(_, given)| given.trim());
            (given == token).then_some(Access::Push)
        }
    };
    let mut call = Call { server, request, route: &route, access: access.unwrap_or(Access::Read), fault, body };
    let refused = fault.and_then(|fault| refusal(server, request, fault));
    let mut response = match (refused, access) {
        _ if call.has(Kind::CutBefore) => None,
        _ if call.has(Kind::Stall) => {
            std::thread::sleep(Duration::from_secs(2));
            None
        }
        (Some(refusal), _) => Some(refusal),
        (None, None) if !is_objects => Some(error(401, "Bad credentials")),
        _ => super::releases::handle(&mut call, connection)?,
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
    let status = response.as_ref().map_or(0, |response| response.status);
    server.log.add(Entry {
        time: call.time(),
        method: request.method.clone(),
        path: if is_objects { request.path.clone() } else { target(request) },
        operation,
        status,
        fault: fault.map(|fault| format!("{:?}", fault.kind)),
    });
    if let Some(observer) = &server.observer {
        let answer = match &response {
            Some(Response { content: Content::Bytes(bytes), .. }) => serde_json::from_slice(bytes).ok(),
            _ => None,
        };
        let body = call.body.take();
        observer(&Exchange {
            operation,
            request: request.clone(),
            body,
            status,
            answer,
            fault: fault.map(|fault| fault.kind),
        });
    }
    let Some(response) = response else { return Ok(false) };
    // An early refusal of a large upload: answer, then close, as GitHub's front does.
    let is_small = request.length().unwrap_or(0) <= 1024 * 1024;
    if is_small {
        connection.drain()?;
    }
    let number = server.next_connection.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    connection.answer(response.with("x-github-request-id", format!("{number:04X}:REHEARSAL")))?;
    if !is_small {
        connection.drain()?;
    }
    Ok(true)
}

/// The path and query, for the log.
fn target(request: &Request) -> String {
    let query: Vec<String> = request.query.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if query.is_empty() { request.path.clone() } else { format!("{}?{}", request.path, query.join("&")) }
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
