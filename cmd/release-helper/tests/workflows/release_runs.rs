//! release.yml, run on this machine from the file itself.

use std::path::Path;

use release_helper::server::Operation;
use serde_json::{Value, json};

use crate::document::workflow;
use crate::runner::{Event, Mishap, Outcome, REPOSITORY, Run, TOKEN};
use crate::stand_ins::Stage;

const TAG: &str = "v1.2.3";

/// Takes the second half of the file at `path` away.
fn cut_short(path: &Path) {
    let bytes = std::fs::read(path).unwrap();
    std::fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
}

/// Changes the last byte of the file at `path`: in an ELF file a section header, which no clause of the contract reads.
fn flip_a_byte(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// Puts other bytes in the place of an asset of the draft, as whoever has write access can.
fn replace_an_asset(stage: &Stage) {
    let api = format!("{}/repos/{REPOSITORY}/releases", stage.server.url());
    let bearer = format!("Bearer {TOKEN}");
    let releases = ureq::get(&api).header("Authorization", &bearer).call().unwrap().into_body().read_to_vec().unwrap();
    let releases: Value = serde_json::from_slice(&releases).unwrap();
    let assets = releases[0]["assets"].as_array().unwrap();
    let asset = assets.iter().find(|asset| asset["name"] == "tsuku-dltest-linux-amd64").unwrap();
    ureq::delete(asset["url"].as_str().unwrap()).header("Authorization", &bearer).call().unwrap();
    let upload = releases[0]["upload_url"].as_str().unwrap().replace("{?name,label}", "?name=tsuku-dltest-linux-amd64");
    let request =
        ureq::post(&upload).header("Authorization", &bearer).header("Content-Type", "application/octet-stream");
    request.send(&b"something else"[..]).unwrap();
}

/// What a stranger gets from the server at this path.
fn public(stage: &Stage, path: &str) -> Option<Value> {
    let answer = ureq::get(format!("{}/repos/{REPOSITORY}/{path}", stage.server.url())).call();
    serde_json::from_reader(answer.ok()?.body_mut().as_reader()).ok()
}

/// The names of the assets of the published release of `tag`.
fn published(stage: &Stage, tag: &str) -> Option<Vec<String>> {
    let release = public(stage, &format!("releases/tags/{tag}"))?;
    let name = |asset: &Value| asset["name"].as_str().unwrap_or_default().to_owned();
    let mut names: Vec<_> = release["assets"].as_array()?.iter().map(name).collect();
    names.sort();
    Some(names)
}

fn drafts_made(stage: &Stage) -> usize {
    stage
        .server
        .requests()
        .iter()
        .filter(|(operation, status)| *operation == Operation::CreateRelease && *status == 201)
        .count()
}

fn assert_all(run: &Run, expected: Outcome) {
    for job in run.workflow.jobs.keys() {
        assert_eq!(run.outcome(job), expected, "{job}\n{}", run.log());
    }
}

#[test]
fn a_pushed_tag_becomes_a_complete_release_and_a_broken_leg_leaves_a_draft() {
    let release = workflow("release.yml");
    let stage = Stage::new(&[TAG]);
    let mut run = Run::new(&release, Event::tag(TAG), &stage);

    // One artifact is cut short between its build and its inspection.
    run.mishap = Some(Mishap {
        leg: "build-rust (linux-arm64)",
        after: "Collect the artifact and its build record",
        what: |_, workspace| cut_short(&workspace.join("dist/tsuku-dltest-linux-arm64")),
    });
    run.all();
    assert_eq!(run.the("build-rust (linux-arm64)").outcome, Outcome::Failure, "{}", run.log());
    assert_eq!(run.the("build-rust (darwin-arm64)").outcome, Outcome::Success, "{}", run.log());
    for job in ["integration-test", "cross-check", "finalize-release", "verify-published"] {
        assert_eq!(run.outcome(job), Outcome::Skipped, "{job}");
    }
    assert_eq!(published(&stage, TAG), None, "a release with five artifacts must not be seen");
    let summary = run.summary();
    assert!(summary.contains("## `v1.2.3` is not released\n\nNothing is public"), "{summary}");
    assert!(summary.contains("- `build-rust` failed: linux-arm64 in step `inspect`"), "{summary}");

    // "Re-run failed jobs", without the mishap.
    run.mishap = None;
    run.failed();
    assert_all(&run, Outcome::Success);
    assert_eq!(drafts_made(&stage), 1);
    let assets = published(&stage, TAG).expect("it is published");
    let contract = release_helper::contract::Contract::embedded().unwrap();
    let mut expected: Vec<_> = contract.assets().into_iter().chain(contract.attestations()).collect();
    expected.sort();
    assert_eq!(assets, expected);
    let summary = run.summary();
    assert!(summary.contains("## `v1.2.3` is released\n"), "{summary}");
    assert_eq!(summary.lines().filter(|line| line.contains("| fulfilled | yes |")).count(), 6, "{summary}");

    // "Re-run all jobs" of a release that is out: everything is confirmed, nothing is changed.
    run.all();
    assert_all(&run, Outcome::Success);
    assert_eq!(published(&stage, TAG), Some(assets));
    assert_eq!(drafts_made(&stage), 1);

    // The token was used, and no step told it to anybody.
    assert!(!run.log().contains(TOKEN) && !run.summary().contains(TOKEN));
}

#[test]
fn a_byte_that_no_inspection_covers_is_found_by_the_cross_check() {
    let release = workflow("release.yml");
    let stage = Stage::new(&[TAG]);
    let mut run = Run::new(&release, Event::tag(TAG), &stage);
    run.mishap = Some(Mishap {
        leg: "build-rust (linux-arm64)",
        after: "Collect the artifact and its build record",
        what: |_, workspace| flip_a_byte(&workspace.join("dist/tsuku-dltest-linux-arm64")),
    });
    run.all();
    assert_eq!(run.outcome("build-rust"), Outcome::Success, "{}", run.log());
    assert_eq!(run.outcome("cross-check"), Outcome::Failure, "{}", run.log());
    assert_eq!(published(&stage, TAG), None);
    assert!(run.summary().contains("- `cross-check` failed"), "{}", run.summary());
}

#[test]
fn an_asset_replaced_after_the_tests_stops_the_release() {
    let release = workflow("release.yml");
    let stage = Stage::new(&[TAG]);
    let mut run = Run::new(&release, Event::tag(TAG), &stage);
    // Somebody with write access replaces an asset when all tests have passed.
    run.mishap = Some(Mishap {
        leg: "finalize-release",
        after: "Collect what the builders recorded",
        what: |stage, _| replace_an_asset(stage),
    });
    run.all();
    assert_eq!(run.outcome("finalize-release"), Outcome::Failure, "{}", run.log());
    assert!(run.log().contains("its builder recorded"), "{}", run.log());
    assert_eq!(published(&stage, TAG), None);
    assert!(run.summary().contains("could not be finalized"), "{}", run.summary());
}

#[test]
fn a_dry_run_publishes_nothing_and_leaves_its_draft() {
    let release = workflow("release.yml");
    let stage = Stage::new(&[]);
    let mut run = Run::new(&release, Event::dispatch(json!({ "tag": "v1.2.3-dry-run.1" })), &stage);
    run.all();
    for job in ["create-draft-release", "build-rust", "integration-test", "cross-check", "finalize-release", "summary"]
    {
        assert_eq!(run.outcome(job), Outcome::Success, "{job}\n{}", run.log());
    }
    assert_eq!(run.outcome("verify-published"), Outcome::Skipped);
    assert!(run.summary().contains("## Dry run of `v1.2.3-dry-run.1`"), "{}", run.summary());
    assert_eq!(published(&stage, "v1.2.3-dry-run.1"), None);
    assert_eq!(drafts_made(&stage), 1);
}

#[test]
fn a_hostile_tag_is_refused_in_preflight_and_executes_nothing() {
    let release = workflow("release.yml");
    // These are names that git accepts; by hand, anything can be given.
    let pushed = ["v1.0.0$(touch${IFS}$HOME/pwned)", "v1.0.0\";echo", "v1.0.0`touch$IFS$HOME/pwned`", "v1.0.0'||true"];
    let stage = Stage::new(&pushed);
    let by_hand = ["v1.0.0$(touch pwned)", "v1.0.0\";touch pwned", "--help", "", "v1.0.0\ntag=v1.0.0", "v1.2.3"];
    let events = pushed.map(Event::tag).into_iter().chain(by_hand.map(|tag| Event::dispatch(json!({ "tag": tag }))));
    for event in events {
        let mut run = Run::new(&release, event.clone(), &stage);
        run.all();
        let first = run.the("create-draft-release");
        let refused = ("Preflight".to_owned(), Outcome::Failure);
        assert!(first.steps.contains(&refused), "{}: {}", event.ref_name, first.log);
        assert!(!first.left_behind.iter().any(|name| name.contains("pwned")), "{:?}", first.left_behind);
        for job in ["build-rust", "integration-test", "cross-check", "finalize-release", "verify-published"] {
            assert_eq!(run.outcome(job), Outcome::Skipped, "{job}");
        }
        assert!(run.summary().contains("- `create-draft-release` failed"), "{}", run.summary());
    }
    assert_eq!(drafts_made(&stage), 0);
}
