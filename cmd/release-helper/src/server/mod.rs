//! A release server that behaves like GitHub's, for rehearsals and tests: the REST shapes and rules of releases,
//! kept in files, with faults on demand. One thread per connection over `std::net`.

mod assets;
mod faults;
mod http;
mod page;
mod releases;
mod routes;
mod serve;
mod shapes;
mod store;

use std::collections::HashMap;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

pub use faults::{Fault, Kind, Plan, Random, next as next_random};
pub use http::Request;
pub use routes::Operation;
pub use serve::Exchange;

use crate::digest::sha256;
use crate::error::Hint;
use crate::files;
use crate::releases::clock::{Clock, Machine};

/// The repository that is served if none is named.
pub const REPOSITORY: &str = "rehearsal/tsuku-dltest";

/// A git tag of the served repository.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Tag {
    /// `v1.2.3`
    pub name: String,
    /// The commit it means, 40 hexadecimal digits.
    pub commit: String,
    /// The message of an annotated tag.
    pub message: Option<String>,
}

impl Tag {
    /// A lightweight tag with a made-up commit.
    pub fn lightweight(name: &str) -> Self {
        Self { name: name.to_owned(), commit: sha256(name.as_bytes())[..40].to_owned(), message: None }
    }

    /// An annotated tag with a made-up commit.
    pub fn annotated(name: &str, message: &str) -> Self {
        Self { message: Some(message.to_owned()), ..Self::lightweight(name) }
    }

    /// What the reference points to: the tag object of an annotated tag, else the commit.
    fn object(&self) -> String {
        match &self.message {
            Some(message) => sha256(format!("{}\0{message}", self.commit).as_bytes())[..40].to_owned(),
            None => self.commit.clone(),
        }
    }
}

/// A check that some workflow has made of a commit.
#[derive(Clone, Debug)]
pub struct Check {
    /// The commit, 40 hexadecimal digits.
    pub commit: String,
    /// The job's name.
    pub name: String,
    /// `success`, `failure` and so on; none while it runs.
    pub conclusion: Option<String>,
}

/// Sees every request and its answer.
pub type Observer = Arc<dyn Fn(&Exchange) + Send + Sync>;

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
            immutable: false,
            direct_downloads: false,
            faults: Plan::default(),
            clock: Arc::new(Machine),
            observer: None,
        }
    }
}

/// What all connections share.
struct Server {
    store: store::Store,
    log: serve::Log,
    dealer: faults::Dealer,
    repository: String,
    token: Option<String>,
    checks: Vec<Check>,
    immutable: bool,
    direct_downloads: bool,
    clock: Arc<dyn Clock>,
    observer: Option<Observer>,
    /// `http://127.0.0.1:1234`
    base: String,
    /// The same for the host that serves the bytes of assets.
    objects: String,
    stopping: AtomicBool,
    connections: Mutex<HashMap<u64, TcpStream>>,
    next_connection: AtomicU64,
}

/// A running server; it stops when dropped.
pub struct Running {
    server: Arc<Server>,
    addresses: [SocketAddr; 2],
    threads: Vec<std::thread::JoinHandle<()>>,
}

/// Starts to serve.
pub fn start(options: Options) -> Result<Running> {
    let listener = listen(&options.address)?;
    let address = listener.local_addr().context("cannot read the address of the listening socket")?;
    // Another port is another host to a client: GitHub's bytes come from another host too.
    let objects_listener = listen(&SocketAddr::new(address.ip(), 0).to_string())?;
    let objects_address = objects_listener.local_addr().context("cannot read the address of the listening socket")?;
    files::create_dir(&options.directory)?;
    let server = Arc::new(Server {
        store: store::Store::open(&options.directory, &options.tags, options.faults.wants_history())?,
        log: serve::Log::open(&options.directory)?,
        dealer: faults::Dealer::new(options.faults),
        repository: options.repository,
        token: options.token,
        checks: options.checks,
        immutable: options.immutable,
        direct_downloads: options.direct_downloads,
        clock: options.clock,
        observer: options.observer,
        base: format!("http://{address}"),
        objects: format!("http://{objects_address}"),
        stopping: AtomicBool::new(false),
        connections: Mutex::default(),
        next_connection: AtomicU64::new(0),
    });
    let threads = [(listener, false), (objects_listener, true)]
        .into_iter()
        .map(|(listener, is_objects)| {
            let server = server.clone();
            std::thread::spawn(move || accept(&server, &listener, is_objects))
        })
        .collect();
    Ok(Running { server, addresses: [address, objects_address], threads })
}

impl Running {
    /// The address to give to a client as `GITHUB_API_URL`.
    pub fn url(&self) -> &str {
        &self.server.base
    }

    /// `owner/name` of the served repository.
    pub fn repository(&self) -> &str {
        &self.server.repository
    }

    /// The page of all releases, for a browser.
    pub fn page(&self) -> String {
        format!("{}/{}/releases", self.server.base, self.server.repository)
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
        self.server.stopping.store(true, Ordering::SeqCst);
        for address in self.addresses {
            // Wakes the thread that accepts.
            let _ = TcpStream::connect(address);
        }
        for thread in std::mem::take(&mut self.threads) {
            let _ = thread.join();
        }
    }
}

fn listen(address: &str) -> Result<TcpListener> {
    TcpListener::bind(address)
        .with_context(|| format!("cannot listen on {address}"))
        .hint("choose another address with --listen; port 0 takes any free port")
}

fn accept(server: &Arc<Server>, listener: &TcpListener, is_objects: bool) {
    let mut threads: Vec<std::thread::JoinHandle<()>> = Vec::new();
    for stream in listener.incoming() {
        if server.stopping.load(Ordering::SeqCst) {
            break;
        }
        threads.retain(|thread| !thread.is_finished());
        // A client that gave up between its connect and our accept is its own problem.
        let Ok(stream) = stream else { continue };
        let _ = stream.set_nodelay(true);
        let number = server.next_connection.fetch_add(1, Ordering::Relaxed);
        if let Ok(twin) = stream.try_clone() {
            server.connections.lock().unwrap_or_else(PoisonError::into_inner).insert(number, twin);
        }
        let server = server.clone();
        threads.push(std::thread::spawn(move || {
            serve::serve(&server, stream, is_objects);
            server.connections.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
        }));
    }
    // The directory is free for another server only when no connection can write any more.
    for connection in server.connections.lock().unwrap_or_else(PoisonError::into_inner).values() {
        let _ = connection.shutdown(Shutdown::Both);
    }
    for thread in threads {
        let _ = thread.join();
    }
}
