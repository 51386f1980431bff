//! Which commit a tag means, and who says so.

use release_helper::jobs::verify::{Answer, Options, Published, Rebuilt};

use crate::common::*;

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
