//! Running any step again, in any order and by several at once, ends in the same one release.

use release_helper::domain::releases::{self, Outcome, State};
use release_helper::domain::server::{Fault, Kind, Operation, Plan};

use crate::common::{Place, TAG, shown};

fn plan(faults: Vec<Fault>) -> Plan {
    Plan { faults, random: None }
}

#[test]
fn a_clean_release_needs_few_requests() {
    let place = Place::new();
    let server = place.server(Plan::default());
    let mut counts = Vec::new();
    let mut client = place.client(&server);
    let draft = releases::draft(&client, TAG, &releases::Notes::default()).unwrap();
    counts.push(("draft", client.requests()));
    client = place.client(&server);
    releases::upload(&client, draft.id, &place.files(), &place.rules()).unwrap();
    counts.push(("upload", client.requests()));
    client = place.client(&server);
    releases::finalize(&client, draft.id, &place.expectation()).unwrap();
    counts.push(("finalize", client.requests()));
    println!("requests of a clean release: {counts:?}");
    // draft: list, ref, tag, create, list. upload: read, six files. finalize: read, list, six downloads with a
    // redirect each, sums, list, the only one?, publish, read back.
    assert_eq!(counts, [("draft", 5), ("upload", 7), ("finalize", 19)]);
    drop(server);
    assert_eq!(place.problems(), Vec::<String>::new());
}

#[test]
fn rerun_all_jobs_after_success_writes_nothing() {
    let place = Place::new();
    let server = place.server(Plan::default());
    place.release(&place.client(&server)).unwrap();
    let before = place.exchanges.lock().unwrap().len();
    let client = place.client(&server);
    let draft = releases::draft(&client, TAG, &releases::Notes::default()).unwrap();
    assert_eq!(draft.state, State::Published);
    let uploaded = releases::upload(&client, draft.id, &place.files(), &place.rules()).unwrap();
    assert!(uploaded.iter().all(|asset| asset.outcome == Outcome::Present));
    let finalized = releases::finalize(&client, draft.id, &place.expectation()).unwrap();
    assert!(!finalized.published_now);
    assert!(place.exchanges.lock().unwrap()[before..].iter().all(|exchange| exchange.request.method == "GET"));
    drop(server);
    assert_eq!(place.problems(), Vec::<String>::new());
}

#[test]
fn jobs_in_any_order_converge() {
    // d: draft, u: upload, f: finalize, p: upload of one file only.
    for order in ["duf", "dfuf", "dpfpuf", "dudufduf", "duffuf", "dddpppuuuff"] {
        let place = Place::new();
        let server = place.server(Plan::default());
        let mut id = 0;
        for step in order.chars() {
            let client = place.client(&server);
            match step {
                'd' => id = releases::draft(&client, TAG, &releases::Notes::default()).unwrap().id,
                'u' => drop(releases::upload(&client, id, &place.files(), &place.rules()).unwrap()),
                'p' => drop(releases::upload(&client, id, &place.files()[..1], &place.rules()).unwrap()),
                // Too early, it says what is missing and changes nothing.
                _ => drop(releases::finalize(&client, id, &place.expectation())),
            }
        }
        drop(server);
        assert_eq!(place.problems(), Vec::<String>::new(), "{order}");
    }
}

#[test]
fn two_drafts_at_once_make_one_release() {
    for round in 0..20 {
        let place = Place::new();
        let server = place.server(Plan::default());
        let clients: Vec<_> = (0..4).map(|_| place.client(&server)).collect();
        let ids: Vec<u64> = std::thread::scope(|scope| {
            let work: Vec<_> = clients
                .iter()
                .map(|client| scope.spawn(|| releases::draft(client, TAG, &releases::Notes::default()).unwrap().id))
                .collect();
            work.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]), "round {round}: {ids:?}");
        let left = place.client(&server).releases().unwrap();
        assert_eq!(left.len(), 1, "round {round}");
    }
}

#[test]
fn two_uploads_of_the_same_files_at_once_end_in_one_set() {
    for _ in 0..10 {
        let place = Place::new();
        let server = place.server(Plan::default());
        let id = releases::draft(&place.client(&server), TAG, &releases::Notes::default()).unwrap().id;
        let clients: Vec<_> = (0..3).map(|_| place.client(&server)).collect();
        std::thread::scope(|scope| {
            for client in &clients {
                scope.spawn(|| releases::upload(client, id, &place.files(), &place.rules()).unwrap());
            }
        });
        releases::finalize(&place.client(&server), id, &place.expectation()).unwrap();
        drop(server);
        assert_eq!(place.problems(), Vec::<String>::new());
    }
}

#[test]
fn two_finalizers_at_once_publish_one_complete_release() {
    for immutable in [false, true] {
        for _ in 0..10 {
            let place = Place::new();
            let mut options = place.options(Plan::default());
            options.immutable = immutable;
            let server = release_helper::domain::server::start(options).unwrap();
            let client = place.client(&server);
            let id = releases::draft(&client, TAG, &releases::Notes::default()).unwrap().id;
            releases::upload(&client, id, &place.files(), &place.rules()).unwrap();
            let clients: Vec<_> = (0..3).map(|_| place.client(&server)).collect();
            std::thread::scope(|scope| {
                let finalize = |client| {
                    // One that lost a race may say so; run again, it agrees.
                    releases::finalize(client, id, &place.expectation())
                        .or_else(|_| releases::finalize(client, id, &place.expectation()))
                        .unwrap()
                };
                for client in &clients {
                    scope.spawn(move || finalize(client));
                }
            });
            drop(server);
            assert_eq!(place.problems(), Vec::<String>::new());
        }
    }
}

#[test]
fn a_client_killed_after_any_number_of_requests_is_continued_by_running_it_again() {
    for lose_last_answer in [false, true] {
        for requests in 0..32 {
            let place = Place::new();
            let server = place.server(Plan::default());
            let killed = place.client(&server).stopping_after(requests, lose_last_answer);
            let outcome = place.release(&killed);
            assert_eq!(outcome.is_err(), requests < 31 || lose_last_answer && requests == 31, "after {requests}");
            place.release(&place.client(&server)).unwrap();
            drop(server);
            assert_eq!(place.problems(), Vec::<String>::new(), "after {requests}");
        }
    }
}

#[test]
fn a_build_that_changed_replaces_the_asset_of_a_draft_but_not_of_a_release() {
    let place = Place::new();
    let server = place.server(Plan::default());
    let client = place.client(&server);
    let id = releases::draft(&client, TAG, &releases::Notes::default()).unwrap().id;
    let first = &place.names()[0];
    releases::upload(&client, id, &place.files(), &place.rules()).unwrap();
    std::fs::write(place.file(first), "signed with another time").unwrap();
    let uploaded = releases::upload(&client, id, &place.files(), &place.rules()).unwrap();
    let outcomes: Vec<_> = uploaded.iter().map(|asset| asset.outcome).collect();
    assert_eq!(outcomes[0], Outcome::Replaced);
    assert!(outcomes[1..].iter().all(|outcome| *outcome == Outcome::Present));
    releases::finalize(&client, id, &place.expectation()).unwrap();
    let published = std::fs::read(place.file(first)).unwrap();
    std::fs::write(place.file(first), "changed after the release").unwrap();
    let error = releases::upload(&client, id, &place.files(), &place.rules()).unwrap_err();
    let text = shown(&error);
    assert!(text.contains("published") && !text.contains("the server answered"), "{text}");
    std::fs::write(place.file(first), published).unwrap();
    drop(server);
    assert_eq!(place.problems(), Vec::<String>::new());
}

#[test]
fn several_drafts_with_assets_are_left_to_a_person_with_their_numbers() {
    let place = Place::new();
    let server = place.server(Plan::default());
    let client = place.client(&server);
    let first = releases::draft(&client, TAG, &releases::Notes::default()).unwrap().id;
    let second = place.raw(&server, "POST", "/releases", r#"{"tag_name":"v1.2.3","name":"by hand","draft":true}"#);
    let error = releases::draft(&client, TAG, &releases::Notes::default()).unwrap_err();
    let text = shown(&error);
    assert!(text.contains(&first.to_string()) && text.contains(&second["id"].to_string()), "{text}");
    assert_eq!(client.releases().unwrap().len(), 2, "nothing is deleted that a person may have made");
    let upload = releases::upload(&client, first, &place.files(), &place.rules());
    upload.unwrap();
    assert!(releases::finalize(&client, first, &place.expectation()).is_err(), "not while there are two");
    assert!(client.release(first).unwrap().draft);
}

#[test]
fn a_draft_whose_post_failed_is_found_and_not_made_twice() {
    for kind in [Kind::LostAnswer, Kind::CutAfter, Kind::HalfJson] {
        let faults = vec![
            Fault::new(Operation::CreateRelease, kind),
            // The list shows it only after half a minute.
            Fault::new(Operation::ListReleases, Kind::Lag).seconds(45).after(1).times(5),
        ];
        let place = Place::new();
        let server = place.server(plan(faults));
        place.release(&place.client(&server)).unwrap();
        drop(server);
        assert_eq!(place.problems(), Vec::<String>::new(), "{kind:?}");
    }
}

#[test]
fn a_draft_that_is_not_listed_yet_is_not_made_again_by_the_next_run() {
    let place = Place::new();
    let lag = Fault::new(Operation::ListReleases, Kind::Lag).seconds(20).times(4);
    let server = place.server(plan(vec![lag]));
    // Killed right after the POST, before anybody knows the number.
    releases::draft(&place.client(&server).stopping_after(4, true), TAG, &releases::Notes::default()).unwrap_err();
    place.release(&place.client(&server)).unwrap();
    drop(server);
    assert_eq!(place.problems(), Vec::<String>::new());
}
