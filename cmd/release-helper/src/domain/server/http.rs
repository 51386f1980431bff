//! HTTP/1.1 as far as a release server needs it. Written over `httparse` because fault injection needs the bare
//! connection: to cut it, to stop in the middle of a body, to answer before reading.

use std::io::{self, BufRead, BufReader, Read, Write};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::tls::Stream;

/// A head may be this long: a `ghs_` token alone has some 520 characters.
const MAX_HEAD: u64 = 64 * 1024;
/// A JSON body may be this long; GitHub's limit for a release's notes is 125,000 characters.
const MAX_JSON: u64 = 4 * 1024 * 1024;
/// What stays as it is in a path: RFC 3986's unreserved characters, and the slash.
const PATH: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/').remove(b'+');

/// The head of a request.
#[derive(Clone, Debug)]
pub struct Request {
    /// `GET` and so on.
    pub method: String,
    /// The path as sent, without query.
    pub path: String,
    /// The decoded query.
    pub query: Vec<(String, String)>,
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Whether the connection ends with the answer.
    pub(super) closes: bool,
}

impl Request {
    /// The value of the header `name` (lower case).
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The value of `name` in the query.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The length of the body, if the client said it.
    pub fn length(&self) -> Option<u64> {
        self.header("content-length").and_then(|value| value.trim().parse().ok())
    }

    /// Whether the answer's body is left out.
    pub(super) fn is_head(&self) -> bool {
        self.method == "HEAD"
    }

    /// Whether the body comes in chunks of which only the last tells the length.
    pub(super) fn is_chunked(&self) -> bool {
        self.header("transfer-encoding").is_some()
    }

    /// The path and query, for the log.
    pub(super) fn target(&self) -> String {
        let query: Vec<String> = self.query.iter().map(|(key, value)| format!("{key}={value}")).collect();
        if query.is_empty() { self.path.clone() } else { format!("{}?{}", self.path, query.join("&")) }
    }

    /// Reads a head. In the form for proxies the address names the host (RFC 9112, section 3.2.2).
    fn parse(head: &[u8]) -> io::Result<Self> {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Request::new(&mut headers);
        parsed.parse(head).map_err(invalid)?;
        let mut headers: Vec<(String, String)> = parsed
            .headers
            .iter()
            .map(|header| (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned()))
            .collect();
        let mut target = parsed.path.unwrap_or("/");
        if let Some((_, rest)) = target.split_once("://").filter(|(scheme, _)| !scheme.contains('/')) {
            let (host, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
            headers.retain(|(name, _)| name != "host");
            headers.push(("host".to_owned(), host.to_owned()));
            target = path;
        }
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let says = |word: &str| {
            let mut values = headers.iter().filter(|(name, _)| name == "connection").map(|(_, value)| value);
            values.any(|value| value.split(',').any(|one| one.trim().eq_ignore_ascii_case(word)))
        };
        let closes = says("close") || (parsed.version == Some(0) && !says("keep-alive"));
        let request = Self {
            method: parsed.method.unwrap_or_default().to_owned(),
            path: if path.is_empty() { "/".to_owned() } else { path.to_owned() },
            query: query
                .split('&')
                .filter(|pair| !pair.is_empty())
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(key, value)| (decode(&key.replace('+', " ")), decode(&value.replace('+', " "))))
                .collect(),
            headers,
            closes,
        };
        request.ensure_clear()?;
        Ok(request)
    }

    /// Fails if two readers could disagree about where the body ends, or for which host the request is.
    fn ensure_clear(&self) -> io::Result<()> {
        let count = |wanted: &str| self.headers.iter().filter(|(name, _)| name == wanted).count();
        if count("content-length") > 1 || count("transfer-encoding") > 1 || count("host") != 1 {
            return Err(invalid("one Host, and one length at most"));
        }
        if self.header("content-length").is_some() && (self.length().is_none() || self.is_chunked()) {
            return Err(invalid("Bad Content-Length"));
        }
        Ok(())
    }
}

/// A connection and what is left of the body of the request being served.
pub(super) struct Connection {
    reader: BufReader<Stream>,
    body_left: u64,
}

impl Connection {
    pub(super) fn new(stream: Stream) -> Self {
        Self { reader: BufReader::with_capacity(64 * 1024, stream), body_left: 0 }
    }

    /// The next request's head; `None` when the client is done. A head that makes no sense is `InvalidData`.
    pub(super) fn next(&mut self) -> io::Result<Option<Request>> {
        let mut head = Vec::new();
        loop {
            let before = head.len();
            self.line(&mut head, MAX_HEAD)?;
            let line = &head[before..];
            if line.is_empty() {
                return if head.is_empty() { Ok(None) } else { Err(invalid("the head has no end")) };
            }
            if line == b"\r\n" || line == b"\n" {
                break;
            }
        }
        let request = Request::parse(&head)?;
        self.body_left = request.length().unwrap_or(0);
        if request.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
            self.reader.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        Ok(Some(request))
    }

    /// Adds a line to `text`, which does not grow beyond `limit`.
    fn line(&mut self, text: &mut Vec<u8>, limit: u64) -> io::Result<usize> {
        let left = limit.saturating_sub(text.len() as u64);
        (&mut self.reader).take(left).read_until(b'\n', text)
    }

    /// The body of the request, to be streamed. An end before the announced length is an error.
    pub(super) fn body(&mut self) -> Body<'_> {
        Body(self)
    }

    /// The whole body of a request that carries JSON; `None` if it is too long.
    pub(super) fn json_body(&mut self, request: &Request) -> io::Result<Option<Vec<u8>>> {
        let mut bytes = Vec::new();
        if request.is_chunked() {
            return Ok(self.chunks(&mut bytes)?.then_some(bytes));
        }
        if self.body_left > MAX_JSON {
            return Ok(None);
        }
        self.body().read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }

    /// Reads a body in chunks (RFC 9112, section 7.1); `false` if it is too long.
    fn chunks(&mut self, bytes: &mut Vec<u8>) -> io::Result<bool> {
        loop {
            let mut line = Vec::new();
            self.line(&mut line, 1024)?;
            let line = String::from_utf8_lossy(&line).into_owned();
            let size = line.trim_end().split(';').next().and_then(|size| u64::from_str_radix(size.trim(), 16).ok());
            let size = size.ok_or_else(|| invalid("a chunk has no length"))?;
            if size.saturating_add(bytes.len() as u64) > MAX_JSON {
                return Ok(false);
            }
            self.body_left = size;
            self.body().read_to_end(bytes)?;
            // The line after a chunk's bytes is empty; after the last one there may be trailers.
            let mut end = Vec::new();
            while self.line(&mut end, 1024)? > 2 && size == 0 {
                end.clear();
            }
            if size == 0 {
                return Ok(true);
            }
        }
    }

    /// Reads away what the handler left of the body, so that the answer reaches a client that is still sending.
    pub(super) fn drain(&mut self) -> io::Result<()> {
        io::copy(&mut self.body(), &mut io::sink()).map(|_| ())
    }

    /// Writes `response`, without its body if `is_head`; the connection stays usable.
    pub(super) fn answer(&mut self, response: Response, is_head: bool) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", response.status, reason(response.status));
        for (name, value) in &response.headers {
            // Whatever a client stored, it adds no line to the head of another's answer.
            let value: String = value.chars().filter(|character| !character.is_control()).collect();
            head += &format!("{name}: {value}\r\n");
        }
        // 204 has neither body nor length (RFC 9110, section 8.6), 304 no body.
        let has_body = ![204, 304].contains(&response.status);
        if has_body {
            head += &format!("content-length: {}\r\n", response.content.length());
        }
        head += "\r\n";
        let stream = self.reader.get_mut();
        match response.content {
            _ if is_head || !has_body => stream.write_all(head.as_bytes())?,
            Content::Bytes(bytes) => {
                // One write: one segment on the wire.
                let mut whole = head.into_bytes();
                whole.extend(bytes);
                stream.write_all(&whole)?;
            }
            Content::Stream(mut reader, length, cut_after) => {
                stream.write_all(head.as_bytes())?;
                let sent = io::copy(&mut reader.by_ref().take(length.min(cut_after)), stream)?;
                if sent < length {
                    return Err(invalid("the answer was cut"));
                }
            }
        }
        stream.flush()
    }
}

/// Streams the body of a request.
pub(super) struct Body<'a>(&'a mut Connection);

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let want = usize::try_from(self.0.body_left).unwrap_or(usize::MAX).min(buffer.len());
        if want == 0 {
            return Ok(0);
        }
        let got = self.0.reader.read(&mut buffer[..want])?;
        if got == 0 {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the client went away while sending"));
        }
        self.0.body_left -= got as u64;
        Ok(got)
    }
}

/// An answer.
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) content: Content,
}

/// The body of an answer.
pub(super) enum Content {
    /// In memory.
    Bytes(Vec<u8>),
    /// From a file: its announced length, and the number of bytes after which to cut the connection.
    Stream(Box<dyn Read>, u64, u64),
}

impl Content {
    fn length(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Stream(_, length, _) => *length,
        }
    }
}

impl Response {
    /// An answer without body.
    pub(super) fn empty(status: u16) -> Self {
        Self { status, headers: Vec::new(), content: Content::Bytes(Vec::new()) }
    }

    /// An answer with JSON in it.
    pub(super) fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::bytes(status, "application/json; charset=utf-8", value.to_string().into_bytes())
    }

    /// An answer with bytes of the given type.
    pub(super) fn bytes(status: u16, content_type: &str, bytes: Vec<u8>) -> Self {
        Self { status, headers: vec![("content-type", content_type.to_owned())], content: Content::Bytes(bytes) }
    }

    /// The way to another address.
    pub(super) fn redirect(location: impl ToString) -> Self {
        Self::empty(302).with("location", location)
    }

    /// Adds a header.
    pub(super) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    /// Adds a header unless there is one of that name.
    pub(super) fn with_default(self, name: &'static str, value: impl ToString) -> Self {
        if self.headers.iter().any(|(known, _)| *known == name) { self } else { self.with(name, value) }
    }
}

/// Undoes percent-encoding; what is none stays.
pub(super) fn decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// `text` as part of a path; slashes stay.
pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, &PATH).to_string()
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        206 => "Partial Content",
        302 => "Found",
        304 => "Not Modified",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        416 => "Range Not Satisfiable",
        421 => "Misdirected Request",
        422 => "Unprocessable Entity",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "Status",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_encoding_is_undone_and_a_broken_one_stays() {
        assert_eq!(decode("a%2Bb+c"), "a+b+c");
        assert_eq!(decode("a+b%2"), "a+b%2");
        assert_eq!(decode("%zz%C3%A4"), "%zzä");
        assert_eq!(encode("v1.2.3/a b#ä+"), "v1.2.3/a%20b%23%C3%A4+");
    }

    #[test]
    fn a_plus_is_a_space_in_a_query_and_the_address_for_a_proxy_names_the_host() {
        let request = Request::parse(b"GET http://a:1/p?x=1+%2B&y HTTP/1.1\r\nHost: b\r\n\r\n").unwrap();
        assert_eq!((request.path.as_str(), request.header("host")), ("/p", Some("a:1")));
        assert_eq!((request.parameter("x"), request.parameter("y")), (Some("1 +"), Some("")));
    }

    #[test]
    fn a_head_that_can_be_read_in_two_ways_is_refused() {
        for lines in [
            "Content-Length: 1\r\n",
            "Host: a\r\nHost: b\r\n",
            "Host: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n",
            "Host: a\r\nContent-Length: -1\r\n",
            "Host: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n",
        ] {
            assert!(Request::parse(format!("GET / HTTP/1.1\r\n{lines}\r\n").as_bytes()).is_err(), "{lines}");
        }
    }
}
