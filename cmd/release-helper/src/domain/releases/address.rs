//! Addresses that somebody else names: read so that they mean one thing only.

/// Percent-encodes a part of a path or query; `+` too, which a server would take for a space.
pub(super) fn encode(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded += &format!("%{byte:02X}");
        }
    }
    encoded
}

/// Host and port of `url`; nothing that could be read in two ways.
pub(super) fn authority(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let is_plain = authority.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
    (["http", "https"].contains(&scheme) && !authority.is_empty() && is_plain).then_some(authority)
}

/// Whether `text` is `owner/name`.
pub(super) fn is_repository(text: &str) -> bool {
    let is_name = |part: &str| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
    };
    text.split('/').count() == 2 && text.split('/').all(is_name)
}

/// Host and port of `url`, to be shown.
pub(super) fn host(url: &str) -> Option<&str> {
    authority(url.trim_end_matches('/'))
}

/// Whether `authority` is this machine, by a name that cannot be anything else.
pub(super) fn is_loopback(authority: &str) -> bool {
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    host == "localhost" || host == "[::1]" || host.parse::<std::net::Ipv4Addr>().is_ok_and(|host| host.is_loopback())
}

/// Whether `url` is at a host of the public internet, over TLS: by a name of several labels, none of them one of an
/// inner network.
pub(super) fn is_public(url: &str) -> bool {
    let host = authority(url).and_then(|authority| authority.split(':').next()).unwrap_or_default();
    let is_name = host.rsplit_once('.').is_some_and(|(_, last)| {
        // No top-level domain begins with a digit: one that does is an address in one of its many forms.
        last.starts_with(|c: char| c.is_ascii_alphabetic()) && !["local", "localhost", "internal"].contains(&last)
    });
    url.starts_with("https://") && is_name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_means_one_host() {
        for (url, host) in [
            ("https://api.github.com", Some("api.github.com")),
            ("https://api.github.com:8443/x?y#z", Some("api.github.com:8443")),
            ("http://[::1]:80?x", Some("[::1]:80")),
            ("https://", None),
            ("https:///x", None),
            ("ftp://example.org", None),
            ("https://me@example.org", None),
            ("https://exa mple.org", None),
            ("example.org", None),
        ] {
            assert_eq!(authority(url), host, "{url}");
        }
        assert_eq!(super::host("https://api.github.com/"), Some("api.github.com"));
    }

    #[test]
    fn this_machine_is_known_by_its_names_and_no_other() {
        for own in ["localhost", "localhost:80", "127.0.0.1:8080", "127.1.2.3", "[::1]:80"] {
            assert!(is_loopback(own), "{own}");
        }
        for other in ["localhost.example.org", "10.0.0.1", "example.org:80", "", "[::2]", "0.0.0.0"] {
            assert!(!is_loopback(other), "{other}");
        }
    }

    #[test]
    fn a_plus_is_encoded() {
        assert_eq!(encode("a+b c/d"), "a%2Bb%20c%2Fd");
    }
}
