//! What the tests share: a place with six files, a server for it, clients that remember what they said.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use release_helper::domain::contract::Contract;
use release_helper::domain::releases::clock::{Clock, Jumping};
use release_helper::domain::releases::{self, Client, Expectation, Rules, Sums, digest_of_file};
use release_helper::domain::server::{self, Exchange, Observer, Options, Plan, Running, Tag};

/// As long and as odd as a token of 2026: `ghs_<APPID>_<JWT>`, some 520 characters.
pub fn token() -> String {
    format!("ghs_1234567_{}.{}-{}_{}", "eyJ0".repeat(30), "Ab-9".repeat(60), "x_Y".repeat(30), "q".repeat(60))
}

pub const TAG: &str = "v1.2.3";
pub const REPOSITORY: &str = "octo/tsuku-dltest";

/// A temporary directory, in memory where there is such a place: thousands of runs write and sync small files.
pub fn directory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

/// Everything one release needs.
pub struct Place {
    pub directory: tempfile::TempDir,
    pub clock: Arc<Jumping>,
    pub contract: Contract,
    pub exchanges: Arc<Mutex<Vec<Exchange>>>,
    /// What clients said.
    pub said: Arc<Mutex<Vec<String>>>,
}

impl Place {
    pub fn new() -> Self {
        let place = Self {
            directory: directory(),
            clock: Arc::new(Jumping::new()),
            contract: Contract::embedded().unwrap(),
            exchanges: Arc::default(),
            said: Arc::default(),
        };
        std::fs::create_dir(place.directory.path().join("dist")).unwrap();
        for (number, name) in place.names().iter().enumerate() {
            std::fs::write(place.file(name), format!("artifact {number} ").repeat(100 + number)).unwrap();
        }
        place
    }

    /// The assets but the sums.
    pub fn names(&self) -> Vec<String> {
        self.contract.assets().into_iter().filter(|name| *name != self.contract.sums).collect()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join("dist").join(name)
    }

    pub fn files(&self) -> Vec<PathBuf> {
        self.names().iter().map(|name| self.file(name)).collect()
    }

    pub fn options(&self, faults: Plan) -> Options {
        let exchanges = self.exchanges.clone();
        let observer: Observer = Arc::new(move |exchange| exchanges.lock().unwrap().push(exchange.clone()));
        Options {
            repository: REPOSITORY.to_owned(),
            token: Some(token()),
            tags: vec![Tag::annotated(TAG, "What is new in 1.2.3")],
            faults,
            clock: self.clock.clone(),
            observer: Some(observer),
            ..Options::new(&self.directory.path().join("server"))
        }
    }

    pub fn server(&self, faults: Plan) -> Running {
        server::start(self.options(faults)).unwrap()
    }

    pub fn client(&self, server: &Running) -> Client {
        let said = self.said.clone();
        Client::new(server.url(), REPOSITORY, Some(&token()))
            .unwrap()
            .with_clock(self.clock.clone() as Arc<dyn Clock>)
            .with_report(Arc::new(move |text| said.lock().unwrap().push(text.to_owned())))
    }

    /// The contract's names; any content.
    pub fn rules(&self) -> Rules<'_> {
        Rules { names: self.names(), check: Box::new(|_, _| Ok(())) }
    }

    /// The digests of the files as they are now: the builders' records.
    pub fn records(&self) -> Sums {
        let mut records = Sums::default();
        for name in self.names() {
            records.insert(&name, &digest_of_file(&self.file(&name)).unwrap().1).unwrap();
        }
        records
    }

    pub fn expectation(&self) -> Expectation {
        Expectation::of(&self.contract, self.records())
    }

    /// The whole release, step by step; the first error ends it.
    pub fn release(&self, client: &Client) -> anyhow::Result<()> {
        let draft = releases::draft(client, TAG, &releases::Notes::default())?;
        releases::upload(client, draft.id, &self.files(), &self.rules())?;
        releases::finalize(client, draft.id, &self.expectation())?;
        Ok(())
    }

    /// A request made by hand, with the token; gives back the JSON of the answer.
    pub fn raw(&self, server: &Running, method: &str, path: &str, body: &str) -> serde_json::Value {
        let url = format!("{}/repos/{REPOSITORY}{path}", server.url());
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(url)
            .header("authorization", format!("Bearer {}", token()))
            .body(body.to_owned())
            .unwrap();
        let mut answer =
            ureq::Agent::config_builder().http_status_as_error(false).build().new_agent().run(request).unwrap();
        serde_json::from_slice(&answer.body_mut().read_to_vec().unwrap()).unwrap_or_default()
    }

    /// What is wrong with what a server without faults shows now; empty if one release with exactly the right bytes
    /// is published.
    pub fn problems(&self) -> Vec<String> {
        let server = self.server(Plan::default());
        let client = self.client(&server);
        let mut problems = Vec::new();
        let found = client.releases().unwrap();
        if found.len() != 1 {
            problems.push(format!("{} releases", found.len()));
        }
        for release in found {
            if release.draft || release.tag_name != TAG {
                problems.push(format!("release {} for {} is not published", release.id, release.tag_name));
                continue;
            }
            let mut names: Vec<_> = release.assets.iter().map(|asset| asset.name.clone()).collect();
            names.sort();
            let mut wanted = self.contract.assets();
            wanted.sort();
            if names != wanted {
                problems.push(format!("the assets are {names:?}"));
                continue;
            }
            let into = self.directory.path().join("check");
            releases::download(&client, release.id, &into, &[]).unwrap();
            for name in self.names() {
                if std::fs::read(into.join(&name)).unwrap() != std::fs::read(self.file(&name)).unwrap() {
                    problems.push(format!("{name} has other bytes"));
                }
            }
            let sums = std::fs::read_to_string(into.join(&self.contract.sums)).unwrap();
            if sums != self.records().to_string() {
                problems.push(format!("the sums are {sums}"));
            }
            std::fs::remove_dir_all(&into).unwrap();
        }
        problems
    }

    /// Where the token shows although it must not.
    pub fn leaks(&self) -> Vec<String> {
        let token = token();
        let mut leaks: Vec<String> =
            self.said.lock().unwrap().iter().filter(|text| text.contains(&token)).cloned().collect();
        for exchange in self.exchanges.lock().unwrap().iter() {
            let is_foreign = exchange.operation == server::Operation::Object;
            let request = format!("{:?}", exchange.request);
            let in_body = exchange.body.as_ref().is_some_and(|body| body.to_string().contains(&token));
            let in_target = exchange.request.path.contains(&token)
                || exchange.request.query.iter().any(|(_, value)| value.contains(&token));
            if (is_foreign && (request.contains(&token) || exchange.request.header("authorization").is_some()))
                || in_body
                || in_target
            {
                leaks.push(format!("{:?} {}", exchange.operation, exchange.request.path));
            }
        }
        for entry in walk(self.directory.path()) {
            let bytes = std::fs::read(&entry).unwrap_or_default();
            if bytes.windows(token.len()).any(|window| window == token.as_bytes()) {
                leaks.push(entry.display().to_string());
            }
        }
        leaks
    }
}

fn walk(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() { files.extend(walk(&path)) } else { files.push(path) }
    }
    files
}

/// An error as a person sees it.
pub fn shown(error: &anyhow::Error) -> String {
    format!("{error:#}\nhint: {}", release_helper::plumbing::error::hint_of(error).unwrap_or("none"))
}
