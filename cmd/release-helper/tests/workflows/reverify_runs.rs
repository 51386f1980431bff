//! reverify.yml, run on this machine from the file itself.

use serde_json::json;

use crate::release_runs::{TAG, runs};
use crate::runner::{Event, Outcome, Run};
use crate::stand_ins::{Scene, Stage};

/// Releases the tag, and gives back the stage.
fn released() -> Stage {
    let stage = Stage::new(TAG);
    let mut run = Run::new("release.yml", Event::tag(TAG), &stage);
    run.all();
    assert_eq!(run.outcome("finalize-release"), Outcome::Success, "{}", run.log());
    stage
}

#[test]
fn before_the_first_release_there_is_nothing_to_do_and_no_issue() {
    if !runs() {
        return;
    }
    let stage = Stage::of(&Scene::default());
    let mut run = Run::new("reverify.yml", Event::dispatch("main", json!({})), &stage);
    run.all();
    assert_eq!(run.outcome("reverify"), Outcome::Success, "{}", run.log());
    assert_eq!((run.outcome("report"), stage.left("issues")), (Outcome::Skipped, String::new()));
    assert!(run.log().contains("there is no release yet"), "{}", run.log());
}

#[test]
fn a_rate_limited_leg_tells_that_it_could_not_tell_and_opens_no_issue() {
    if !runs() {
        return;
    }
    let mut stage = released();
    stage.limit_the_api();
    let mut run = Run::new("reverify.yml", Event::dispatch("main", json!({})), &stage);
    run.all();
    assert_eq!(run.outcome("reverify"), Outcome::Failure, "{}", run.log());
    assert_eq!((run.outcome("report"), stage.left("issues")), (Outcome::Skipped, String::new()));
    // Each leg wrote its verdict; the stranger's flake came by a way that asks no API.
    let told = run.summary();
    assert_eq!(told.matches("v1.2.3: **unknown** (verify with ").count(), 3, "{told}");
    assert!(told.contains("v1.2.3: **reproduced** (rebuild-published with nix)"), "{told}");
    assert!(run.log().contains("warning: GitHub's API refuses; building git+http"), "{}", run.log());
}

#[test]
fn other_bytes_open_one_issue() {
    if !runs() {
        return;
    }
    let stage = released();
    // Somebody has replaced an asset of a release that is not immutable, and its line in the sums.
    stage.forge("tsuku-dltest-linux-amd64", b"something else");
    let mut run = Run::new("reverify.yml", Event::dispatch("main", json!({})), &stage);
    run.all();
    assert_eq!((run.outcome("reverify"), run.outcome("report")), (Outcome::Failure, Outcome::Success), "{}", run.log());
    assert_eq!(stage.left("issues").matches("The latest release could not be rebuilt bit for bit").count(), 1);
    assert!(run.summary().contains("v1.2.3: **differs**"), "{}", run.summary());
}
