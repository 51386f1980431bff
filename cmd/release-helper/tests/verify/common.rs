//! What the tests share: a repository with the tag, one rebuild of it, and releases made of that.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use release_helper::domain::contract::{Contract, record_name};
use release_helper::domain::releases::{self, Client, Expectation, Rules, Sums};
use release_helper::domain::{record, server, source};
use release_helper::jobs::verify::{Answer, Demands, Options, Published, Rebuilt, Report, Whose};
use release_helper::plumbing::{digest, files};

pub const TAG: &str = "v1.2.3";
/// The repository whose workflow is to attest the artifacts.
pub const ATTESTED: &str = "octo/tsuku-dltest";

pub fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .arg("-C")
        .arg(directory)
        .args([
            "-c",
            "user.name=t",
            "-c",
            "user.email=t@example.org",
            "-c",
            "commit.gpgSign=false",
            "-c",
            "tag.gpgSign=false",
        ])
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// What all tests share: a repository with the tag, and one rebuild of it.
pub struct World {
    pub repository: tempfile::TempDir,
    pub rebuilt: Rebuilt,
    pub commit: String,
}

pub fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let repository = tempfile::Builder::new().prefix("a verifier's clone ").tempdir().unwrap();
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
        source::copy_tracked(&checkout, repository.path()).unwrap();
        git(repository.path(), &["init", "--quiet"]);
        git(repository.path(), &["add", "--all"]);
        git(repository.path(), &["commit", "--quiet", "--no-verify", "-m", "all"]);
        git(repository.path(), &["tag", TAG]);
        let commit = git(repository.path(), &["rev-parse", "HEAD"]);
        let rebuilt = Rebuilt::new(&options(repository.path(), &[]), &empty()).unwrap();
        World { repository, rebuilt, commit }
    })
}

pub fn options(root: &Path, platforms: &[&str]) -> Options {
    Options {
        tag: TAG.parse().unwrap(),
        platforms: platforms.iter().map(|name| (*name).to_owned()).collect(),
        backend: None,
        root: Some(root.to_owned()),
        commit: None,
        rounds: 0,
        attestations: Demands { repository: Some(ATTESTED.into()), ..Demands::default() },
        contract: Whose::Own,
    }
}

pub fn empty() -> Published {
    Published { origin: "a test".into(), files: [].into(), commit: None, repository: None, faults: Vec::new() }
}

/// A release that is what it should be: artifacts, build records by another backend, sums.
pub fn release() -> Published {
    release_of(&world().rebuilt, &world().commit)
}

/// As [`release`], of other artifacts.
pub fn release_of(rebuilt: &Rebuilt, commit: &str) -> Published {
    let mut published = Published { commit: Some(commit.to_owned()), ..empty() };
    for artifact in rebuilt.artifacts() {
        published.files.insert(artifact.asset.clone(), artifact.bytes.clone());
    }
    for record in rebuilt.records() {
        let record = record::Record { backend: "another".into(), ..record.clone() };
        published.files.insert(record_name(&record.asset), record.to_bytes().unwrap());
    }
    sum(&mut published);
    published
}

/// Lists the files of `published`, as they are, in its sums.
pub fn sum(published: &mut Published) {
    published.files.remove("SHA256SUMS");
    let mut sums = Sums::default();
    for (name, bytes) in &published.files {
        sums.insert(name, &digest::sha256(bytes)).unwrap();
    }
    published.files.insert("SHA256SUMS".into(), sums.to_string().into_bytes());
}

pub fn judge(published: &Published) -> Report {
    world().rebuilt.judge(published).unwrap()
}

/// The reasons given for `platform`, of which `reproduced` must not be said, nor of the release.
pub fn refusal(published: &Published, platform: &str) -> String {
    let report = judge(published);
    let row = report.platforms.iter().find(|row| row.platform == platform).unwrap();
    assert_eq!(row.verdict, Answer::Differs, "{platform}: {:?} {:?}", row.reasons, report.faults);
    assert_eq!(report.holds(), Some(false));
    assert!(!row.reasons.is_empty());
    row.reasons.join("; ")
}

/// As [`refusal`], of a fault that concerns the whole release.
pub fn refusal_of_all(published: &Published) -> String {
    let report = judge(published);
    assert!(report.platforms.iter().all(|row| row.verdict != Answer::Reproduced));
    assert_eq!(report.holds(), Some(false));
    report.faults.join("; ")
}

pub const LINUX: &str = "tsuku-dltest-linux-amd64";
pub const DARWIN: &str = "tsuku-dltest-darwin-arm64";

/// A release on the embedded server, as `rehearse` makes it. The directory is the server's.
pub fn serve() -> (server::Running, tempfile::TempDir) {
    let World { commit, .. } = world();
    let directory = tempfile::tempdir().unwrap();
    let running = server::start(server::Options {
        tags: vec![server::Tag { name: TAG.into(), commit: commit.clone(), message: Some("annotated".into()) }],
        ..server::Options::new(directory.path())
    })
    .unwrap();
    let client = Client::new(running.url(), running.repository(), Some("token")).unwrap();
    let draft = releases::draft(&client, TAG, &releases::Notes::default()).unwrap();
    let (files, contract) = (tempfile::tempdir().unwrap(), Contract::embedded().unwrap());
    let mut paths: Vec<PathBuf> = Vec::new();
    for name in contract.assets().iter().filter(|name| **name != contract.sums) {
        paths.push(files.path().join(name));
        files::write(paths.last().unwrap(), &release().files[name]).unwrap();
    }
    releases::upload(&client, draft.id, &paths, &Rules::of(&contract)).unwrap();
    releases::finalize(&client, draft.id, &Expectation::of(&contract, Sums::default())).unwrap();
    (running, directory)
}

/// Runs the program without an account, from a directory of another name.
pub fn run(running: &server::Running, arguments: &[&str]) -> (String, i32) {
    let output = Command::new(env!("CARGO_BIN_EXE_release-helper"))
        .args(["verify", TAG, "--api-url", running.url(), "--repo", running.repository()])
        .args(arguments)
        .env_remove("GITHUB_TOKEN")
        .current_dir(world().repository.path())
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (text, output.status.code().unwrap())
}
