//! `inspect`: every clause holds for a proper artifact, and each can be broken alone.

mod fixtures;

use release_helper::artifact;

#[test]
fn a_proper_artifact_fulfils_every_clause() {
    let contract = fixtures::contract();
    for platform in contract.platforms().filter(|platform| fixtures::has_target(platform)) {
        let bytes = fixtures::artifact(platform);
        let inspection = artifact::inspect(&bytes, platform, &contract, Some(fixtures::VERSION)).unwrap();
        assert!(inspection.holds(), "{}: {:#?}", platform.name, inspection.broken().collect::<Vec<_>>());
    }
}
