//! A release server that behaves like GitHub's, for rehearsals and tests: the REST shapes and rules of releases,
//! kept in files, with faults on demand. One thread per connection over `std::net`.

mod account;
mod archive;
mod assets;
mod call;
mod conditional;
mod directory;
mod faults;
#[cfg(feature = "graphql")]
mod graphql;
mod guard;
mod http;
mod log;
mod page;
mod refs;
mod releases;
mod routes;
mod serve;
mod shapes;
mod store;
mod tag;
#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "without_tls.rs"]
mod tls;

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};

pub use faults::{Fault, Kind, Plan, Random, next as next_random};
pub use http::Request;
pub use log::{Exchange, Observer};
pub use routes::Operation;
pub use tag::{Check, Tag};

use call::{Server, Site};
use guard::Guard;

use crate::domain::releases::clock::{Clock, Machine};
use crate::plumbing::digest::{hex, sha256};
use crate::plumbing::error::Hint;

/// The repository that is served if none is named.
pub const REPOSITORY: &str = "rehearsal/tsuku-dltest";

/// How to serve.
pub struct Options {
    /// Where the releases are kept.
    pub directory: PathBuf,
    /// Where to listen; port 0 takes any free one.
    pub address: String,
    /// `owner/name`
    pub repository: String,
    /// The token that may push; `None` lets any token push. Without a token, only what is published can be seen.
    pub token: Option<String>,
    /// Tags of the repository beside those kept in the directory.
    pub tags: Vec<Tag>,
    /// The checks of the repository's commits.
    pub checks: Vec<Check>,
    /// The commit that the default branch is at; made up if absent.
    pub head: Option<String>,
    /// The git repository that archives of the source are made of.
    pub source: Option<PathBuf>,
    /// Serve over TLS too, with a certificate of our own in `certificate.pem`.
    pub tls: bool,
    /// Whether published releases are immutable.
    pub immutable: bool,
    /// Serve an asset's bytes directly instead of redirecting to the other host.
    pub direct_downloads: bool,
    /// What goes wrong.
    pub faults: Plan,
    /// The server's clock.
    pub clock: Arc<dyn Clock>,
    /// Sees every exchange.
    pub observer: Option<Observer>,
}

impl Options {
    /// A server for [`REPOSITORY`] on a free port of this machine, without faults.
    pub fn new(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            address: "127.0.0.1:0".to_owned(),
            repository: REPOSITORY.to_owned(),
            token: None,
            tags: Vec::new(),
            checks: Vec::new(),
            head: None,
            source: None,
            tls: false,
            immutable: false,
            direct_downloads: false,
            faults: Plan::default(),
            clock: Arc::new(Machine),
            observer: None,
        }
    }
}

/// A running server; it stops when dropped.
pub struct Running {
    server: Arc<Server>,
    /// Without TLS, and with it if it was asked for.
    sites: Vec<Arc<Site>>,
    certificate: Option<PathBuf>,
    stop: Arc<Stop>,
    addresses: Vec<SocketAddr>,
    threads: Vec<std::thread::JoinHandle<()>>,
}

/// What it takes to stop.
#[derive(Default)]
struct Stop {
    is_stopping: AtomicBool,
    connections: Mutex<HashMap<u64, TcpStream>>,
}

/// A socket that is listened on.
struct Socket {
    listener: TcpListener,
    address: SocketAddr,
    tls: Option<Arc<tls::Config>>,
    site: Arc<Site>,
    is_objects: bool,
}

/// Starts to serve.
pub fn start(options: Options) -> Result<Running> {
    let (listener, address) = listen(&options.address)?;
    let head = options.head.unwrap_or_else(|| sha256(options.repository.as_bytes())[..40].to_owned());
    let store = store::Store::open(&options.directory, &options.tags, &head, options.faults.wants_history())?;
    let (mut sites, mut sockets) = (Vec::new(), Vec::new());
    let certificate = options.tls.then(|| options.directory.join("certificate.pem"));
    let mut add = |listener, address: SocketAddr, tls: Option<Arc<tls::Config>>| -> Result<()> {
        // GitHub's bytes come from another host, too.
        let (objects, objects_address) = listen(&SocketAddr::new(address.ip(), 0).to_string())?;
        let scheme = if tls.is_some() { "https" } else { "http" };
        let site = Arc::new(Site {
            base: format!("{scheme}://{address}"),
            objects: format!("{scheme}://{}:{}", other_name(address.ip()), objects_address.port()),
        });
        sites.push(site.clone());
        sockets.push(Socket { listener, address, tls: tls.clone(), site: site.clone(), is_objects: false });
        sockets.push(Socket { listener: objects, address: objects_address, tls, site, is_objects: true });
        Ok(())
    };
    add(listener, address, None)?;
    if let Some(path) = &certificate {
        let names = vec![address.ip().to_string(), "localhost".to_owned()];
        let (listener, address) = listen(&SocketAddr::new(address.ip(), 0).to_string())?;
        add(listener, address, Some(Arc::new(tls::Config::new(names, path)?)))?;
    }
    let server = Arc::new(Server {
        store,
        log: log::Log::open(&options.directory)?,
        dealer: faults::Dealer::new(options.faults),
        guard: Guard { token: options.token, address: address.ip() },
        checks: options.checks,
        head,
        repository: options.repository,
        source: options.source,
        secret: secret()?,
        immutable: options.immutable,
        direct_downloads: options.direct_downloads,
        clock: options.clock,
        observer: options.observer,
        numbers: AtomicU64::new(0),
    });
    let stop = Arc::new(Stop::default());
    let addresses = sockets.iter().map(|socket| socket.address).collect();
    let threads = sockets
        .into_iter()
        .map(|socket| {
            let (server, stop) = (server.clone(), stop.clone());
            std::thread::spawn(move || accept(&server, &stop, &socket))
        })
        .collect();
    Ok(Running { server, sites, certificate, stop, addresses, threads })
}

/// Something that nobody can guess.
pub fn secret() -> Result<String> {
    let mut bytes = [0; 20];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .context("cannot read random bytes from /dev/urandom")?;
    Ok(hex(&bytes))
}

/// Another name for the host at `address`, if there is one: many clients keep the token on a redirect to another port
/// of the same name.
fn other_name(address: IpAddr) -> String {
    let is_localhost = || {
        let found = ("localhost", 0).to_socket_addrs();
        found.is_ok_and(|mut found| found.any(|found| found.ip() == address))
    };
    if is_localhost() {
        return "localhost".to_owned();
    }
    SocketAddr::new(address, 0).to_string().trim_end_matches(":0").to_owned()
}

impl Running {
    /// The address to give to a client as `GITHUB_API_URL`.
    pub fn url(&self) -> &str {
        &self.sites[0].base
    }

    /// The same with TLS, and the certificate to trust for it.
    pub fn tls(&self) -> Option<(&str, &Path)> {
        Some((&self.sites.get(1)?.base, self.certificate.as_deref()?))
    }

    /// What makes gh use the server with TLS, as three lines for a shell. The token stands in a file of gh's, not in the
    /// environment: gh 2.23 sends that one along to the host it is redirected to. Some versions look it up without the port.
    pub fn lines_for_gh(&self, token: &str) -> Option<String> {
        let (url, certificate) = self.tls()?;
        let certificate = std::path::absolute(certificate).unwrap_or_else(|_| certificate.to_owned());
        let certificate = certificate.display().to_string().replace('\'', r"'\''");
        let host = url.trim_start_matches("https://");
        let entry = r"%s:\n    oauth_token: %s\n    user: rehearsal\n";
        Some(format!(
            "export SSL_CERT_FILE='{certificate}' GH_CONFIG_DIR=\"$(mktemp -d)\"\n\
             export GH_HOST={host} GH_REPO={host}/{repository}\n\
             printf '{entry}' \"$GH_HOST\" \"{token}\" \"${{GH_HOST%:*}}\" \"{token}\" >\"$GH_CONFIG_DIR/hosts.yml\"",
            repository = self.server.repository
        ))
    }

    /// `owner/name` of the served repository.
    pub fn repository(&self) -> &str {
        &self.server.repository
    }

    /// The page of all releases, for a browser.
    pub fn page(&self) -> String {
        format!("{}/{}/releases", self.url(), self.server.repository)
    }

    /// The requests so far, oldest first, as `(operation, status)`.
    pub fn requests(&self) -> Vec<(Operation, u16)> {
        self.server.log.entries().iter().map(|entry| (entry.operation, entry.status)).collect()
    }

    /// Serves until the process ends.
    pub fn wait(mut self) {
        for thread in std::mem::take(&mut self.threads) {
            // A panic in the accepting thread was printed already.
            let _ = thread.join();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.is_stopping.store(true, Ordering::SeqCst);
        for address in &self.addresses {
            // Wakes the thread that accepts.
            let _ = TcpStream::connect(address);
        }
        for thread in std::mem::take(&mut self.threads) {
            let _ = thread.join();
        }
    }
}

fn listen(address: &str) -> Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address)
        .with_context(|| format!("cannot listen on {address}"))
        .hint("choose another address with --listen; port 0 takes any free port")?;
    let address = listener.local_addr().context("cannot read the address of the listening socket")?;
    Ok((listener, address))
}

fn accept(server: &Arc<Server>, stop: &Arc<Stop>, socket: &Socket) {
    let connections = || stop.connections.lock().unwrap_or_else(PoisonError::into_inner);
    let mut threads: Vec<std::thread::JoinHandle<()>> = Vec::new();
    for stream in socket.listener.incoming() {
        if stop.is_stopping.load(Ordering::SeqCst) {
            break;
        }
        threads.retain(|thread| !thread.is_finished());
        // A client that gave up between its connect and our accept is its own problem.
        let Ok(stream) = stream else { continue };
        let _ = stream.set_nodelay(true);
        let number = server.number();
        if let Ok(twin) = stream.try_clone() {
            connections().insert(number, twin);
        }
        let Ok(stream) = tls::accept(stream, socket.tls.as_deref()) else { continue };
        let (server, stop, site, is_objects) = (server.clone(), stop.clone(), socket.site.clone(), socket.is_objects);
        threads.push(std::thread::spawn(move || {
            serve::serve(&server, &site, stream, is_objects);
            stop.connections.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        }));
    }
    // The directory is free for another server only when no connection can write any more.
    for connection in connections().values() {
        let _ = connection.shutdown(Shutdown::Both);
    }
    for thread in threads {
        let _ = thread.join();
    }
}
