//! Answers that depend on what the client has already (RFC 9110, sections 13 and 14): `curl -C -`, `wget -c` and
//! `wget -N`, and clients that keep GitHub's ETags.

use super::http::{Content, Request, Response};
use crate::plumbing::digest::sha256;

/// Which bytes of a whole a client wants.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// All of them.
    Whole,
    /// From the first up to the second, which is not included.
    Range(u64, u64),
    /// Bytes that there are not.
    Nowhere,
}

/// What `request` wants of `size` bytes whose state has this tag and date. More than one range is answered with the
/// whole, as cloud storage does.
pub(super) fn part(request: &Request, size: u64, tag: &str, date: &str) -> Part {
    let Some(range) = request.header("range").and_then(|range| range.trim().strip_prefix("bytes=")) else {
        return Part::Whole;
    };
    if request.header("if-range").is_some_and(|state| state != tag && state != date) {
        return Part::Whole;
    }
    let Some((first, last)) = range.split_once('-').filter(|_| !range.contains(',')) else { return Part::Whole };
    let (start, end) = match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        (Ok(start), Ok(end)) if start <= end => (start, end.saturating_add(1).min(size)),
        (Ok(start), Err(_)) if last.trim().is_empty() => (start, size),
        (Err(_), Ok(length)) if first.trim().is_empty() && length > 0 => (size.saturating_sub(length), size),
        (Err(_), Ok(0)) if first.trim().is_empty() => return Part::Nowhere,
        _ => return Part::Whole,
    };
    if start < size { Part::Range(start, end) } else { Part::Nowhere }
}

/// `response`, or 304 if the client has it already. JSON gets a tag here, files have theirs.
pub(super) fn revalidate(request: &Request, mut response: Response) -> Response {
    let is_reading = request.is_head() || request.method == "GET";
    if !is_reading || response.status != 200 {
        return response;
    }
    if let Content::Bytes(bytes) = &response.content {
        let tag = format!("W/\"{}\"", sha256(bytes));
        response = response.with_default("etag", tag);
    }
    let header = |wanted: &str| response.headers.iter().find(|(name, _)| *name == wanted).map(|(_, value)| value);
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    let is_known = match (request.header("if-none-match"), request.header("if-modified-since")) {
        (Some(known), _) => {
            let tag = header("etag").map(|tag| bare(tag));
            known.split(',').any(|known| known.trim() == "*" || Some(bare(known)) == tag)
        }
        // The date that was given out, sent back: no clock has to be compared.
        (None, Some(date)) => header("last-modified").is_some_and(|changed| changed == date),
        (None, None) => false,
    };
    if is_known {
        let kept = ["etag", "last-modified"];
        response.headers.retain(|(name, _)| kept.contains(name));
        return Response { status: 304, content: Content::Bytes(Vec::new()), ..response };
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asking(headers: &[(&str, &str)]) -> Request {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Request { method: "GET".to_owned(), path: "/".to_owned(), query: Vec::new(), headers, closes: false }
    }

    #[test]
    fn ranges_are_those_of_rfc_9110() {
        let wanted = |range: &str| part(&asking(&[("range", range)]), 100, "\"t\"", "d");
        assert_eq!(wanted("bytes=0-9"), Part::Range(0, 10));
        assert_eq!(wanted("bytes=90-"), Part::Range(90, 100));
        assert_eq!(wanted("bytes=90-1000"), Part::Range(90, 100));
        assert_eq!(wanted("bytes=-5"), Part::Range(95, 100));
        assert_eq!(wanted("bytes=-500"), Part::Range(0, 100));
        for nowhere in ["bytes=100-", "bytes=-0", "bytes=18446744073709551615-"] {
            assert_eq!(wanted(nowhere), Part::Nowhere, "{nowhere}");
        }
        for whole in ["bytes=9-0", "bytes=0-1,3-4", "bytes=x", "bytes=-", "lines=0-1", "bytes=99999999999999999999-"] {
            assert_eq!(wanted(whole), Part::Whole, "{whole}");
        }
    }

    #[test]
    fn a_range_of_another_state_is_not_served() {
        let wanted = |state: &str| part(&asking(&[("range", "bytes=1-"), ("if-range", state)]), 9, "\"t\"", "d");
        assert_eq!(
            (wanted("\"t\""), wanted("d"), wanted("\"u\"")),
            (Part::Range(1, 9), Part::Range(1, 9), Part::Whole)
        );
    }

    #[test]
    fn what_the_client_has_is_not_sent_again() {
        let json = || Response::json(200, &serde_json::json!({ "a": 1 }));
        let tag = revalidate(&asking(&[]), json()).headers.iter().find(|(name, _)| *name == "etag").unwrap().1.clone();
        let status = |name: &str, value: &str| revalidate(&asking(&[(name, value)]), json()).status;
        assert_eq!(status("if-none-match", &tag), 304);
        assert_eq!(status("if-none-match", &format!("\"x\", {}", tag.trim_start_matches("W/"))), 304);
        assert_eq!(status("if-none-match", "\"x\""), 200);
        assert_eq!(status("if-modified-since", "Tue, 24 Nov 2026 17:33:43 GMT"), 200);
    }
}
