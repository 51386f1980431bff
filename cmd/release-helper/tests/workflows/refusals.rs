//! Tags that release.yml refuses, before anything is built or after somebody has moved them.

use serde_json::json;

use crate::release_runs::{TAG, assert_stopped, drafts_made, public, published, runs};
use crate::runner::{Event, Mishap, Outcome, REPOSITORY, Run, TOKEN};
use crate::stand_ins::{Scene, Stage};

const AFTER_PREFLIGHT: [&str; 5] =
    ["build-rust", "integration-test", "finalize-release", "verify-published", "rebuild-published"];

/// Runs release.yml for a pushed tag that preflight must refuse with these words.
fn refused(scene: &Scene, said: &str) {
    let stage = Stage::of(scene);
    let mut run = Run::new("release.yml", Event::tag(TAG), &stage);
    run.all();
    let first = run.the("create-draft-release");
    assert!(first.steps.contains(&("Preflight".to_owned(), Outcome::Failure)), "{}", first.log);
    assert!(first.log.contains(said), "{}", first.log);
    assert_stopped(&run, &AFTER_PREFLIGHT);
    assert_eq!(drafts_made(&stage), 0);
}

#[test]
fn a_tree_that_states_another_version_is_refused() {
    if runs() {
        let scene = Scene { tags: &[TAG], stamped: Some("1.2.2"), ..Scene::default() };
        refused(&scene, "Cargo.toml says version 1.2.2, and the tagged tree's Cargo.lock says version 1.2.2");
    }
}

#[test]
fn a_commit_that_is_not_on_the_default_branch_is_refused() {
    if runs() {
        let scene = Scene { stray_tags: &[TAG], stamped: Some("1.2.3"), ..Scene::default() };
        refused(&scene, "is not on origin/main");
    }
}

#[test]
fn a_commit_whose_required_check_has_not_succeeded_is_refused() {
    if runs() {
        let scene = Scene { tags: &[TAG], stamped: Some("1.2.3"), checked: "failure", ..Scene::default() };
        refused(&scene, "the check all-green of the commit");
    }
}

#[test]
fn an_unstamped_tag_is_released_where_the_repository_allows_it_and_the_notes_say_how_to_rebuild() {
    if !runs() {
        return;
    }
    let stage = Stage::of(&Scene { tags: &[TAG], ..Scene::default() });
    let mut run = Run::new("release.yml", Event::tag(TAG), &stage);
    run.variables = json!({ "ALLOW_UNSTAMPED_TAGS": "true" });
    run.all();
    for job in run.workflow.jobs.keys() {
        assert_eq!(run.outcome(job), Outcome::Success, "{job}\n{}", run.log());
    }
    let notes = public(&stage, &format!("releases/tags/{TAG}")).unwrap()["body"].as_str().unwrap().to_owned();
    assert!(notes.starts_with("What is new\n\nThe tagged tree does not state this version"), "{notes}");
    assert!(notes.contains("`nix run github:tsukumogami/tsuku-dltest/v1.2.3#build -- v1.2.3`"), "{notes}");
    // That line was tried.
    let stranger = &run.the("rebuild-published").log;
    assert!(stranger.contains("not 1.2.3: building with the tag's version injected"), "{stranger}");
    assert_eq!(stranger.lines().filter(|line| line.starts_with("reproduced tsuku-dltest-")).count(), 6, "{stranger}");
}

#[test]
fn a_tag_that_was_moved_after_the_build_is_not_published() {
    if !runs() {
        return;
    }
    let stage = Stage::new(TAG);
    let mut run = Run::new("release.yml", Event::tag(TAG), &stage);
    run.mishap = Some(Mishap {
        leg: "finalize-release",
        after: "Collect what was recorded",
        what: |stage, _| {
            let api = format!("{}/repos/{REPOSITORY}/git/refs", stage.server().url());
            let bearer = format!("Bearer {TOKEN}");
            ureq::delete(format!("{api}/tags/{TAG}")).header("Authorization", &bearer).call().unwrap();
            let body = json!({ "ref": format!("refs/tags/{TAG}"), "sha": "0123456789012345678901234567890123456789" });
            ureq::post(&api).header("Authorization", &bearer).send(&body.to_string()).unwrap();
        },
    });
    run.all();
    assert_eq!(run.outcome("finalize-release"), Outcome::Failure, "{}", run.log());
    let said = "the tag v1.2.3 means the commit 0123456789012345678901234567890123456789 on the server, not ";
    assert!(run.log().contains(said), "{}", run.log());
    assert_eq!(published(&stage, TAG), None);
}

#[test]
fn a_hostile_tag_is_refused_in_preflight_and_executes_nothing() {
    if !runs() {
        return;
    }
    // These are names that git accepts; by hand, anything can be given.
    let pushed = ["v1.0.0$(touch${IFS}$HOME/pwned)", "v1.0.0\";echo", "v1.0.0`touch$IFS$HOME/pwned`", "v1.0.0'||true"];
    let stage = Stage::of(&Scene { tags: &pushed, ..Scene::default() });
    let by_hand = ["v1.0.0$(touch pwned)", "v1.0.0\";touch pwned", "--help", "", "v1.0.0\ntag=v1.0.0", "v1.2.3"];
    let by_hand = by_hand.map(|tag| Event::dispatch("main", json!({ "tag": tag })));
    for event in pushed.map(Event::tag).into_iter().chain(by_hand) {
        let mut run = Run::new("release.yml", event.clone(), &stage);
        run.all();
        let first = run.the("create-draft-release");
        let refused = ("Preflight".to_owned(), Outcome::Failure);
        assert!(first.steps.contains(&refused), "{}: {}", event.ref_name, first.log);
        assert!(!first.left_behind.iter().any(|name| name.contains("pwned")), "{:?}", first.left_behind);
        for job in AFTER_PREFLIGHT {
            assert_eq!(run.outcome(job), Outcome::Skipped, "{job}");
        }
        assert!(run.summary().contains("- `create-draft-release` failed"), "{}", run.summary());
    }
    assert_eq!(drafts_made(&stage), 0);
}
