//! Who may ask: a page that a browser loaded from elsewhere may not, whatever name it gave this machine; and who may
//! write: whoever has the token.

use std::net::IpAddr;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;

use super::http::{Request, Response};
use super::routes::Operation;
use super::shapes::error;

/// What a client may do.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// See what is published.
    Read,
    /// See drafts, and write.
    Push,
}

/// Decides about requests before anything else does.
pub(super) struct Guard {
    /// The token that may push; none lets any token push.
    pub(super) token: Option<String>,
    /// Where the server listens.
    pub(super) address: IpAddr,
}

impl Guard {
    /// A refusal of a request for a host that is not this one: a name that somebody else's DNS points to this machine
    /// (DNS rebinding) would let a web page read and write here as if it came from here.
    pub(super) fn wrong_host(&self, request: &Request) -> Option<Response> {
        let host = request.header("host").unwrap_or_default();
        (!self.is_own(host)).then(|| error(421, "this server does not serve that host"))
    }

    /// Nobody can point an address or `localhost` elsewhere.
    fn is_own(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
            _ => host,
        };
        let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
        let is_address = name
            .parse::<IpAddr>()
            .is_ok_and(|address| address == self.address || address.is_loopback() || self.address.is_unspecified());
        is_address || name.eq_ignore_ascii_case("localhost")
    }

    /// What the sender of `request` may do; `None` if its token is a wrong one.
    pub(super) fn access(&self, request: &Request) -> Option<Access> {
        match (request.header("authorization"), &self.token) {
            (None, _) => Some(Access::Read),
            (Some(_), None) => Some(Access::Push),
            (Some(given), Some(token)) => {
                let (scheme, given) = given.split_once(' ').unwrap_or_default();
                let given = given.trim();
                let is_right = match scheme.to_ascii_lowercase().as_str() {
                    "bearer" | "token" => given == token,
                    // As `curl --user NAME:TOKEN` and `wget --user` send it.
                    "basic" => BASE64.decode(given).is_ok_and(|pair| {
                        pair.iter().position(|&byte| byte == b':').is_some_and(|at| &pair[at + 1..] == token.as_bytes())
                    }),
                    _ => false,
                };
                is_right.then_some(Access::Push)
            }
        }
    }
}

/// Adds what keeps a browser from taking an answer for more than it is.
pub(super) fn harden(response: Response, operation: Operation) -> Response {
    let policy = match operation {
        Operation::Page => {
            "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
        }
        _ => "default-src 'none'; frame-ancestors 'none'; sandbox",
    };
    response
        .with("content-security-policy", policy)
        .with("x-content-type-options", "nosniff")
        .with("x-frame-options", "deny")
        .with("referrer-policy", "no-referrer")
        .with("cross-origin-resource-policy", "same-origin")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_this_machines_own_names_are_hosts() {
        let guard = |address: &str| Guard { token: None, address: address.parse().unwrap() };
        for host in ["127.0.0.1:80", "127.0.0.1", "localhost:1", "LOCALHOST", "[::1]:80", "127.0.0.2:9"] {
            assert!(guard("127.0.0.1").is_own(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "127.0.0.1.evil.example:80",
            "localhost.evil.example",
            "10.0.0.1",
            "localhost:80:80",
            "localhost.",
        ] {
            assert!(!guard("127.0.0.1").is_own(host), "{host}");
        }
        assert!(guard("0.0.0.0").is_own("10.0.0.1:80") && !guard("0.0.0.0").is_own("rebound.example"));
        assert!(guard("10.0.0.1").is_own("10.0.0.1") && !guard("10.0.0.1").is_own("10.0.0.2"));
    }
}
