//! What a handler gets: the request, what its path says, who asks, and the server's state.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;

use super::faults::{Dealer, Drawn, Kind};
use super::guard::{Access, Guard};
use super::http::{Request, Response, encode};
use super::log::{Log, Observer};
use super::routes::Route;
use super::shapes::{Links, error};
use super::store::Store;
use super::tag::Check;
use crate::domain::releases::clock::{Clock, rfc3339};
use crate::plumbing::digest::sha256;

/// Where a client reached us, and where it is sent from there.
pub(super) struct Site {
    /// `http://127.0.0.1:1234`
    pub(super) base: String,
    /// The same for the host that serves the bytes of assets: `http://localhost:1235`.
    pub(super) objects: String,
}

/// What all connections share.
pub(super) struct Server {
    pub(super) store: Store,
    pub(super) log: Log,
    pub(super) dealer: Dealer,
    pub(super) guard: Guard,
    pub(super) repository: String,
    /// The git repository that archives of the source are made of.
    pub(super) source: Option<PathBuf>,
    /// The checks of the repository's commits.
    pub(super) checks: Vec<Check>,
    /// The commit that the default branch is at.
    pub(super) head: String,
    /// What the addresses behind redirects are signed with.
    pub(super) secret: String,
    pub(super) immutable: bool,
    pub(super) direct_downloads: bool,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) observer: Option<Observer>,
    pub(super) numbers: AtomicU64,
}

impl Server {
    fn signature(&self, path: &str) -> String {
        sha256(format!("{}\0{path}", self.secret).as_bytes())
    }

    /// A number that was not given out before.
    pub(super) fn number(&self) -> u64 {
        self.numbers.fetch_add(1, Ordering::Relaxed)
    }
}

/// A request to be handled.
pub(super) struct Call<'a> {
    pub(super) server: &'a Server,
    pub(super) site: &'a Site,
    pub(super) request: &'a Request,
    pub(super) route: &'a Route,
    pub(super) access: Access,
    pub(super) fault: Option<Drawn>,
    pub(super) body: Option<Value>,
}

impl Call<'_> {
    pub(super) fn links(&self) -> Links<'_> {
        Links { base: &self.site.base, repository: &self.server.repository }
    }

    /// An address on the host behind redirects: whoever has it may read `path`, as with cloud storage.
    pub(super) fn signed(&self, path: &str) -> String {
        format!("{}/{}?signature={}", self.site.objects, encode(path), self.server.signature(path))
    }

    /// A refusal unless the address was made by [`Call::signed`] for `path`. Beside a signature, GitHub's storage takes
    /// no token.
    pub(super) fn refuse_unsigned(&self, path: &str) -> Option<Response> {
        if self.request.header("authorization").is_some() {
            return Some(error(400, "Only one auth mechanism allowed"));
        }
        let is_signed = self.request.parameter("signature") == Some(&self.server.signature(path));
        (!is_signed).then(|| error(403, "Signature did not match"))
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

    /// Whether the client may see drafts and write.
    pub(super) fn may_push(&self) -> bool {
        self.access == Access::Push
    }

    /// The time now as the API writes it.
    pub(super) fn time(&self) -> String {
        rfc3339(self.server.clock.now())
    }
}

/// The answer when the server itself failed, say on a full disk.
pub(super) fn internal(failure: &anyhow::Error) -> Response {
    eprintln!("release server: {failure:#}");
    error(500, "Server Error")
}
