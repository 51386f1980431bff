//! What can go wrong with a request, by class: try again, or do not.

use std::fmt;
use std::time::Duration;

use serde::Deserialize;

use crate::plumbing::error::Hint;

/// The shortest wait for a rate limit that does not say how long it lasts, as GitHub's documentation asks.
const UNSPECIFIED_LIMIT: Duration = Duration::from_secs(60);

/// Why a request did not give what was asked for.
#[derive(Debug)]
pub struct Failure {
    /// The request, say `POST …/releases`.
    pub request: String,
    /// The class of the failure.
    pub cause: Cause,
    /// `x-github-request-id`, to give to GitHub's support.
    pub request_id: Option<String>,
}

/// The class of a failure.
#[derive(Debug)]
pub enum Cause {
    /// No answer, or half of one: nobody knows whether the request was done.
    Network(String),
    /// The server failed (408, 5xx): nobody knows whether the request was done.
    Server(u16, String, Option<Duration>),
    /// A rate limit: the request was not done, and may be sent again after the wait.
    Limit(u16, String, Duration),
    /// The server will not do it, now or later.
    Refusal(Refusal),
    /// The bytes of an asset are not those it has according to the API.
    Corrupt(String),
    /// Something on this machine: a full disk, an unreadable file.
    Local(String),
    /// This client was stopped before or while sending (the fault campaign's kill).
    Stopped,
}

/// A request that was refused.
#[derive(Debug)]
pub struct Refusal {
    /// The HTTP status; 0 if it was this client that refused.
    pub status: u16,
    /// The server's message.
    pub message: String,
    /// What the server says about single fields.
    pub details: Vec<Detail>,
}

/// What the server says about one field.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Detail {
    /// `already_exists` and so on.
    pub code: String,
    /// The name of the field.
    pub field: String,
    /// A sentence.
    pub message: Option<String>,
}

/// An error body as GitHub sends it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Body {
    message: String,
    errors: Vec<serde_json::Value>,
}

/// The headers that decide about waiting.
#[derive(Default)]
pub(super) struct Waits {
    /// `retry-after`, in seconds.
    pub(super) retry_after: Option<u64>,
    /// `x-ratelimit-remaining`.
    pub(super) remaining: Option<u64>,
    /// `x-ratelimit-reset` minus now.
    pub(super) until_reset: Option<Duration>,
}

impl Cause {
    /// The class of an answer that is not a success; `clean` makes what the server says fit for people.
    pub(super) fn of_answer(status: u16, body: &[u8], waits: &Waits, clean: &dyn Fn(&str) -> String) -> Self {
        let body: Body = serde_json::from_slice(body).unwrap_or_default();
        let message = clean(&body.message);
        let after = waits.retry_after.map(Duration::from_secs);
        // GitHub's order: retry-after, then the reset of an exhausted limit, then a minute.
        let limit = after
            .or(waits.until_reset.filter(|_| waits.remaining == Some(0)))
            .or((status == 429 || message.contains("rate limit")).then_some(UNSPECIFIED_LIMIT));
        match (status, limit) {
            (403 | 429, Some(wait)) => Self::Limit(status, message, wait),
            (408 | 500..=599, _) => Self::Server(status, message, after),
            _ => Self::Refusal(Refusal {
                status,
                message,
                details: body
                    .errors
                    .into_iter()
                    .map(|error| match error {
                        serde_json::Value::String(text) => Detail { message: Some(text), ..Detail::default() },
                        other => serde_json::from_value(other).unwrap_or_default(),
                    })
                    .map(|detail: Detail| Detail {
                        code: clean(&detail.code),
                        field: clean(&detail.field),
                        message: detail.message.map(|message| clean(&message)),
                    })
                    .collect(),
            }),
        }
    }
}

impl Failure {
    /// Whether the same request may succeed later.
    pub fn is_temporary(&self) -> bool {
        !matches!(self.cause, Cause::Refusal(_) | Cause::Local(_) | Cause::Stopped)
    }

    /// Whether the request may have been done although it failed.
    pub fn is_unclear(&self) -> bool {
        matches!(self.cause, Cause::Network(_) | Cause::Server(..))
    }

    /// Whether this client was stopped.
    pub fn is_stopped(&self) -> bool {
        matches!(self.cause, Cause::Stopped)
    }

    /// How long the server asks to wait.
    pub fn wait(&self) -> Option<Duration> {
        match &self.cause {
            Cause::Server(_, _, wait) => *wait,
            Cause::Limit(_, _, wait) => Some(*wait),
            _ => None,
        }
    }

    /// Whether the refusal has this status.
    pub fn is_status(&self, wanted: u16) -> bool {
        matches!(&self.cause, Cause::Refusal(refusal) if refusal.status == wanted)
    }

    /// Whether the refusal says that this exists already.
    pub fn is_already_exists(&self) -> bool {
        matches!(&self.cause, Cause::Refusal(refusal) if refusal.details.iter().any(|detail| detail.code == "already_exists"))
    }

    /// What to do about it, as far as the failure alone tells.
    pub fn advice(&self) -> Option<&'static str> {
        match &self.cause {
            Cause::Refusal(Refusal { status: 401, .. }) => Some(
                "GITHUB_TOKEN is missing, wrong or expired: a job sets it with `env: { GITHUB_TOKEN: ${{ github.token }} }`; \
                 what is published can be read without one",
            ),
            Cause::Refusal(Refusal { status: 403 | 404, .. }) => Some(
                "drafts can be read and written only with `contents: write`; if the token has it, the tag's commit may \
                 change .github/workflows relative to the default branch, which GITHUB_TOKEN may not release: \
                 bring the default branch up to the tag, or use a token with `workflows: write`",
            ),
            Cause::Refusal(Refusal { status: 0, .. }) => Some("mend what is said above"),
            Cause::Refusal(_) => Some("the request is wrong for this release: read the server's message above"),
            _ => None,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answered = |f: &mut fmt::Formatter<'_>, status: u16, message: &str| {
            write!(f, "the server answered {status}")?;
            if message.is_empty() { Ok(()) } else { write!(f, " ({message})") }
        };
        write!(f, "{}: ", self.request)?;
        match &self.cause {
            Cause::Network(reason) => write!(f, "no complete answer ({reason})")?,
            Cause::Server(status, message, _) => answered(f, *status, message)?,
            Cause::Limit(status, message, _) => answered(f, *status, message)?,
            Cause::Corrupt(reason) | Cause::Local(reason) => write!(f, "{reason}")?,
            Cause::Stopped => write!(f, "stopped")?,
            Cause::Refusal(Refusal { status: 0, message, .. }) => write!(f, "{message}")?,
            Cause::Refusal(refusal) => {
                answered(f, refusal.status, &refusal.message)?;
                for detail in &refusal.details {
                    write!(f, ", {} {}", detail.field, detail.code)?;
                    if let Some(message) = &detail.message {
                        write!(f, ": {message}")?;
                    }
                }
            }
        }
        match &self.request_id {
            Some(id) => write!(f, " [request {id}]"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}

/// Turns failures into errors that say what state the release is in and which command continues.
pub(super) trait Explain<T> {
    /// `state` is what the release is like now, `next` the command that continues.
    fn explain(self, state: impl std::fmt::Display, next: impl std::fmt::Display) -> anyhow::Result<T>;
}

impl<T> Explain<T> for Result<T, Failure> {
    fn explain(self, state: impl std::fmt::Display, next: impl std::fmt::Display) -> anyhow::Result<T> {
        self.or_else(|failure| {
            let advice = failure.advice().map(|advice| format!("{advice}; then ")).unwrap_or_default();
            let wait = failure.wait().map(|wait| format!("wait {} s, then ", wait.as_secs())).unwrap_or_default();
            let hint = format!("{advice}{wait}run {next} again: what is done already is kept");
            Err(anyhow::Error::new(failure).context(state.to_string())).hint(hint)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plumbing::foreign;

    fn cause(status: u16, message: &str, waits: &Waits) -> Cause {
        Cause::of_answer(status, format!("{{\"message\":\"{message}\"}}").as_bytes(), waits, &foreign::line)
    }

    #[test]
    fn a_403_without_any_sign_of_a_limit_is_a_refusal() {
        let cause = cause(403, "Resource not accessible by integration", &Waits::default());
        assert!(matches!(cause, Cause::Refusal(Refusal { status: 403, .. })), "{cause:?}");
    }

    #[test]
    fn retry_after_goes_before_the_reset_time_and_that_before_a_minute() {
        let wait = |status, message: &str, waits: Waits| match cause(status, message, &waits) {
            Cause::Limit(_, _, wait) => wait.as_secs(),
            other => panic!("{other:?}"),
        };
        let reset = Some(Duration::from_secs(9));
        assert_eq!(wait(403, "", Waits { retry_after: Some(5), remaining: Some(0), until_reset: reset }), 5);
        assert_eq!(wait(403, "", Waits { retry_after: None, remaining: Some(0), until_reset: reset }), 9);
        assert_eq!(wait(429, "", Waits { retry_after: None, remaining: Some(7), until_reset: reset }), 60);
        assert_eq!(wait(403, "You have exceeded a secondary rate limit", Waits::default()), 60);
    }

    #[test]
    fn server_failures_are_tried_again_and_refusals_are_not() {
        for status in [408, 500, 502, 503, 504] {
            assert!(matches!(cause(status, "", &Waits::default()), Cause::Server(..)), "{status}");
        }
        for status in [301, 400, 401, 404, 409, 422] {
            assert!(matches!(cause(status, "", &Waits::default()), Cause::Refusal(_)), "{status}");
        }
    }

    #[test]
    fn a_body_that_is_no_json_is_no_problem() {
        assert!(matches!(Cause::of_answer(422, b"<html>", &Waits::default(), &foreign::line), Cause::Refusal(_)));
    }
}
