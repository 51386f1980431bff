//! The server's side of a connection in a helper built without the feature `tls`: bare.

use std::net::TcpStream;
use std::path::Path;

use anyhow::{Result, anyhow};

use crate::plumbing::error::Hint;

/// A connection to a client.
pub(super) type Stream = TcpStream;

/// There is none.
pub(super) enum Config {}

impl Config {
    /// Refuses.
    pub(super) fn new(_: Vec<String>, _: &Path) -> Result<Self> {
        Err(anyhow!("this helper was built without TLS")).hint("use `cargo release-helper` instead of `cargo rehearse`")
    }
}

/// The server's side of `stream`.
pub(super) fn accept(stream: TcpStream, _: Option<&Config>) -> Result<Stream> {
    Ok(stream)
}
