//! A release server that belongs to an attacker: it answers whatever a test wants, to anybody.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use release_helper::domain::releases::{Client, Limits};
use release_helper::jobs::verify::Published;
use release_helper::plumbing::digest;
use serde_json::{Value, json};

use crate::common::*;

pub const REPOSITORY: &str = "o/r";

/// Answers a request by itself: given its path, and the server's address in the path's stead, it writes to the stream
/// and says whether it did.
pub type Answerer = Box<dyn Fn(&str, &str, &mut TcpStream) -> bool + Send + Sync>;

/// What a server says of a release.
pub struct Site {
    pub release: Value,
    pub reference: Value,
    /// What the API says of each asset, and its bytes.
    pub assets: Vec<(Value, Vec<u8>)>,
    pub answerer: Answerer,
    /// What can be cloned from it.
    pub repository: Option<PathBuf>,
}

impl Site {
    /// An honest release.
    pub fn honest() -> Self {
        let release = release();
        let assets = release.files.iter().enumerate().map(|(number, (name, bytes))| asset(number, name, bytes));
        Self {
            release: json!({
                "id": 1, "tag_name": TAG, "name": TAG, "body": "", "draft": false, "prerelease": false,
                "upload_url": "http://127.0.0.1:1/upload{?name,label}",
                "html_url": format!("http://127.0.0.1:1/{REPOSITORY}/releases/tag/{TAG}"), "assets": [],
            }),
            reference: json!({"ref": format!("refs/tags/{TAG}"), "object": {"type": "commit", "sha": world().commit}}),
            assets: assets.collect(),
            answerer: Box::new(|_, _, _| false),
            repository: None,
        }
    }

    /// An honest release, except that requests for which `answerer` says so are answered by it.
    pub fn answering(answerer: impl Fn(&str, &str, &mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        Self { answerer: Box::new(answerer), ..Self::honest() }
    }

    /// An honest release with one more asset.
    pub fn with_asset(name: &str, bytes: &[u8]) -> Self {
        let mut site = Self::honest();
        site.assets.push(asset(site.assets.len(), name, bytes));
        site
    }

    /// What the API says of the asset called `name`.
    pub fn about(&mut self, name: &str) -> &mut Value {
        &mut self.assets.iter_mut().find(|(about, _)| about["name"] == name).unwrap().0
    }

    pub fn serve(self) -> Hostile {
        Hostile::start(self)
    }
}

/// What an honest API says of an asset, and its bytes.
pub fn asset(number: usize, name: &str, bytes: &[u8]) -> (Value, Vec<u8>) {
    let digest = format!("sha256:{}", digest::sha256(bytes));
    (json!({"id": number, "name": name, "size": bytes.len(), "digest": digest, "state": "uploaded"}), bytes.to_vec())
}

/// A running server.
pub struct Hostile {
    pub url: String,
    /// The heads of all requests: the first line and the headers.
    pub requests: Arc<Mutex<Vec<String>>>,
    stopping: Arc<AtomicBool>,
}

impl Hostile {
    fn start(site: Site) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let hostile = Self { url: url.clone(), requests: Arc::default(), stopping: Arc::default() };
        let (requests, stopping, site) = (hostile.requests.clone(), hostile.stopping.clone(), Arc::new(site));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if stopping.load(Ordering::SeqCst) {
                    return;
                }
                let (requests, site, url) = (requests.clone(), site.clone(), url.clone());
                std::thread::spawn(move || serve(&site, &url, stream, &requests));
            }
        });
        hostile
    }

    pub fn client(&self) -> Client {
        Client::new(&self.url, REPOSITORY, None).unwrap().with_limits(Limits::READER).with_report(Arc::new(|_| {}))
    }

    pub fn fetch(&self) -> anyhow::Result<Published> {
        Published::fetch(&self.client(), TAG)
    }

    /// Why the release can't be read at all.
    pub fn refusal(&self) -> String {
        self.fetch().err().map(|error| format!("{error:#}")).expect("it was read")
    }

    /// Runs the program.
    pub fn verify(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_release-helper"));
        command
            .args(["verify", TAG, "--api-url", &self.url, "--repo", REPOSITORY, "--platform", "linux-amd64"])
            .args(arguments)
            .env_remove("GITHUB_TOKEN")
            .env_remove("GITHUB_API_URL")
            .current_dir(world().repository.path());
        command
    }
}

impl Drop for Hostile {
    fn drop(&mut self) {
        self.stopping.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(self.url.trim_start_matches("http://"));
    }
}

fn serve(site: &Site, url: &str, mut stream: TcpStream, requests: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    loop {
        let lines = reader.by_ref().lines();
        let head: Vec<String> = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).collect();
        let Some(path) = head.first().and_then(|line| line.split(' ').nth(1)).map(str::to_owned) else { return };
        requests.lock().unwrap().push(head.join("\n"));
        if (site.answerer)(&path, url, &mut stream) {
            return;
        }
        let git = path.strip_prefix(&format!("/{REPOSITORY}/"));
        if let (Some(path), Some(repository)) = (git, &site.repository) {
            return git_backend(repository, &head, path, reader, &mut stream);
        }
        let Some(path) = path.strip_prefix(&format!("/repos/{REPOSITORY}")) else {
            return answer(&mut stream, "404 Not Found", "", b"{}");
        };
        let list = || Value::Array(site.assets.iter().map(|(about, _)| about.clone()).collect());
        let json = match path.split('?').next().unwrap() {
            "/releases/tags/v1.2.3" => Some(site.release.clone()),
            "/git/ref/tags/v1.2.3" => Some(site.reference.clone()),
            "/releases/1/assets" => Some(list()),
            _ => None,
        };
        let number = path.strip_prefix("/releases/assets/").and_then(|number| number.parse::<usize>().ok());
        match (json, number.and_then(|number| site.assets.get(number))) {
            (Some(json), _) => answer(&mut stream, "200 OK", "", json.to_string().as_bytes()),
            (None, Some((_, bytes))) => answer(&mut stream, "200 OK", "", bytes),
            (None, None) => answer(&mut stream, "404 Not Found", "", b"{\"message\":\"Not Found\"}"),
        }
    }
}

/// Writes a complete answer; `headers` end with `\r\n`. A client that is gone is none of our business.
pub fn answer(stream: &mut TcpStream, status: &str, headers: &str, body: &[u8]) {
    // Some callers close the connection now: a client that meant to use it again would see a reset.
    let head = format!("HTTP/1.1 {status}\r\n{headers}connection: close\r\ncontent-length: {}\r\n\r\n", body.len());
    let _ = stream.write_all(&[head.as_bytes(), body].concat());
}

/// Answers as git's own server does, from the repository at `root`.
fn git_backend(root: &Path, head: &[String], path: &str, body: impl Read, stream: &mut TcpStream) {
    let header = |name: &str| {
        let line = head.iter().find_map(|line| line.split_once(": ").filter(|(own, _)| own.eq_ignore_ascii_case(name)));
        line.map(|(_, value)| value.to_owned()).unwrap_or_default()
    };
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut child = Command::new("git")
        .arg("http-backend")
        .env("GIT_PROJECT_ROOT", root.join(".git"))
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("PATH_INFO", format!("/{path}"))
        .env("QUERY_STRING", query)
        .env("REQUEST_METHOD", head[0].split(' ').next().unwrap())
        .env("CONTENT_TYPE", header("content-type"))
        .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
        .env("GIT_PROTOCOL", header("git-protocol"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let length = header("content-length").parse().unwrap_or(0);
    let mut input = child.stdin.take().unwrap();
    let _ = std::io::copy(&mut body.take(length), &mut input);
    drop(input);
    let output = child.wait_with_output().unwrap().stdout;
    let end = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap();
    let headers = String::from_utf8_lossy(&output[..end + 2]).into_owned();
    let status = headers.lines().find_map(|line| line.strip_prefix("Status: ")).unwrap_or("200 OK").to_owned();
    answer(stream, &status, &format!("{headers}connection: close\r\n"), &output[end + 4..]);
}
