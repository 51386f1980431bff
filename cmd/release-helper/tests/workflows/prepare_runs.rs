//! prepare.yml, run on this machine from the file itself.

use serde_json::json;

use crate::release_runs::{TAG, runs};
use crate::runner::{Event, Outcome, Run};
use crate::stand_ins::{Scene, Stage};

/// Asks for `tag`, where the tree states `version`.
fn prepared(version: &'static str, tag: &str, expect: fn(&Run, &Stage)) {
    if !runs() {
        return;
    }
    let stage = Stage::of(&Scene { stamped: Some(version), ..Scene::default() });
    let before = stage.git(&["for-each-ref"]);
    let mut run = Run::new("prepare.yml", Event::dispatch("main", json!({ "tag": tag })), &stage);
    run.all();
    expect(&run, &stage);
    let after = stage.git(&["for-each-ref"]);
    let others: Vec<&str> = after.lines().filter(|line| !line.contains("\trefs/heads/release/")).collect();
    assert_eq!(others.join("\n"), before, "it has touched another branch, or a tag");
}

#[test]
fn a_pull_request_states_the_version_and_what_is_merged_can_be_released() {
    prepared("1.2.2", TAG, |run, stage| {
        for job in ["state-version", "open-pull-request"] {
            assert_eq!(run.outcome(job), Outcome::Success, "{}", run.log());
        }
        let asked = stage.left("prs");
        assert!(asked.starts_with("pr create --base main --head release/v1.2.3 --title release: v1.2.3 "), "{asked}");
        assert!(asked.contains("git push --atomic origin main v1.2.3"), "{asked}");
        let changed = stage.git(&["diff", "--name-only", "main", "release/v1.2.3"]);
        assert_eq!(changed, "CHANGELOG.md\nCargo.lock\ncmd/tsuku-dltest/Cargo.toml");
        let changelog = stage.git(&["show", "release/v1.2.3:CHANGELOG.md"]);
        let headings: Vec<_> = changelog.lines().filter(|line| line.starts_with("## ")).collect();
        assert!(headings[0] == "## [Unreleased]" && headings[1].starts_with("## [1.2.3] - 20"), "{headings:?}");
        assert_eq!(stage.git(&["rev-list", "--count", "main..release/v1.2.3"]), "1");

        // Merged and tagged, it passes what release.yml asks first.
        let place = tempfile::tempdir().unwrap();
        let clone = place.path().join("clone");
        stage.git(&["clone", "--quiet", "--branch", "release/v1.2.3", ".", clone.to_str().unwrap()]);
        let mut preflight = std::process::Command::new(env!("CARGO_BIN_EXE_release-helper"));
        let output =
            preflight.args(["preflight", TAG, "--root"]).arg(&clone).env_remove("GITHUB_OUTPUT").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    });
}

#[test]
fn a_tree_that_states_the_version_already_needs_no_pull_request() {
    prepared("1.2.3", TAG, |run, stage| {
        assert_eq!(run.outcome("open-pull-request"), Outcome::Success, "{}", run.log());
        assert!(run.log().contains("states the version of v1.2.3 already: nothing to do"), "{}", run.log());
        assert_eq!((stage.left("prs"), stage.git(&["branch", "--list", "release/*"])), (String::new(), String::new()));
    });
}

#[test]
fn what_is_no_version_is_refused_before_anything_is_pushed() {
    for tag in ["1.2.3", "v1.2", "v1.2.3-dry-run.1", "--help", "v1.2.3; touch \"$STAGE/prs\""] {
        prepared("1.2.2", tag, |run, stage| {
            assert_eq!(run.outcome("state-version"), Outcome::Failure, "{}", run.log());
            assert_eq!((run.outcome("open-pull-request"), stage.left("prs")), (Outcome::Skipped, String::new()));
            assert_eq!(stage.git(&["branch", "--list", "release/*"]), "");
        });
    }
}
