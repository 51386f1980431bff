//! Requests to the REST API: who may see the token, how often a request is tried, how long to wait in between.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::http;

use super::address::{authority, encode, is_loopback, is_public, is_repository};
use super::clock::{Clock, Machine};
use super::failure::{Cause, Failure, Waits};
use super::limits::{Budget, Limits, refusal};
use super::token::Token;
use crate::plumbing::error::Hint;
use crate::plumbing::foreign;
use crate::plumbing::output::step;

/// The version of the REST API that this client speaks.
const API_VERSION: &str = "2022-11-28";
/// How often a request is sent before its failure stands.
pub(super) const ATTEMPTS: u32 = 5;
/// Waits while GitHub's answers lag behind its state: drafts and assets have been missing from lists for 23 s, and
/// lists may be cached for 60 s.
pub(super) const LAG: [u64; 6] = [1, 2, 4, 8, 16, 32];
/// A JSON answer may be this long: a page of 100 releases with all their assets fits.
const MAX_JSON: u64 = 32 * 1024 * 1024;
/// A request without bytes of its own is over within this time.
const ANSWER_TIME: Duration = Duration::from_secs(120);
/// A connection that moves fewer bytes in a second is as good as none.
const SLOWEST: u64 = 16 * 1024;

/// A client of one repository's releases.
pub struct Client {
    agent: ureq::Agent,
    /// `https://api.github.com`, without a slash at the end.
    api: String,
    repository: String,
    token: Option<Token>,
    budget: Budget,
    pub(super) clock: Arc<dyn Clock>,
    requests: AtomicU64,
    /// How many requests may still be sent; see [`Client::stopping_after`].
    left: AtomicI64,
    lose_last_answer: bool,
    report: Report,
}

/// Says to people what is going on.
pub type Report = Arc<dyn Fn(&str) + Send + Sync>;

/// What goes along with a request.
pub(super) enum Payload<'a> {
    None,
    Json(Value),
    Stream(&'a mut dyn Read, u64),
}

/// A success.
pub(super) struct Answer {
    response: http::Response<ureq::Body>,
    /// For messages.
    request: String,
}

impl Client {
    /// A client for `repository` (`owner/name`) at `api` (`https://api.github.com`), with the token of a job or without.
    pub fn new(api: &str, repository: &str, token: Option<&str>) -> Result<Self> {
        let api = api.trim_end_matches('/');
        // Not repeated: there may be a password in it.
        let host = authority(api)
            .context("--api-url is not the address of a REST API: it has no plain host after http:// or https://")
            .hint("give --api-url as in https://api.github.com, without a name or password")?;
        let is_local = is_loopback(host);
        if !is_local && !api.starts_with("https://") {
            return Err(anyhow::anyhow!("http://{host} would send the token in the clear"))
                .hint("use https; plain http is for servers on this machine");
        }
        if !cfg!(feature = "tls") && api.starts_with("https://") {
            return Err(anyhow::anyhow!("this helper was built without TLS, and cannot ask {host}"))
                .hint("use `cargo release-helper` instead of `cargo rehearse`");
        }
        if !is_repository(repository) {
            return Err(anyhow::anyhow!("{repository:?} is not a repository")).hint("give --repo as in owner/name");
        }
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // Redirects are followed here, so that the token stays where it belongs.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections_per_host(8)
            .user_agent("tsuku-dltest-release-helper")
            .timeout_connect(Some(Duration::from_secs(20)))
            .timeout_recv_response(Some(Duration::from_secs(120)))
            .timeout_per_read(Some(Duration::from_secs(60)))
            .timeout_per_write(Some(Duration::from_secs(60)));
        if is_local {
            config = config.proxy(None);
        }
        Ok(Self {
            agent: config.build().new_agent(),
            api: api.to_owned(),
            repository: repository.to_owned(),
            token: Token::parse(token)?,
            budget: Budget::new(Limits::JOB),
            clock: Arc::new(Machine),
            requests: AtomicU64::new(0),
            left: AtomicI64::new(i64::MAX),
            lose_last_answer: false,
            report: Arc::new(|text| step(text)),
        })
    }

    /// The same client with another clock.
    pub fn with_clock(self, clock: Arc<dyn Clock>) -> Self {
        Self { clock, ..self }
    }

    /// The same client, without the token.
    pub(super) fn without_token(self) -> Self {
        Self { token: None, ..self }
    }

    /// The host of its API.
    pub(super) fn host(&self) -> &str {
        authority(&self.api).unwrap_or_default()
    }

    /// The same client, putting up with less or more.
    pub fn with_limits(self, limits: Limits) -> Self {
        Self { budget: Budget::new(limits), ..self }
    }

    /// The same client, telling its progress to `report` instead of stderr.
    pub fn with_report(self, report: Report) -> Self {
        Self { report, ..self }
    }

    /// The same client, stopped as by a kill after `requests` requests; `lose_last_answer` stops it between the
    /// last request and its answer. For the fault campaign.
    pub fn stopping_after(self, requests: u32, lose_last_answer: bool) -> Self {
        Self { left: AtomicI64::new(i64::from(requests)), lose_last_answer, ..self }
    }

    pub(super) fn say(&self, text: impl std::fmt::Display) {
        (self.report)(&text.to_string());
    }

    /// How many requests were sent, redirects included.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// `owner/name`
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The repository's page, where it can be cloned too. It is made of what the user named: no answer has a say.
    pub fn page(&self) -> String {
        // `https://api.github.com`, and `https://HOST/api/v3` of an own server.
        let host = self.api.strip_suffix("/api/v3").unwrap_or(&self.api).replacen("://api.", "://", 1);
        format!("{host}/{}", self.repository)
    }

    /// The page of a release of `tag`, which the server says is `told`: taken if it is one of this repository's releases,
    /// and made of what the user named if not.
    pub(super) fn release_page(&self, tag: &str, told: &str) -> String {
        let releases = format!("{}/releases/", self.page());
        let is_plain = |rest: &str| rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~/+%".contains(&byte));
        match told.strip_prefix(&releases) {
            Some(rest) if is_plain(rest) && !rest.contains("..") => told.to_owned(),
            _ => format!("{releases}tag/{}", encode(tag)),
        }
    }

    /// The address of `path` below the repository.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}/repos/{}{path}", self.api, self.repository)
    }

    /// Whether the token may be sent to `url`: only to the API itself and to the host it takes uploads on.
    pub(super) fn is_own(&self, url: &str) -> bool {
        let Some((scheme, _)) = self.api.split_once("://") else { return false };
        let (Some(own), Some(host)) = (authority(&self.api), authority(url)) else { return false };
        let uploads = own.strip_prefix("api.").map(|domain| format!("uploads.{domain}"));
        url.starts_with(&format!("{scheme}://")) && (host == own || Some(host) == uploads.as_deref())
    }

    /// Whether a download may be continued at `url`, where a redirect points: never in the clear, nor at an address
    /// inside of somebody's network, unless the API itself is on this machine.
    pub(super) fn may_follow(&self, url: &str) -> bool {
        let is_local = |url| authority(url).is_some_and(is_loopback);
        (is_local(&self.api) && is_local(url)) || is_public(url)
    }

    /// Sends one request. Redirects are not followed.
    pub(super) fn send(&self, method: &str, url: &str, accept: &str, payload: Payload<'_>) -> Result<Answer, Failure> {
        let length = if let Payload::Stream(_, length) = &payload { *length } else { 0 };
        self.send_for(length, method, url, accept, payload)
    }

    /// Sends one request that moves `length` bytes to here or there.
    pub(super) fn send_for(
        &self,
        length: u64,
        method: &str,
        url: &str,
        accept: &str,
        payload: Payload<'_>,
    ) -> Result<Answer, Failure> {
        // The query of a foreign address is a signature: never shown.
        let shown = if self.is_own(url) { url } else { url.split('?').next().unwrap_or_default() };
        let request = format!("{method} {}", foreign::line(shown.strip_prefix(&self.api).unwrap_or(shown)));
        let failure = |cause| Failure { request: request.clone(), cause, request_id: None };
        let left = self.left.fetch_sub(1, Ordering::SeqCst);
        if left <= 0 {
            return Err(failure(Cause::Stopped));
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        let time = self.time_for(length).map_err(failure)?;
        let mut builder = http::Request::builder().method(method).uri(url).header("accept", accept);
        if self.is_own(url) {
            builder = builder.header("x-github-api-version", API_VERSION);
            if let Some(token) = &self.token {
                builder = builder.header("authorization", token.header());
            }
        }
        let network = |error: &dyn std::fmt::Display| failure(Cause::Network(self.message(&error.to_string())));
        let outcome = match payload {
            Payload::None => builder.body(()).map(|request| self.run(request, time)),
            Payload::Json(value) => builder
                .header("content-type", "application/json")
                .body(value.to_string())
                .map(|request| self.run(request, time)),
            Payload::Stream(reader, length) => builder
                .header("content-type", "application/octet-stream")
                .header("content-length", length)
                .body(ureq::SendBody::from_reader(reader))
                .map(|request| self.run(request, time)),
        };
        let mut response = outcome.map_err(|error| network(&error))?.map_err(|error| network(&error))?;
        if left == 1 && self.lose_last_answer {
            return Err(failure(Cause::Stopped));
        }
        let status = response.status().as_u16();
        if (200..300).contains(&status) || status == 302 {
            return Ok(Answer { response, request });
        }
        let request_id = request_id(&response);
        let number = |name| header(&response, name).and_then(|value| value.parse::<u64>().ok());
        let waits = Waits {
            retry_after: number("retry-after"),
            remaining: number("x-ratelimit-remaining"),
            until_reset: number("x-ratelimit-reset").map(|reset| {
                let reset = UNIX_EPOCH.checked_add(Duration::from_secs(reset)).unwrap_or(UNIX_EPOCH);
                reset.duration_since(self.clock.now()).unwrap_or_default()
            }),
        };
        let body = response.body_mut().with_config().limit(1024 * 1024).read_to_vec().unwrap_or_default();
        let cause = Cause::of_answer(status, &body, &waits, &|text| self.message(text));
        self.budget.receive(body.len() as u64).map_err(failure)?;
        Err(Failure { request, cause, request_id })
    }

    /// How long a request that moves `length` bytes may take.
    fn time_for(&self, length: u64) -> Result<Duration, Cause> {
        let left = self.budget.left(&*self.clock)?;
        Ok(left.min(ANSWER_TIME + Duration::from_secs(length / SLOWEST)))
    }

    fn run(
        &self,
        request: http::Request<impl ureq::AsSendBody>,
        time: Duration,
    ) -> Result<http::Response<ureq::Body>, ureq::Error> {
        self.agent.run(self.agent.configure_request(request).timeout_global(Some(time)).build())
    }

    /// Sends one request for JSON.
    pub(super) fn json<T: DeserializeOwned>(
        &self,
        method: &str,
        url: &str,
        payload: Payload<'_>,
    ) -> Result<T, Failure> {
        self.read_json(self.send(method, url, "application/vnd.github+json", payload)?)
    }

    /// The JSON in an answer, all its strings clean. Half an answer counts as none.
    pub(super) fn read_json<T: DeserializeOwned>(&self, mut answer: Answer) -> Result<T, Failure> {
        let limit = MAX_JSON.min(self.budget.bytes());
        let bytes = match answer.response.body_mut().with_config().limit(limit).read_to_vec() {
            Ok(bytes) => bytes,
            Err(ureq::Error::BodyExceedsLimit(_)) => {
                return Err(answer.failure(refusal(format!("the answer has more than {} MB", limit >> 20))));
            }
            Err(error) => return Err(answer.failure(Cause::Network(self.message(&error.to_string())))),
        };
        self.budget.receive(bytes.len() as u64).map_err(|cause| answer.failure(cause))?;
        let parsed = serde_json::from_slice(&bytes).and_then(|mut value: Value| {
            foreign::clean(&mut value);
            foreign::strings(&mut value, &mut |_, text| self.redact(text));
            serde_json::from_value(value)
        });
        parsed.map_err(|error| {
            let reason = format!("not the expected JSON: {}", self.message(&error.to_string()));
            answer.failure(Cause::Network(reason))
        })
    }

    /// Counts bytes that were read from an answer by hand.
    pub(super) fn receive(&self, bytes: u64) -> Result<(), Cause> {
        self.budget.receive(bytes)
    }

    /// Tries `attempt` until it succeeds, is refused, or has failed [`ATTEMPTS`] times.
    pub(super) fn retry<T>(&self, mut attempt: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
        let mut failures = 0;
        loop {
            match attempt() {
                Err(failure) if failure.is_temporary() => {
                    failures += 1;
                    self.pause(failures, failure)?;
                }
                other => return other,
            }
        }
    }

    /// Waits after the `failures`-th failure in a row, or gives it back if it must stand.
    pub(super) fn pause(&self, failures: u32, failure: Failure) -> Result<(), Failure> {
        let asked = failure.wait().unwrap_or_default();
        if !failure.is_temporary() || failures >= ATTEMPTS || asked > self.budget.wait() {
            return Err(failure);
        }
        // Exponential, and jitter on top of what the server asks: clients that failed together come back apart.
        let backoff = Duration::from_secs(1 << failures.min(6)).mul_f64(0.5 + 0.5 * self.clock.chance());
        let wait = if asked.is_zero() { backoff } else { asked + backoff.min(Duration::from_secs(2)) };
        if self.budget.left(&*self.clock).is_ok_and(|left| left <= wait) {
            return Err(failure);
        }
        self.say(format_args!("{failure}; trying again in {} s", wait.as_secs().max(1)));
        self.clock.sleep(wait);
        Ok(())
    }

    /// Takes the token out of a text that a server sent or caused.
    fn redact(&self, text: &str) -> String {
        self.token.as_ref().map_or_else(|| text.to_owned(), |token| token.redact(text))
    }

    /// What a server said or caused, fit to be repeated to people.
    fn message(&self, text: &str) -> String {
        let text = self.token.as_ref().map_or_else(|| text.to_owned(), |token| token.redact_message(text));
        foreign::line(&text)
    }
}

impl std::fmt::Debug for Client {
    /// Without the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("api", &self.api).field("repository", &self.repository).finish_non_exhaustive()
    }
}

impl Answer {
    pub(super) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        header(&self.response, name)
    }

    /// The bytes of the answer, to be streamed.
    pub(super) fn into_reader(self) -> impl Read {
        self.response.into_body().into_reader()
    }

    /// A failure of this request.
    pub(super) fn failure(&self, cause: Cause) -> Failure {
        Failure { request: self.request.clone(), cause, request_id: request_id(&self.response) }
    }
}

fn header<'a>(response: &'a http::Response<ureq::Body>, name: &str) -> Option<&'a str> {
    response.headers().get(name).and_then(|value| value.to_str().ok())
}

/// GitHub's number of a request, if it is one.
fn request_id(response: &http::Response<ureq::Body>) -> Option<String> {
    let is_id = |id: &&str| id.len() <= 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit() || b":-".contains(&byte));
    header(response, "x-github-request-id").filter(is_id).map(str::to_owned)
}

/// Stops with the ids of releases that should not be there.
pub(super) fn refuse_ambiguous(tag: &str, ids: &[u64]) -> Result<()> {
    let ids: Vec<String> = ids.iter().map(u64::to_string).collect();
    let check = || -> Result<()> { bail!("several releases have the tag {tag}: {}", ids.join(", ")) };
    check().hint("nothing was changed; delete all but one (say with `gh api -X DELETE repos/OWNER/NAME/releases/ID`), then run this again")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(api: &str) -> Client {
        Client::new(api, "o/r", Some("ghs_secret")).unwrap()
    }

    #[test]
    fn the_token_goes_to_the_api_and_its_upload_host_and_nowhere_else() {
        let client = client("https://api.github.com");
        for own in ["https://api.github.com/x", "https://uploads.github.com/x?name=a"] {
            assert!(client.is_own(own), "{own}");
        }
        for foreign in [
            "http://api.github.com/x",
            "https://api.github.com.evil.example/x",
            "https://api.github.com@evil.example/x",
            "https://evil.example/https://api.github.com/",
            "https://api.github.com:8443/x",
            "https://release-assets.githubusercontent.com/x",
            "https://uploads.evil.example",
            "//api.github.com/x",
            "",
        ] {
            assert!(!client.is_own(foreign), "{foreign}");
        }
    }

    #[test]
    fn a_download_goes_on_at_a_public_https_host_only() {
        let client = client("https://api.github.com");
        for fine in ["https://release-assets.githubusercontent.com/x?sig=1", "https://objects.example.org:443/"] {
            assert!(client.may_follow(fine), "{fine}");
        }
        for wrong in [
            "http://release-assets.githubusercontent.com/x",
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f.0.0.1/",
            "https://169.254.169.254/latest/meta-data",
            "https://[::1]/",
            "https://localhost/",
            "https://a.localhost/",
            "https://intranet/",
            "https://metadata.google.internal/",
            "https://user@example.org/",
            "file:///etc/passwd",
            "/relative",
            "",
        ] {
            assert!(!client.may_follow(wrong), "{wrong}");
        }
        let local = Client::new("http://127.0.0.1:1", "o/r", None).unwrap();
        assert!(local.may_follow("http://127.0.0.1:2/x") && !local.may_follow("http://example.org/x"));
    }

    #[test]
    fn a_password_in_the_address_of_the_api_is_not_repeated() {
        for api in ["https://me:hunter2@api.github.com", "hunter2://x", "http://hunter2@127.0.0.1"] {
            let error = Client::new(api, "o/r", None).unwrap_err();
            assert!(!format!("{error:#}").contains("hunter2"), "{error:#}");
        }
    }

    #[test]
    fn plain_http_is_for_this_machine_only() {
        assert!(Client::new("http://127.0.0.1:8080", "o/r", None).is_ok());
        let error = Client::new("http://example.com", "o/r", None).unwrap_err();
        assert_eq!(format!("{error:#}"), "http://example.com would send the token in the clear");
    }

    #[test]
    fn a_repository_is_an_owner_and_a_name() {
        for wrong in ["r", "a/b/c", "/r", "o/", "o/r?x"] {
            assert!(Client::new("https://api.github.com", wrong, None).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_token_shows_in_no_description_of_the_client() {
        assert!(!format!("{:?}", client("https://api.github.com")).contains("secret"));
        assert_eq!(client("https://api.github.com").redact("Bearer ghs_secret!"), "Bearer ***!");
    }

    #[test]
    fn the_page_of_a_release_is_one_of_the_repositorys() {
        let client = client("https://api.github.com");
        for own in ["tag/v1.2.3", "tag/untagged-6de0c0ad5d8d21fe71ff"] {
            let told = format!("https://github.com/o/r/releases/{own}");
            assert_eq!(client.release_page("v1.2.3", &told), told);
        }
        for foreign in [
            "https://github.com.evil.example/o/r/releases/tag/v1.2.3",
            "https://github.com/o/r2/releases/tag/v1.2.3",
            "http://github.com/o/r/releases/tag/v1.2.3",
            "https://github.com/o/r/releases/../../../evil",
            "https://github.com/o/r/releases/tag/v1.2.3) [log in](https://evil.example",
            "javascript:alert(1)",
            "",
        ] {
            assert_eq!(client.release_page("v1+2", foreign), "https://github.com/o/r/releases/tag/v1%2B2");
        }
    }

    #[test]
    fn the_page_of_a_repository_follows_from_what_the_user_named() {
        for (api, page) in [
            ("https://api.github.com", "https://github.com/o/r"),
            ("https://api.octo.ghe.com/", "https://octo.ghe.com/o/r"),
            ("https://git.example.org/api/v3", "https://git.example.org/o/r"),
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080/o/r"),
        ] {
            assert_eq!(Client::new(api, "o/r", None).unwrap().page(), page);
        }
    }
}
