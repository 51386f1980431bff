//! The traps of GitHub's releases, one by one (issue 5 names the evidence), and what the client says to each.

use release_helper::domain::releases::{self, Client};
use release_helper::domain::server::{Fault, Kind, Operation, Plan, Tag};

use crate::common::{Place, REPOSITORY, TAG, shown, token};

fn plan(faults: Vec<Fault>) -> Plan {
    Plan { faults, random: None }
}

/// A whole release with `faults` succeeds and is right.
fn survives(faults: Vec<Fault>) {
    let place = Place::new();
    let name = format!("{faults:?}");
    let server = place.server(plan(faults));
    place.release(&place.client(&server)).unwrap_or_else(|error| panic!("{name}: {}", shown(&error)));
    drop(server);
    assert_eq!(place.problems(), Vec::<String>::new(), "{name}");
    assert_eq!(place.leaks(), Vec::<String>::new(), "{name}");
}

/// A whole release with `faults` ends in an error; gives back what a person sees.
fn fails(faults: Vec<Fault>) -> String {
    let place = Place::new();
    let server = place.server(plan(faults));
    let text = shown(&place.release(&place.client(&server)).unwrap_err());
    drop(server);
    assert!(!place.problems().is_empty(), "nothing may be published: {text}");
    assert_eq!(place.leaks(), Vec::<String>::new(), "{text}");
    text
}

#[test]
fn every_temporary_fault_at_every_operation_is_survived_three_times_in_a_row() {
    use Operation as O;
    let operations = [
        O::ListReleases,
        O::GetRef,
        O::GetTag,
        O::CreateRelease,
        O::GetRelease,
        O::UploadReleaseAsset,
        O::ListReleaseAssets,
        O::DownloadAsset,
        O::Object,
        O::UpdateRelease,
        O::GetReleaseByTag,
    ];
    let refusals = [Kind::Forbidden, Kind::Unauthorized, Kind::NotFound, Kind::Stall];
    for operation in operations {
        for kind in Kind::ALL.into_iter().filter(|kind| !refusals.contains(kind) && kind.fits(operation)) {
            survives(vec![Fault::new(operation, kind).times(3).seconds(3)]);
        }
    }
}

#[test]
fn a_starter_left_by_a_failed_upload_is_replaced() {
    survives(vec![Fault::new(Operation::UploadReleaseAsset, Kind::Starter).times(4)]);
}

#[test]
fn assets_missing_from_lists_for_half_a_minute_are_waited_for() {
    survives(vec![Fault::new(Operation::ListReleaseAssets, Kind::Lag).seconds(30).times(3)]);
}

#[test]
fn an_upload_that_succeeded_and_answered_502_is_not_sent_again() {
    let place = Place::new();
    let server = place.server(plan(vec![Fault::new(Operation::UploadReleaseAsset, Kind::LostAnswer).times(6)]));
    place.release(&place.client(&server)).unwrap();
    let uploads = server.requests().into_iter().filter(|(operation, _)| *operation == Operation::UploadReleaseAsset);
    assert_eq!(uploads.count(), 7, "six artifacts and the sums");
}

#[test]
fn a_download_that_is_githubs_error_page_is_not_taken_for_the_asset() {
    survives(vec![Fault::new(Operation::DownloadAsset, Kind::Html).times(2)]);
    let text = fails(vec![Fault::new(Operation::DownloadAsset, Kind::Html).times(1000)]);
    assert!(text.contains("instead of") && text.contains("still a draft"), "{text}");
}

#[test]
fn a_digest_that_stays_null_keeps_the_draft_unpublished() {
    let text = fails(vec![Fault::new(Operation::ListReleaseAssets, Kind::NullDigest).times(1000)]);
    assert!(text.contains("has no digest") && text.contains("still a draft"), "{text}");
}

#[test]
fn a_refusal_at_publication_says_why_github_may_refuse_and_is_not_tried_again() {
    for kind in [Kind::Forbidden, Kind::NotFound] {
        let place = Place::new();
        let server = place.server(plan(vec![Fault::new(Operation::UpdateRelease, kind).times(1000)]));
        let text = shown(&place.release(&place.client(&server)).unwrap_err());
        assert!(text.contains(".github/workflows") && text.contains("is still a draft with all its assets"), "{text}");
        assert!(text.contains("release-helper finalize --release-id"), "{text}");
        let tries = server.requests().into_iter().filter(|(operation, _)| *operation == Operation::UpdateRelease);
        assert_eq!(tries.count(), 1);
    }
}

#[test]
fn a_wrong_token_is_reported_at_the_first_request() {
    let place = Place::new();
    let server = place.server(Plan::default());
    let client = Client::new(server.url(), REPOSITORY, Some("ghs_wrong")).unwrap();
    let text = shown(&releases::draft(&client, TAG, &releases::Notes::default()).unwrap_err());
    assert!(text.contains("401") && text.contains("GITHUB_TOKEN") && !text.contains("ghs_wrong"), "{text}");
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn without_push_access_a_draft_cannot_be_seen_and_the_message_says_what_is_needed() {
    let place = Place::new();
    let server = place.server(Plan::default());
    let id = releases::draft(&place.client(&server), TAG, &releases::Notes::default()).unwrap().id;
    let anonymous = Client::new(server.url(), REPOSITORY, None).unwrap().with_clock(place.clock.clone());
    let text = shown(&releases::upload(&anonymous, id, &place.files(), &place.rules()).unwrap_err());
    assert!(
        text.contains("404") && text.contains("contents: write") && text.contains("nothing was uploaded"),
        "{text}"
    );
}

#[test]
fn a_limit_that_lasts_longer_than_ten_minutes_is_left_to_a_person() {
    let limit = Fault::new(Operation::UploadReleaseAsset, Kind::PrimaryLimit).seconds(3000).times(1000);
    let text = fails(vec![limit]);
    assert!(text.contains("rate limit") && text.contains("wait 3000 s"), "{text}");
}

#[test]
fn the_servers_wait_is_kept_to() {
    use release_helper::domain::releases::clock::Clock;
    let place = Place::new();
    let limit = Fault::new(Operation::CreateRelease, Kind::SecondaryLimit).seconds(77);
    let server = place.server(plan(vec![limit]));
    let start = place.clock.now();
    releases::draft(&place.client(&server), TAG, &releases::Notes::default()).unwrap();
    assert!(place.clock.now().duration_since(start).unwrap().as_secs() >= 77);
}

#[test]
fn a_tag_that_is_not_pushed_gets_no_draft() {
    let place = Place::new();
    let server = place.server(Plan::default());
    let text = shown(&releases::draft(&place.client(&server), "v7.0.0", &releases::Notes::default()).unwrap_err());
    assert!(text.contains("nothing was changed") && text.contains("git push origin v7.0.0"), "{text}");
    assert!(place.client(&server).releases().unwrap().is_empty());
}

#[test]
fn target_commitish_is_never_sent() {
    let place = Place::new();
    let server = place.server(Plan::default());
    place.release(&place.client(&server)).unwrap();
    let exchanges = place.exchanges.lock().unwrap();
    let bodies: Vec<String> =
        exchanges.iter().filter_map(|exchange| Some(exchange.body.as_ref()?.to_string())).collect();
    assert!(!bodies.is_empty() && bodies.iter().all(|body| !body.contains("target_commitish")), "{bodies:?}");
}

#[test]
fn notes_come_from_the_annotated_tag_else_from_the_history() {
    let place = Place::new();
    let mut options = place.options(Plan::default());
    options.tags =
        vec![Tag::annotated(TAG, "Signed notes\n-----BEGIN PGP SIGNATURE-----\nx"), Tag::lightweight("v2.0.0-rc.1")];
    let server = release_helper::domain::server::start(options).unwrap();
    let client = place.client(&server);
    for (tag, notes, prerelease) in [(TAG, "Signed notes", false), ("v2.0.0-rc.1", "**Full Changelog**", true)] {
        let id = releases::draft(&client, tag, &releases::Notes::default()).unwrap().id;
        let release = client.release(id).unwrap();
        assert!(release.body.unwrap().starts_with(notes));
        assert_eq!(release.prerelease, prerelease);
    }
}

#[test]
fn a_file_that_is_empty_or_wrongly_named_or_given_twice_or_missing_is_refused_before_any_request() {
    let place = Place::new();
    let server = place.server(Plan::default());
    let client = place.client(&server);
    let id = releases::draft(&client, TAG, &releases::Notes::default()).unwrap().id;
    let before = server.requests().len();
    let file = place.files()[0].clone();
    let refusal =
        |files: &[std::path::PathBuf]| shown(&releases::upload(&client, id, files, &place.rules()).unwrap_err());
    let other = place.file("tsuku-dltest-linux-riscv");
    std::fs::write(&other, "x").unwrap();
    assert!(refusal(&[other]).contains("does not have the name of an asset"));
    assert!(refusal(&[place.file("SHA256SUMS")]).contains("cannot read"));
    assert!(refusal(&[file.clone(), file.clone()]).contains("twice"));
    std::fs::write(&file, "").unwrap();
    assert!(refusal(&[file]).contains("is empty"));
    assert_eq!(server.requests().len(), before);
}

#[test]
fn a_file_that_breaks_the_contract_is_not_uploaded() {
    let place = Place::new();
    let server = place.server(Plan::default());
    let client = place.client(&server);
    let id = releases::draft(&client, TAG, &releases::Notes::default()).unwrap().id;
    let error = releases::upload(&client, id, &place.files(), &releases::Rules::of(&place.contract)).unwrap_err();
    assert!(shown(&error).contains("cannot judge"), "{}", shown(&error));
    assert!(client.assets(id).unwrap().is_empty());
}

#[test]
fn an_asset_that_does_not_belong_or_is_missing_or_differs_from_its_record_keeps_the_draft_unpublished() {
    let place = Place::new();
    let server = place.server(Plan::default());
    let client = place.client(&server);
    let id = releases::draft(&client, TAG, &releases::Notes::default()).unwrap().id;
    releases::upload(&client, id, &place.files()[1..], &place.rules()).unwrap();
    let refusal = || shown(&releases::finalize(&client, id, &place.expectation()).unwrap_err());
    assert!(refusal().contains(&format!("{} is missing", place.names()[0])));
    let mut rules = place.rules();
    rules.names.push("extra.txt".to_owned());
    std::fs::write(place.file("extra.txt"), "x").unwrap();
    let extra = [place.file("extra.txt"), place.files()[0].clone()];
    releases::upload(&client, id, &extra, &rules).unwrap();
    assert!(refusal().contains("extra.txt does not belong here"));
    let asset = client.assets(id).unwrap().into_iter().find(|asset| asset.name == "extra.txt").unwrap();
    place.raw(&server, "DELETE", &format!("/releases/assets/{}", asset.id), "");
    let expected = place.expectation();
    std::fs::write(&place.files()[2], "what the builder did not make").unwrap();
    releases::upload(&client, id, &place.files(), &place.rules()).unwrap();
    let text = shown(&releases::finalize(&client, id, &expected).unwrap_err());
    assert!(text.contains("its builder recorded"), "{text}");
    assert!(client.release(id).unwrap().draft);
}

#[test]
fn the_tokens_bytes_are_in_no_message_and_no_request_to_another_host() {
    let place = Place::new();
    assert!(token().len() > 500);
    let server = place.server(plan(vec![
        Fault::new(Operation::ListReleases, Kind::EchoToken).times(2),
        Fault::new(Operation::UpdateRelease, Kind::EchoToken).times(1000),
    ]));
    let text = shown(&place.release(&place.client(&server)).unwrap_err());
    assert!(text.contains("Bearer ***"), "the server did repeat it: {text}");
    assert!(!text.contains(&token()));
    assert_eq!(place.leaks(), Vec::<String>::new());
    assert!(server.requests().iter().any(|(operation, _)| *operation == Operation::Object), "there was a foreign host");
}
