//! release.yml, run on this machine from the file itself.

use std::path::Path;

use release_helper::domain::server::Operation;
use serde_json::{Value, json};

use crate::document::Names;
use crate::github;
use crate::runner::{Event, Mishap, Outcome, REPOSITORY, Run, TOKEN};
use crate::skipped::skipped;
use crate::stand_ins::{Scene, Stage};

pub const TAG: &str = "v1.2.3";

/// Whether workflows can be run here; if not, the test that asks is reported as skipped.
pub fn runs() -> bool {
    github::available().map_err(|reason| skipped(&reason)).is_ok()
}

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

/// A release of `tag` that was made long ago.
pub fn publish_empty(stage: &Stage, tag: &str) {
    let body = json!({ "tag_name": tag, "make_latest": "true" }).to_string();
    let api = format!("{}/repos/{REPOSITORY}/releases", stage.server().url());
    ureq::post(&api).header("Authorization", format!("Bearer {TOKEN}")).send(&body).unwrap();
}

/// What a stranger gets from the server at this path.
pub fn public(stage: &Stage, path: &str) -> Option<Value> {
    let answer = ureq::get(format!("{}/repos/{REPOSITORY}/{path}", stage.server().url())).call();
    serde_json::from_reader(answer.ok()?.body_mut().as_reader()).ok()
}

/// The names of the assets of the published release of `tag`.
pub fn published(stage: &Stage, tag: &str) -> Option<Vec<String>> {
    let release = public(stage, &format!("releases/tags/{tag}"))?;
    let name = |asset: &Value| asset["name"].as_str().unwrap_or_default().to_owned();
    let mut names: Vec<_> = release["assets"].as_array()?.iter().map(name).collect();
    names.sort();
    Some(names)
}

pub fn drafts_made(stage: &Stage) -> usize {
    stage
        .server()
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

/// Demands that nothing was attested and published, and that these jobs were not reached.
pub fn assert_stopped(run: &Run, skipped: &[&str]) {
    assert_eq!(run.stage.left("attestations"), "", "attested: {}", run.log());
    assert_eq!(published(run.stage, TAG), None, "published: {}", run.log());
    for job in skipped {
        assert_eq!(run.outcome(job), Outcome::Skipped, "{job}\n{}", run.log());
    }
}

const AFTER_BUILDING: [&str; 4] = ["integration-test", "finalize-release", "verify-published", "rebuild-published"];

#[test]
fn a_pushed_tag_becomes_a_complete_release_and_a_broken_leg_leaves_a_draft() {
    if !runs() {
        return;
    }
    let stage = Stage::new(TAG);
    let mut run = Run::new("release.yml", Event::tag(TAG), &stage);

    // One artifact is cut short between its build and its inspection.
    run.mishap = Some(Mishap {
        leg: "build-rust / build (linux-arm64)",
        after: "Collect the artifact and its build record",
        what: |_, workspace| cut_short(&workspace.join("dist/tsuku-dltest-linux-arm64")),
    });
    run.all();
    assert_eq!(run.the("build-rust / build (linux-arm64)").outcome, Outcome::Failure, "{}", run.log());
    assert_eq!(run.the("build-rust / build (darwin-arm64)").outcome, Outcome::Success, "{}", run.log());
    for job in ["test", "cross-check", "attest"] {
        assert_eq!(run.called("build-rust").outcome(job), Outcome::Skipped, "{job}");
    }
    assert_stopped(&run, &AFTER_BUILDING);
    let summary = run.summary();
    assert!(summary.contains("## `v1.2.3` is not released\n\nNothing is public"), "{summary}");
    assert!(summary.contains("- `build` failed: linux-arm64 in step `inspect`"), "{summary}");

    // "Re-run failed jobs", without the mishap.
    run.mishap = None;
    run.failed();
    assert_all(&run, Outcome::Success);
    assert_eq!(drafts_made(&stage), 1);
    let assets = published(&stage, TAG).expect("it is published");
    let contract = release_helper::domain::contract::Contract::embedded().unwrap();
    let mut expected: Vec<_> = contract.assets().into_iter().chain(contract.companions()).collect();
    expected.sort();
    assert_eq!(assets, expected);
    let summary = run.summary();
    assert!(summary.contains("## `v1.2.3` is released\n"), "{summary}");
    assert_eq!(summary.lines().filter(|line| line.contains("| fulfilled | yes |")).count(), 6, "{summary}");
    // A stranger's `nix build` of the tag gave these bytes.
    let stranger = &run.the("rebuild-published").log;
    assert_eq!(stranger.lines().filter(|line| line.starts_with("reproduced tsuku-dltest-")).count(), 6, "{stranger}");
    // One statement, of artifacts and build records.
    assert_eq!(stage.left("attestations").lines().filter(|line| line.contains("  tsuku-dltest-")).count(), 12);

    // "Re-run all jobs" of a release that is out: everything is confirmed, nothing is changed.
    run.all();
    assert_all(&run, Outcome::Success);
    assert_eq!(published(&stage, TAG), Some(assets));
    assert_eq!(drafts_made(&stage), 1);

    // The token was used, and no step told it to anybody.
    assert!(!run.log().contains(TOKEN) && !run.summary().contains(TOKEN));
}

#[test]
fn a_byte_that_no_inspection_covers_is_found_by_the_cross_check_and_nothing_is_attested() {
    if !runs() {
        return;
    }
    let stage = Stage::new(TAG);
    let mut run = Run::new("release.yml", Event::tag(TAG), &stage);
    run.mishap = Some(Mishap {
        leg: "build-rust / build (linux-arm64)",
        after: "Collect the artifact and its build record",
        what: |_, workspace| flip_a_byte(&workspace.join("dist/tsuku-dltest-linux-arm64")),
    });
    run.all();
    let called = run.called("build-rust");
    assert_eq!(called.outcome("build"), Outcome::Success, "{}", run.log());
    assert_eq!(called.outcome("cross-check"), Outcome::Failure, "{}", run.log());
    assert_eq!(called.outcome("attest"), Outcome::Skipped);
    assert_stopped(&run, &AFTER_BUILDING);
    assert!(run.summary().contains("- `cross-check` failed"), "{}", run.summary());
}

#[test]
fn an_artifact_swapped_between_the_jobs_is_refused_by_whoever_takes_it() {
    if !runs() {
        return;
    }
    let stage = Stage::new(TAG);
    let mut run = Run::new("release.yml", Event::tag(TAG), &stage);
    // A job of the run, or whoever has its token, can overwrite what another handed on; not what it told in its outputs.
    run.mishap = Some(Mishap {
        leg: "build-rust / build (linux-amd64)",
        after: "Hand it on",
        what: |stage, _| flip_a_byte(&stage.artifact("tsuku-dltest-linux-amd64", "tsuku-dltest-linux-amd64")),
    });
    run.all();
    let refused = ("Demand the bytes that its builder recorded".to_owned(), Outcome::Failure);
    assert!(run.the("build-rust / test (linux-amd64)").steps.contains(&refused), "{}", run.log());
    assert!(run.log().contains("dist does not hold what was handed on: tsuku-dltest-linux-amd64 has sha256 "));
    assert_eq!(run.called("build-rust").outcome("cross-check"), Outcome::Failure);
    assert_stopped(&run, &AFTER_BUILDING);

    // So with a helper: the jobs with a token do not run another one.
    run.mishap = Some(Mishap {
        leg: "helper",
        after: "Hand it on",
        what: |stage, _| flip_a_byte(&stage.artifact("release-helper", "release-helper")),
    });
    run.all();
    let refused = ("Install it, if it is the one that was compiled".to_owned(), Outcome::Failure);
    assert!(run.the("create-draft-release").steps.contains(&refused), "{}", run.log());
}

#[test]
fn a_test_that_fails_leaves_nothing_attested() {
    if !runs() {
        return;
    }
    let stage = Stage::new(TAG);
    let mut run = Run::new("release.yml", Event::tag(TAG), &stage);
    // The artifact fails when it is run, although its bytes are those that were built.
    run.mishap = Some(Mishap {
        leg: "build-rust / test (linux-amd64)",
        after: "Make it executable",
        what: |_, workspace| {
            std::fs::write(workspace.join("dist/tsuku-dltest-linux-amd64"), "#!/bin/sh\nexit 3\n").unwrap();
        },
    });
    run.all();
    let failed = ("Run it, here and in containers".to_owned(), Outcome::Failure);
    assert!(run.the("build-rust / test (linux-amd64)").steps.contains(&failed), "{}", run.log());
    let called = run.called("build-rust");
    assert_eq!((called.outcome("cross-check"), called.outcome("attest")), (Outcome::Success, Outcome::Skipped));
    assert_stopped(&run, &AFTER_BUILDING);
    assert!(run.summary().contains("- `test` failed: linux-amd64 in step `exercise`"), "{}", run.summary());
}

#[test]
fn an_asset_replaced_after_the_tests_stops_the_release() {
    if !runs() {
        return;
    }
    let stage = Stage::new(TAG);
    let mut run = Run::new("release.yml", Event::tag(TAG), &stage);
    // Somebody with write access replaces an asset when all tests have passed.
    run.mishap = Some(Mishap {
        leg: "finalize-release",
        after: "Collect what was recorded",
        what: |stage, _| stage.forge("tsuku-dltest-linux-amd64", b"something else"),
    });
    run.all();
    assert_eq!(run.outcome("finalize-release"), Outcome::Failure, "{}", run.log());
    assert!(run.log().contains("its builder recorded"), "{}", run.log());
    assert_eq!(published(&stage, TAG), None);
    assert!(run.summary().contains("could not be finalized"), "{}", run.summary());
}

#[test]
fn a_dry_run_from_a_branch_publishes_and_attests_nothing_and_leaves_its_draft() {
    if !runs() {
        return;
    }
    let stage = Stage::of(&Scene::default());
    let event = Event::dispatch("work", json!({ "tag": "v1.2.3-dry-run.1" }));
    let mut run = Run::new("release.yml", event, &stage);
    run.all();
    for job in run.workflow.jobs.keys().filter(|job| !job.ends_with("-published")) {
        assert_eq!(run.outcome(job), Outcome::Success, "{job}\n{}", run.log());
    }
    for job in ["verify-published", "rebuild-published"] {
        assert_eq!(run.outcome(job), Outcome::Skipped, "{job}");
    }
    assert!(run.summary().contains("## Dry run of `v1.2.3-dry-run.1`"), "{}", run.summary());
    assert_eq!(published(&stage, "v1.2.3-dry-run.1"), None);
    assert_eq!((drafts_made(&stage), stage.left("attestations")), (1, String::new()));
    // It waits for nobody: the environment with the reviewers is for a push.
    let environment = run.workflow.jobs["finalize-release"].environment.clone().unwrap();
    let finalize = &run.workflow.jobs["finalize-release"];
    assert_eq!(run.scope(finalize, &Names::new()).fill(&environment).unwrap(), "dry-run");
}

#[test]
fn a_correction_of_an_old_version_does_not_become_the_latest_release() {
    if !runs() {
        return;
    }
    let stage = Stage::of(&Scene { tags: &["v2.0.0", TAG], stamped: Some("1.2.3"), ..Scene::default() });
    publish_empty(&stage, "v2.0.0");
    let mut run = Run::new("release.yml", Event::tag(TAG), &stage);
    run.all();
    assert_all(&run, Outcome::Success);
    assert!(published(&stage, TAG).is_some());
    assert_eq!(public(&stage, "releases/latest").unwrap()["tag_name"], "v2.0.0");
}
