//! `verify` says `reproduced` of a release that is what it should be, and of no other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use release_helper::contract::Contract;
use release_helper::releases::{self, Client, Expectation, Rules, Sums};
use release_helper::verify::{Answer, Options, Published, Rebuilt, Report};
use release_helper::{codesign, digest, files, record, server, source};

const TAG: &str = "v1.2.3";

fn git(directory: &Path, arguments: &[&str]) -> String {
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
struct World {
    repository: tempfile::TempDir,
    rebuilt: Rebuilt,
    commit: String,
}

fn world() -> &'static World {
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

fn options(root: &Path, platforms: &[&str]) -> Options {
    Options {
        tag: TAG.parse().unwrap(),
        platforms: platforms.iter().map(|name| (*name).to_owned()).collect(),
        backend: None,
        root: Some(root.to_owned()),
        commit: None,
        rounds: 0,
    }
}

fn empty() -> Published {
    Published { origin: "a test".into(), files: [].into(), commit: None, clone_url: None, faults: Vec::new() }
}

/// A release that is what it should be: artifacts, build records by another backend, sums.
fn release() -> Published {
    let World { rebuilt, commit, .. } = world();
    let mut published = Published { commit: Some(commit.clone()), ..empty() };
    for artifact in rebuilt.artifacts() {
        published.files.insert(artifact.asset.clone(), artifact.bytes.clone());
    }
    for record in rebuilt.records() {
        let record = record::Record { backend: "another".into(), ..record.clone() };
        published.files.insert(record::name(&record.asset), record.to_bytes().unwrap());
    }
    sum(&mut published);
    published
}

/// Lists the files of `published`, as they are, in its sums.
fn sum(published: &mut Published) {
    published.files.remove("SHA256SUMS");
    let mut sums = Sums::default();
    for (name, bytes) in &published.files {
        sums.insert(name, &digest::sha256(bytes)).unwrap();
    }
    published.files.insert("SHA256SUMS".into(), sums.to_string().into_bytes());
}

fn judge(published: &Published) -> Report {
    world().rebuilt.judge(published).unwrap()
}

/// The reasons given for `platform`, of which `reproduced` must not be said, nor of the release.
fn refusal(published: &Published, platform: &str) -> String {
    let report = judge(published);
    let row = report.platforms.iter().find(|row| row.platform == platform).unwrap();
    assert_eq!(row.verdict, Answer::Differs, "{platform}: {:?} {:?}", row.reasons, report.faults);
    assert_eq!(report.holds(), Some(false));
    assert!(!row.reasons.is_empty());
    row.reasons.join("; ")
}

/// As [`refusal`], of a fault that concerns the whole release.
fn refusal_of_all(published: &Published) -> String {
    let report = judge(published);
    assert!(report.platforms.iter().all(|row| row.verdict != Answer::Reproduced));
    assert_eq!(report.holds(), Some(false));
    report.faults.join("; ")
}

const LINUX: &str = "tsuku-dltest-linux-amd64";
const DARWIN: &str = "tsuku-dltest-darwin-arm64";

#[test]
fn a_true_release_is_reproduced_six_times() {
    let report = judge(&release());
    assert_eq!(report.holds(), Some(true), "{:?}", report.faults);
    assert_eq!(report.platforms.len(), 6);
    assert!(report.platforms.iter().all(|row| row.verdict == Answer::Reproduced && row.published == row.rebuilt));
}

#[test]
fn a_flipped_byte_anywhere_differs_and_its_offset_is_told() {
    let true_release = release();
    for asset in [LINUX, DARWIN] {
        let length = true_release.files[asset].len();
        for offset in (0..length).step_by(length / 40).chain([length - 1]) {
            let mut published = release();
            published.files.get_mut(asset).unwrap()[offset] ^= 1;
            sum(&mut published);
            let reason = refusal(&published, asset.trim_start_matches("tsuku-dltest-"));
            assert!(offset < 8 || reason.contains(&format!("{offset:#x}")), "{asset} {offset:#x}: {reason}");
        }
    }
}

#[test]
fn a_truncated_asset_differs() {
    let mut published = release();
    let bytes = published.files.get_mut(LINUX).unwrap();
    bytes.truncate(bytes.len() - 1);
    sum(&mut published);
    refusal(&published, "linux-amd64");
}

#[test]
fn an_extended_asset_differs() {
    let mut published = release();
    published.files.get_mut(DARWIN).unwrap().push(0);
    sum(&mut published);
    refusal(&published, "darwin-arm64");
}

#[test]
fn swapped_platforms_differ() {
    let mut published = release();
    let arm = published.files["tsuku-dltest-linux-arm64"].clone();
    let amd = published.files.insert(LINUX.into(), arm).unwrap();
    published.files.insert("tsuku-dltest-linux-arm64".into(), amd);
    sum(&mut published);
    refusal(&published, "linux-amd64");
    refusal(&published, "linux-arm64");
}

#[test]
fn an_asset_of_another_version_differs() {
    let mut published = release();
    let bytes = published.files.get_mut(LINUX).unwrap();
    let at = bytes.windows(5).position(|window| window == b"1.2.3").unwrap();
    bytes[at + 4] = b'4';
    sum(&mut published);
    assert!(refusal(&published, "linux-amd64").contains("version"));
}

#[test]
fn another_signing_identifier_differs_and_the_signature_is_named() {
    let mut published = release();
    let bytes = published.files.get_mut(DARWIN).unwrap();
    let signing = codesign::Signing {
        identifier: Some("somebody-else".into()),
        style: codesign::Style::Linker(Some(codesign::Linker::Lld)),
    };
    *bytes = codesign::sign(bytes, &signing).unwrap();
    sum(&mut published);
    assert!(refusal(&published, "darwin-arm64").contains("with the signatures set aside they are the same"));
}

#[test]
fn wrong_sums_are_believed_by_nobody() {
    let mut published = release();
    let text = String::from_utf8(published.files["SHA256SUMS"].clone()).unwrap();
    let true_digest = digest::sha256(&published.files[LINUX]);
    let lie = digest::sha256(b"a lie");
    published.files.insert("SHA256SUMS".into(), text.replace(&true_digest, &lie).into_bytes());
    assert!(refusal(&published, "linux-amd64").contains(&lie));
    assert_eq!(judge(&published).platforms.iter().filter(|row| row.verdict == Answer::Differs).count(), 1);
    published.files.insert("SHA256SUMS".into(), b"not sums at all\n".to_vec());
    assert!(refusal_of_all(&published).contains("SHA256SUMS cannot be read"));
}

#[test]
fn sums_that_leave_an_asset_out_are_no_sums() {
    let mut published = release();
    let bytes = published.files.remove(LINUX).unwrap();
    sum(&mut published);
    published.files.insert(LINUX.into(), bytes);
    assert!(refusal(&published, "linux-amd64").contains("do not list it"));
}

#[test]
fn missing_sums_leave_nothing_reproduced() {
    let mut published = release();
    published.files.remove("SHA256SUMS");
    assert_eq!(refusal_of_all(&published), "SHA256SUMS is missing");
}

#[test]
fn a_missing_asset_is_named() {
    let mut published = release();
    published.files.remove(LINUX);
    sum(&mut published);
    assert!(refusal(&published, "linux-amd64").contains("no such asset"));
    assert!(refusal_of_all(&published).contains(LINUX));
}

#[test]
fn an_extra_asset_is_named() {
    let mut published = release();
    published.files.insert("tsuku-dltest-linux-riscv".into(), vec![1]);
    sum(&mut published);
    assert!(refusal_of_all(&published).contains("tsuku-dltest-linux-riscv does not belong"));
}

#[test]
fn a_page_in_place_of_a_file_is_called_a_page() {
    let mut published = release();
    published.files.insert(LINUX.into(), b"<!DOCTYPE html>\n<html><body>Please log in</body></html>".to_vec());
    sum(&mut published);
    assert!(refusal(&published, "linux-amd64").contains("an HTML page"));
}

#[test]
fn a_tag_that_the_server_moved_after_the_fact_is_noticed() {
    let published = Published { commit: Some("1".repeat(40)), ..release() };
    assert!(refusal_of_all(&published).contains("the tag was moved"));
}

#[test]
fn a_tag_moved_to_a_commit_that_builds_the_same_bytes_is_noticed_by_the_record() {
    let mut published = release();
    for record in world().rebuilt.records() {
        let moved = record::Record { commit: Some("2".repeat(40)), ..record.clone() };
        published.files.insert(record::name(&record.asset), moved.to_bytes().unwrap());
    }
    sum(&mut published);
    assert!(refusal(&published, "linux-amd64").contains("the tag was moved"));
    assert!(judge(&published).platforms.iter().all(|row| row.verdict == Answer::Differs));
}

#[test]
fn a_mismatch_begins_with_what_the_records_say() {
    let mut published = release();
    let record = world().rebuilt.records().iter().find(|record| record.asset == LINUX).unwrap();
    let other = record::Record { linker: "LLD 1.0".into(), ..record.clone() };
    published.files.insert(record::name(LINUX), other.to_bytes().unwrap());
    published.files.get_mut(LINUX).unwrap()[4000] ^= 1;
    sum(&mut published);
    let reason = refusal(&published, "linux-amd64");
    let (record, bytes) = (reason.find("linker was").unwrap(), reason.find("published (A)").unwrap());
    assert!(record < bytes, "{reason}");
}

#[test]
fn the_report_is_one_page_that_loads_nothing() {
    let mut published = release();
    published.files.get_mut(LINUX).unwrap()[4000] ^= 1;
    published.files.insert("<script>alert(1)</script>".into(), vec![1]);
    let html = judge(&published).html();
    assert!(html.contains("<svg") && html.contains("linux-arm64-musl") && !html.contains("<script"));
    assert!(!html.contains("src=") && !html.contains("href=") && !html.contains("@import"));
}

/// A release on the embedded server, as `rehearse` makes it. The directory is the server's.
fn serve() -> (server::Running, tempfile::TempDir) {
    let World { commit, .. } = world();
    let directory = tempfile::tempdir().unwrap();
    let running = server::start(server::Options {
        tags: vec![server::Tag { name: TAG.into(), commit: commit.clone(), message: Some("annotated".into()) }],
        ..server::Options::new(directory.path())
    })
    .unwrap();
    let client = Client::new(running.url(), running.repository(), Some("token")).unwrap();
    let draft = releases::draft(&client, TAG, None).unwrap();
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
fn run(running: &server::Running, arguments: &[&str]) -> (String, i32) {
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

#[test]
fn a_release_on_a_server_is_verified_without_an_account() {
    let (running, _directory) = serve();
    let (text, status) = run(&running, &[]);
    assert_eq!((text.matches(" reproduced  ").count(), status), (6, 0), "{text}");
}

#[test]
fn an_api_that_lies_about_a_digest_is_not_believed() {
    let (running, directory) = serve();
    let bytes = &release().files[LINUX];
    let mut changed = 0;
    let mut folders = vec![directory.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if fs::read(&path).unwrap() == *bytes {
                let mut other = bytes.clone();
                other[4000] ^= 1;
                fs::write(&path, other).unwrap();
                changed += 1;
            }
        }
    }
    assert!(changed > 0, "the server keeps the bytes in another way");
    let (text, status) = run(&running, &["--platform", "linux-amd64"]);
    assert_eq!(status, 1, "{text}");
    assert!(text.contains("the API says its sha256 is") && !text.contains("linux-amd64       reproduced"), "{text}");
}

#[test]
fn a_release_that_is_not_there_could_not_be_told() {
    let (running, _directory) = serve();
    let output = Command::new(env!("CARGO_BIN_EXE_release-helper"))
        .args(["verify", "v9.9.9", "--api-url", running.url(), "--repo", running.repository()])
        .current_dir(world().repository.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("v9.9.9") && told.contains("hint: "), "{told}");
}

#[test]
fn a_tag_that_means_another_commit_locally_is_never_reproduced() {
    let World { repository, commit, .. } = world();
    let clone = tempfile::tempdir().unwrap();
    git(repository.path(), &["clone", "--quiet", ".", clone.path().to_str().unwrap()]);
    git(clone.path(), &["commit", "--quiet", "--allow-empty", "--no-verify", "-m", "moved"]);
    git(clone.path(), &["tag", "--force", TAG]);
    let published = Published { commit: Some(commit.clone()), ..release() };
    let rebuilt = Rebuilt::new(&options(clone.path(), &["linux-amd64"]), &published).unwrap();
    let report = rebuilt.judge(&published).unwrap();
    assert_eq!(report.platforms[0].verdict, Answer::Differs);
    assert!(report.faults[0].contains("the tag was moved"));
}

#[test]
fn without_the_tag_anywhere_it_could_not_be_told() {
    let published = Published { commit: None, ..release() };
    let options = Options { tag: "v7.7.7".parse().unwrap(), ..options(world().repository.path(), &[]) };
    let error = Rebuilt::new(&options, &published).err().unwrap();
    assert!(format!("{error:#}").contains("which commit v7.7.7 is"));
}
