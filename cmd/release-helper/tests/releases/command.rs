//! The subcommands as a job runs them: outputs, summary, exit codes.

use std::process::{Command, Output};

use release_helper::domain::releases;
use release_helper::domain::server::{Plan, Running};

use crate::common::{Place, REPOSITORY, TAG, token};

fn run(place: &Place, server: &Running, arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_release-helper"))
        .args(arguments)
        .env("GITHUB_TOKEN", token())
        .env("GITHUB_REPOSITORY", REPOSITORY)
        .env("GITHUB_API_URL", server.url())
        .env("GITHUB_OUTPUT", place.directory.path().join("output"))
        .env("GITHUB_STEP_SUMMARY", place.directory.path().join("summary"))
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    place.said.lock().unwrap().extend([text(&output.stdout), text(&output.stderr)]);
    output
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn a_job_gets_the_releases_number_as_an_output_and_sums_that_sha256sum_accepts() {
    let place = Place::new();
    let server = place.server(Plan::default());
    let draft = run(&place, &server, &["draft", TAG]);
    assert!(draft.status.success(), "{}", stderr(&draft));
    let id = stdout(&draft).trim().to_owned();
    let outputs = || std::fs::read_to_string(place.directory.path().join("output")).unwrap();
    assert_eq!(outputs(), format!("release_id={id}\npublished=false\n"));
    releases::upload(&place.client(&server), id.parse().unwrap(), &place.files(), &place.rules()).unwrap();
    let records = place.directory.path().join("records");
    std::fs::write(&records, place.records().to_string()).unwrap();
    let finalize = ["finalize", "--release-id", &id, "--records", records.to_str().unwrap()];
    let finalized = run(&place, &server, &finalize);
    assert!(finalized.status.success(), "{}", stderr(&finalized));
    assert!(outputs().contains(&format!("\nurl={}/{REPOSITORY}/releases/tag/{TAG}\n", server.url())), "{}", outputs());
    let into = place.directory.path().join("published");
    let downloaded =
        run(&place, &server, &["download", "--release-id", &id, "--directory", into.to_str().unwrap(), "--json"]);
    let files: serde_json::Value = serde_json::from_slice(&downloaded.stdout).unwrap();
    assert_eq!(files.as_array().unwrap().len(), 7);
    let checked =
        Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(&into).output().unwrap();
    assert!(checked.status.success() && stdout(&checked).lines().count() == 6, "{}", stderr(&checked));
    let summary = std::fs::read_to_string(place.directory.path().join("summary")).unwrap();
    assert!(summary.contains("made a draft") && summary.contains("published"), "{summary}");
    let again = run(&place, &server, &["draft", TAG, "--json"]);
    let again: serde_json::Value = serde_json::from_slice(&again.stdout).unwrap();
    assert_eq!(again["published"], true);
    assert_eq!(place.leaks(), Vec::<String>::new());
}

#[test]
fn misuse_is_told_with_a_hint_and_exit_code_2() {
    let place = Place::new();
    let server = place.server(Plan::default());
    let file = place.files()[0].to_str().unwrap().to_owned();
    for (arguments, words) in [
        (vec!["draft", "1.2.3"], "not a release's tag"),
        (vec!["draft", "v9.9.9"], "git push origin v9.9.9"),
        (vec!["draft", TAG, "--repo", "nonsense"], "owner/name"),
        (vec!["draft", TAG, "--api-url", "http://example.com"], "in the clear"),
        (vec!["draft", TAG, "--api-url", "ftp://example.com"], "not the address of a REST API"),
        (vec!["upload", "--release-id", "1"], "required"),
        (vec!["upload", "--release-id", "1", "/nonexistent"], "cannot read /nonexistent"),
        (vec!["finalize", "--release-id", "1", "--records", &file], "line 1 is not one of sha256sum"),
        (vec!["serve-releases", "--faults", &file], "not a faults file"),
        (vec!["serve-releases", "--listen", "nowhere"], "cannot listen on nowhere"),
    ] {
        let output = run(&place, &server, &arguments);
        let text = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
        assert!(text.contains(words), "{arguments:?}: {text}");
        assert!(output.stdout.is_empty());
    }
    assert_eq!(place.leaks(), Vec::<String>::new());
}

#[test]
fn a_file_that_breaks_the_contract_is_refused_by_upload() {
    let place = Place::new();
    let server = place.server(Plan::default());
    let id = stdout(&run(&place, &server, &["draft", TAG])).trim().to_owned();
    let file = place.file("tsuku-dltest-linux-amd64");
    std::fs::write(&file, vec![0; 1_000_000]).unwrap();
    let output = run(&place, &server, &["upload", "--release-id", &id, file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("breaks the contract: size is 1000000 bytes"), "{}", stderr(&output));
    assert!(place.client(&server).assets(id.parse().unwrap()).unwrap().is_empty());
}
