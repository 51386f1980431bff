//! Clients that others wrote, unchanged, against the server: each does all that the table in `docs/releasing.md` says it
//! can do, and says so line by line.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use release_helper::domain::releases;
use release_helper::domain::server::{self, Options, Plan, Running, Tag};

use crate::common::{Place, REPOSITORY, TAG, token};
use crate::skipped::skipped;
use crate::tools;

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/releases/clients").join(name)
}

/// A server with TLS for a repository with one commit, and what a client needs to find it.
struct Stage {
    place: Place,
    server: Running,
}

impl Stage {
    fn new() -> Self {
        Self::with(false)
    }

    fn with(direct_downloads: bool) -> Self {
        let place = Place::new();
        let source = place.directory.path().join("source");
        std::fs::create_dir(&source).unwrap();
        std::fs::write(source.join("README.md"), "the source\n").unwrap();
        let git = |arguments: &[&str]| {
            let mut command = Command::new("git");
            command.arg("-C").arg(&source).args(["-c", "user.name=n", "-c", "user.email=e@example.org"]);
            let output = command.args(arguments).output().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            String::from_utf8(output.stdout).unwrap().trim().to_owned()
        };
        git(&["init", "--quiet"]);
        git(&["add", "."]);
        git(&["commit", "--quiet", "--message", "first"]);
        let commit = git(&["rev-parse", "HEAD"]);
        let server = server::start(Options {
            tls: true,
            tags: vec![Tag { name: TAG.to_owned(), commit: commit.clone(), message: None }],
            head: Some(commit),
            source: Some(source),
            direct_downloads,
            ..Options { directory: place.directory.path().join("a server's"), ..place.options(Plan::default()) }
        });
        Self { server: server.unwrap(), place }
    }

    /// The server's files, as a client is given them.
    fn assets(&self) -> PathBuf {
        let assets = self.place.directory.path().join("assets of a client");
        std::fs::create_dir_all(&assets).unwrap();
        for file in &self.place.files()[..2] {
            std::fs::copy(file, assets.join(file.file_name().unwrap())).unwrap();
        }
        assets
    }

    /// What a client's script did, by the names of the table's rows.
    fn cells(&self, command: &Command) -> BTreeSet<String> {
        // The certificate's path has spaces: the lines that are printed must be quoted.
        let lines = self.server.lines_for_gh("$GITHUB_TOKEN").unwrap();
        let temporary = tempfile::tempdir().unwrap();
        let mut shell = Command::new("bash");
        shell
            .args(["-euc", &format!("{lines}\nexec \"$@\""), "bash"])
            .arg(command.get_program())
            .args(command.get_args());
        if let Some(directory) = command.get_current_dir() {
            shell.current_dir(directory);
        }
        shell
            .env("TMPDIR", temporary.path())
            .env("GITHUB_TOKEN", token())
            .env("NO_PROXY", "127.0.0.1,localhost")
            .env("HOME", temporary.path());
        let output = shell.output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
        told.lines().filter_map(|line| line.strip_prefix("cell: ")).map(str::to_owned).collect()
    }
}

/// What the table in docs/releasing.md says that `client` can do.
fn promised(client: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/releasing.md");
    let text = std::fs::read_to_string(path).unwrap();
    let table: Vec<Vec<&str>> = text
        .lines()
        .skip_while(|line| !line.starts_with("| command | gh"))
        .take_while(|line| line.starts_with('|'))
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    let column = table[0].iter().position(|name| *name == client).expect("the client is in the table");
    table[2..].iter().filter(|row| row[column] == "yes").map(|row| row[0].to_owned()).collect()
}

fn gh(program: &Path, client: &str) {
    let stage = Stage::new();
    let mut command = Command::new("bash");
    command.arg(script("gh.sh")).arg(program).arg(stage.assets());
    assert_eq!(stage.cells(&command), promised(client));
    assert_eq!(stage.place.leaks(), Vec::<String>::new(), "the host of the bytes gets no token");
}

#[test]
fn debians_gh_does_all_that_it_does_on_github() {
    // Whatever version the machine has.
    match Command::new("gh").arg("--version").output() {
        Ok(_) => gh(Path::new("gh"), "gh 2.23"),
        Err(_) => skipped("gh is not installed"),
    }
}

#[test]
fn the_newest_gh_does_all_that_it_does_on_github() {
    match tools::gh() {
        Ok(program) => gh(&program, "gh 2.102"),
        Err(reason) => skipped(&reason),
    }
}

#[test]
fn octokit_makes_and_publishes_a_release() {
    let modules = match tools::octokit() {
        Ok(modules) => modules,
        Err(reason) => return skipped(&reason),
    };
    let stage = Stage::new();
    let mut command = Command::new("node");
    command.arg(script("octokit.mjs")).args([stage.server.url(), REPOSITORY, TAG]).current_dir(modules);
    assert_eq!(stage.cells(&command), promised("Octokit"));
    assert_eq!(stage.place.leaks(), Vec::<String>::new(), "Octokit follows the redirect without the token");
}

#[test]
fn pygithub_makes_and_publishes_a_release() {
    let python = match tools::python() {
        Ok(python) => python,
        Err(reason) => return skipped(&reason),
    };
    // PyGithub follows redirects of downloads only to names below that of the API.
    let stage = Stage::with(true);
    let mut command = Command::new(python);
    command.arg(script("pygithub_release.py")).args([stage.server.url(), REPOSITORY, TAG]);
    command.arg(stage.place.directory.path());
    assert_eq!(stage.cells(&command), promised("PyGithub"));
}

#[test]
fn go_github_makes_and_publishes_a_release() {
    let program = match tools::go_github(&script("go")) {
        Ok(program) => program,
        Err(reason) => return skipped(&reason),
    };
    let stage = Stage::new();
    let mut command = Command::new(program);
    command.args([stage.server.url(), REPOSITORY, TAG]).arg(stage.assets());
    assert_eq!(stage.cells(&command), promised("go-github"));
    assert_eq!(stage.place.leaks(), Vec::<String>::new(), "Go follows the redirect without the token");
}

#[test]
fn curl_and_wget_do_what_people_do_with_them() {
    for client in ["curl", "wget"] {
        if Command::new(client).arg("--version").output().is_err() {
            skipped(&format!("{client} is not installed"));
            continue;
        }
        let stage = Stage::new();
        stage.place.release(&stage.place.client(&stage.server)).unwrap();
        let id = stage.place.client(&stage.server).release_by_tag(TAG).unwrap().id;
        let mut command = Command::new("bash");
        command.arg(script("curl.sh")).args([client, stage.server.url(), REPOSITORY, &id.to_string()]);
        command.arg(stage.place.directory.path().join("dist"));
        assert_eq!(stage.cells(&command), promised(client), "{client}");
    }
}

#[test]
fn a_client_that_does_not_trust_the_certificate_refuses_it_and_one_that_does_reads() {
    let stage = Stage::new();
    let (url, certificate) = stage.server.tls().unwrap();
    let curl = |arguments: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["--silent", "--show-error", "--fail", &format!("{url}/rate_limit")]).args(arguments);
        command.env_remove("SSL_CERT_FILE").output()
    };
    let Ok(refused) = curl(&[]) else { return skipped("curl is not installed") };
    assert_eq!(refused.status.code(), Some(60), "{}", String::from_utf8_lossy(&refused.stderr));
    assert!(curl(&["--cacert", certificate.to_str().unwrap()]).unwrap().status.success());
    let key = std::fs::read_to_string(certificate).unwrap();
    assert!(key.contains("BEGIN CERTIFICATE") && !key.contains("PRIVATE"));
    // The plain protocol on the port for TLS is no way in.
    let host = url.strip_prefix("https://").unwrap();
    assert!(!curl(&[&format!("http://{host}/rate_limit")]).unwrap().status.success());
    let _ = releases::draft(&stage.place.client(&stage.server), TAG, &releases::Notes::default()).unwrap();
}
