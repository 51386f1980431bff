//! What `finalize` is told about the release it is to publish: others' assets, the tag's commit, newer versions.

use release_helper::domain::releases::clock::Clock;
use release_helper::domain::releases::{self, Expectation};
use release_helper::domain::server::{Plan, Running, Tag};

use crate::common::{Place, TAG, token};

/// A draft with all assets, and one of somebody else.
fn shared_draft(place: &Place, server: &Running) -> u64 {
    let client = place.client(server);
    let id = releases::draft(&client, TAG, &releases::Notes::default()).unwrap().id;
    std::fs::write(place.file("others.txt"), "somebody else's").unwrap();
    let mut rules = place.rules();
    rules.names.push("others.txt".to_owned());
    let mut files = place.files();
    files.push(place.file("others.txt"));
    releases::upload(&client, id, &files, &rules).unwrap();
    id
}

fn shown(error: &anyhow::Error) -> String {
    format!("{error:#}")
}

#[test]
fn a_foreign_asset_is_refused_at_once() {
    let place = Place::new();
    let server = place.server(Plan::default());
    let id = shared_draft(&place, &server);
    let before = place.clock.now();
    let error = releases::finalize(&place.client(&server), id, &place.expectation()).unwrap_err();
    assert!(shown(&error).ends_with("others.txt does not belong here"), "{}", shown(&error));
    assert_eq!(place.clock.now(), before, "no wait makes somebody else's asset go away");
}

#[test]
fn among_others_the_own_names_are_exact_and_no_other_is_touched_or_summed() {
    let place = Place::new();
    let server = place.server(Plan::default());
    let id = shared_draft(&place, &server);
    let client = place.client(&server);
    let others = client.assets(id).unwrap().into_iter().find(|asset| asset.name == "others.txt").unwrap();
    let expected = || Expectation { among_others: true, ..place.expectation() };
    let kept = releases::finalize(&client, id, &Expectation { publish: false, ..expected() }).unwrap();
    assert!(kept.draft && !kept.published_now && client.release(id).unwrap().draft);
    assert_eq!(kept.sums, place.records(), "others.txt is not summed");

    // One of its own that is missing is not made up for by the foreign one.
    let own = client.assets(id).unwrap().into_iter().find(|asset| asset.name == place.names()[0]).unwrap();
    place.raw(&server, "DELETE", &format!("/releases/assets/{}", own.id), "");
    let error = releases::finalize(&client, id, &expected()).unwrap_err();
    assert!(shown(&error).ends_with(&format!("{} is missing", place.names()[0])), "{}", shown(&error));

    releases::upload(&client, id, &place.files(), &place.rules()).unwrap();
    assert!(releases::finalize(&client, id, &expected()).unwrap().published_now);
    let after = client.assets(id).unwrap().into_iter().find(|asset| asset.name == "others.txt").unwrap();
    assert_eq!((after.id, after.digest), (others.id, others.digest));
    // Run again, it confirms.
    assert!(!releases::finalize(&client, id, &expected()).unwrap().published_now);
}

#[test]
fn a_release_is_published_only_while_its_tag_means_the_built_commit() {
    let place = Place::new();
    let server = place.server(Plan::default());
    let client = place.client(&server);
    let id = releases::draft(&client, TAG, &releases::Notes::default()).unwrap().id;
    releases::upload(&client, id, &place.files(), &place.rules()).unwrap();
    let built = Tag::annotated(TAG, "What is new in 1.2.3").commit;
    let expected = || Expectation { commit: Some(built.clone()), ..place.expectation() };
    let other = "0123456789012345678901234567890123456789";
    let means = |commit: &str| {
        place.raw(&server, "DELETE", &format!("/git/refs/tags/{TAG}"), "");
        place.raw(&server, "POST", "/git/refs", &format!("{{\"ref\":\"refs/tags/{TAG}\",\"sha\":\"{commit}\"}}"));
    };
    means(other);
    let error = releases::finalize(&client, id, &expected()).unwrap_err();
    let said = format!("the tag {TAG} means the commit {other} on the server, not {built}");
    assert!(shown(&error).ends_with(&said), "{}", shown(&error));
    assert!(client.release(id).unwrap().draft);
    means(&built);
    releases::finalize(&client, id, &expected()).unwrap();
}

#[test]
fn the_latest_release_is_the_one_of_the_newest_version() {
    // What is out, and whether v1.2.3 becomes the latest then. A draft, a prerelease and a tag of another form are no
    // reason against it.
    let draft = r#"{"tag_name":"v2.0.0","draft":true}"#;
    for (others, becomes) in [
        (vec![], true),
        (vec![r#"{"tag_name":"v1.2.2"}"#, r#"{"tag_name":"nightly"}"#, draft], true),
        (vec![r#"{"tag_name":"v2.0.0-rc.1","prerelease":true}"#], true),
        (vec![r#"{"tag_name":"v1.10.0"}"#, r#"{"tag_name":"v1.0.0"}"#], false),
    ] {
        let place = Place::new();
        let server = place.server(Plan::default());
        for other in &others {
            place.raw(&server, "POST", "/releases", other);
        }
        place.release(&place.client(&server)).unwrap();
        let latest = place.raw(&server, "GET", "/releases/latest", "");
        assert_eq!(latest["tag_name"] == TAG, becomes, "{others:?}: {}", latest["tag_name"]);
        assert!(!latest.to_string().contains(&token()));
    }
}
