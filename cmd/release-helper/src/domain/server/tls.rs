//! The server's side of a connection: bare, or with TLS under a certificate that the server made for itself.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::plumbing::files;

/// A connection to a client.
pub(super) enum Stream {
    /// As it is.
    Plain(TcpStream),
    /// Encrypted.
    Tls(Box<StreamOwned<ServerConnection, TcpStream>>),
}

/// The server's side of `stream`; the handshake comes with the first read.
pub(super) fn accept(stream: TcpStream, config: Option<&Config>) -> Result<Stream> {
    Ok(match config {
        None => Stream::Plain(stream),
        Some(config) => Stream::Tls(Box::new(StreamOwned::new(ServerConnection::new(config.0.clone())?, stream))),
    })
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(stream) => stream.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Self::Tls(stream) = self {
            // A client that is gone needs no farewell.
            stream.conn.send_close_notify();
            let _ = stream.flush();
        }
    }
}

/// A certificate and its key.
pub(super) struct Config(Arc<ServerConfig>);

impl Config {
    /// Makes a certificate for `names`, and writes it to `path` for clients to trust. It can vouch for no other
    /// certificate, and its key exists only in this process.
    pub(super) fn new(names: Vec<String>, path: &Path) -> Result<Self> {
        let made = rcgen::generate_simple_self_signed(names).context("cannot make a certificate")?;
        files::write(path, pem(made.cert.der()).as_bytes())?;
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der())
            .map_err(|error| anyhow::anyhow!("cannot use the certificate's key: {error}"))?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .context("cannot prepare TLS")?
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)
            .context("cannot use the certificate")?;
        Ok(Self(Arc::new(config)))
    }
}

/// A certificate as text (RFC 7468).
fn pem(der: &[u8]) -> String {
    let digits = BASE64.encode(der);
    let lines: Vec<&str> = digits.as_bytes().chunks(64).filter_map(|line| std::str::from_utf8(line).ok()).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}
