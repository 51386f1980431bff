//! HTTP/1.1 as far as a release server needs it. Written over `httparse` because fault injection needs the bare
//! connection: to cut it, to stop in the middle of a body, to answer before reading.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

/// A head may be this long: a `ghs_` token alone has some 520 characters.
const MAX_HEAD: u64 = 64 * 1024;
/// A JSON body may be this long; GitHub's limit for a release's notes is 125,000 characters.
const MAX_JSON: u64 = 4 * 1024 * 1024;

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

    /// Whether the client asked to close the connection after the answer.
    pub(super) fn closes(&self) -> bool {
        self.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"))
    }
}

/// A connection and what is left of the body of the request being served.
pub(super) struct Connection {
    reader: BufReader<TcpStream>,
    body_left: u64,
}

impl Connection {
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { reader: BufReader::with_capacity(64 * 1024, stream), body_left: 0 }
    }

    /// The next request's head; `None` when the client is done.
    pub(super) fn next(&mut self) -> io::Result<Option<Request>> {
        let mut head = Vec::new();
        loop {
            let before = head.len();
            let left = MAX_HEAD.saturating_sub(before as u64);
            (&mut self.reader).take(left).read_until(b'\n', &mut head)?;
            let line = &head[before..];
            if line.is_empty() {
                return if head.is_empty() { Ok(None) } else { Err(invalid("the head has no end")) };
            }
            if line == b"\r\n" || line == b"\n" {
                break;
            }
        }
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Request::new(&mut headers);
        parsed.parse(&head).map_err(invalid)?;
        let target = parsed.path.unwrap_or("/");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let request = Request {
            method: parsed.method.unwrap_or_default().to_owned(),
            path: path.to_owned(),
            query: query
                .split('&')
                .filter(|pair| !pair.is_empty())
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(key, value)| (decode(key, true), decode(value, true)))
                .collect(),
            headers: parsed
                .headers
                .iter()
                .map(|header| (header.name.to_ascii_lowercase(), String::from_utf8_lossy(header.value).into_owned()))
                .collect(),
        };
        self.body_left = request.length().unwrap_or(0);
        if request.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue")) {
            self.reader.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
        }
        Ok(Some(request))
    }

    /// The body of the request, to be streamed. An end before the announced length is an error.
    pub(super) fn body(&mut self) -> Body<'_> {
        Body(self)
    }

    /// The whole body of a request that carries JSON.
    pub(super) fn json_body(&mut self) -> io::Result<Vec<u8>> {
        if self.body_left > MAX_JSON {
            return Err(invalid("the body is too long"));
        }
        let mut bytes = Vec::new();
        self.body().read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads away what the handler left of the body, so that the answer reaches a client that is still sending.
    pub(super) fn drain(&mut self) -> io::Result<()> {
        io::copy(&mut self.body(), &mut io::sink()).map(|_| ())
    }

    /// Writes `response`; the connection stays usable.
    pub(super) fn answer(&mut self, response: Response) -> io::Result<()> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", response.status, reason(response.status));
        for (name, value) in &response.headers {
            head += &format!("{name}: {value}\r\n");
        }
        // 204 has neither body nor length (RFC 9110, section 8.6).
        if response.status != 204 {
            head += &format!("content-length: {}\r\n", response.content.length());
        }
        head += "\r\n";
        let stream = self.reader.get_mut();
        match response.content {
            Content::Bytes(bytes) => {
                // One write: one segment on the wire.
                let mut whole = head.into_bytes();
                whole.extend(bytes);
                stream.write_all(&whole)
            }
            Content::Stream(mut reader, length, cut_after) => {
                stream.write_all(head.as_bytes())?;
                let sent = io::copy(&mut reader.by_ref().take(length.min(cut_after)), stream)?;
                if sent < length { Err(invalid("the answer was cut")) } else { Ok(()) }
            }
        }
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

    /// Adds a header.
    pub(super) fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }
}

/// Undoes percent-encoding; in a query `+` is a space.
pub(super) fn decode(text: &str, query: bool) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut position = 0;
    while position < bytes.len() {
        let hex = bytes.get(position + 1..position + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        match (bytes[position], hex.and_then(|pair| u8::from_str_radix(pair, 16).ok())) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                position += 2;
            }
            (b'+', _) if query => decoded.push(b' '),
            (byte, _) => decoded.push(byte),
        }
        position += 1;
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        204 => "No Content",
        302 => "Found",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
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
        assert_eq!(decode("a%2Bb+c", true), "a+b c");
        assert_eq!(decode("a+b%2", false), "a+b%2");
        assert_eq!(decode("%zz%C3%A4", false), "%zzä");
    }
}
