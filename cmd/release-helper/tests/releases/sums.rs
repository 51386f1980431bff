//! The sums of a release that is published by one run while another prepares it: never lost for good, and nothing
//! else of a published release is touched.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use release_helper::domain::releases::{self, Expectation, Outcome, Release, Sums};
use release_helper::domain::server::{Exchange, Fault, Kind, Operation, Plan, Running};

use crate::common::{Place, TAG, shown, token};

/// What another client does between a request's effect and its answer: at the `nth` request of an operation, once.
#[derive(Clone, Default)]
struct Meanwhile(Arc<Mutex<Option<Pending>>>);

struct Pending {
    operation: Operation,
    nth: u32,
    act: Box<dyn FnOnce() + Send>,
}

impl Meanwhile {
    fn at(&self, operation: Operation, nth: u32, act: impl FnOnce() + Send + 'static) {
        *self.0.lock().unwrap() = Some(Pending { operation, nth, act: Box::new(act) });
    }

    fn see(&self, exchange: &Exchange) {
        let mut pending = self.0.lock().unwrap();
        let Some(next) = pending.as_mut().filter(|next| next.operation == exchange.operation) else { return };
        next.nth -= 1;
        if next.nth == 0 {
            let act = pending.take().unwrap().act;
            // What it does is seen too.
            drop(pending);
            act();
        }
    }
}

/// A server whose requests can be interrupted by another client's.
fn server(place: &Place, faults: Vec<Fault>) -> (Arc<Running>, Meanwhile) {
    let meanwhile = Meanwhile::default();
    let mut options = place.options(Plan { faults, random: None });
    let (record, seen) = (options.observer.take().unwrap(), meanwhile.clone());
    options.observer = Some(Arc::new(move |exchange| {
        record(exchange);
        seen.see(exchange);
    }));
    (Arc::new(release_helper::domain::server::start(options).unwrap()), meanwhile)
}

/// A draft with its six artifacts.
fn draft(place: &Place, server: &Running) -> Release {
    let client = place.client(server);
    let id = releases::draft(&client, TAG, &releases::Notes::default()).unwrap().id;
    releases::upload(&client, id, &place.files(), &place.rules()).unwrap();
    client.release(id).unwrap()
}

/// One request by hand, with the token.
fn by_hand(server: &Running, head: &str, body: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.url().strip_prefix("http://").unwrap()).unwrap();
    let headers = format!("host: 127.0.0.1\r\nauthorization: Bearer {}\r\nconnection: close", token());
    write!(stream, "{head} HTTP/1.1\r\n{headers}\r\n{body}").unwrap();
    stream
}

fn end(mut stream: TcpStream) {
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 20"), "{answer}");
}

fn path(server: &Running, url: &str) -> String {
    url.strip_prefix(server.url()).unwrap().split('{').next().unwrap().to_owned()
}

/// Another finalizer's upload of the right sums that has come half the way; finishing it and publishing is what
/// that finalizer does next.
fn half_sent_sums(place: &Place, server: &Arc<Running>, release: &Release) -> impl FnOnce() + Send + 'static {
    let sums = place.records().to_string();
    let (first, second) = sums.split_at(sums.len() / 2);
    let (target, second) = (path(server, &release.upload_url), second.to_owned());
    let body = format!("content-type: text/plain\r\ncontent-length: {}\r\n\r\n{first}", sums.len());
    let mut sending = by_hand(server, &format!("POST {target}?name=SHA256SUMS"), &body);
    while !place.client(server).assets(release.id).unwrap().iter().any(|asset| asset.name == "SHA256SUMS") {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    let (id, server) = (release.id, server.clone());
    move || {
        sending.write_all(second.as_bytes()).unwrap();
        end(sending);
        publish(&server, id);
    }
}

fn publish(server: &Running, id: u64) {
    let body = "content-type: application/json\r\ncontent-length: 15\r\n\r\n{\"draft\":false}";
    end(by_hand(server, &format!("PATCH /repos/octo/tsuku-dltest/releases/{id}"), body));
}

fn delete(place: &Place, server: &Running, id: u64, name: &str) {
    let asset = place.client(server).assets(id).unwrap().into_iter().find(|asset| asset.name == name).unwrap();
    end(by_hand(server, &format!("DELETE /repos/octo/tsuku-dltest/releases/assets/{}", asset.id), "\r\n"));
}

/// The state of the sums, if there are any.
fn state_of_sums(place: &Place, server: &Running, id: u64) -> Option<String> {
    let assets = place.client(server).assets(id).unwrap();
    assets.into_iter().find(|asset| asset.name == "SHA256SUMS").map(|asset| asset.state)
}

/// Finalizing is refused and writes nothing; gives back what a person sees.
fn refusal(place: &Place, server: &Running, id: u64, expected: &Expectation) -> String {
    let before = place.exchanges.lock().unwrap().len();
    let text = shown(&releases::finalize(&place.client(server), id, expected).unwrap_err());
    let exchanges = place.exchanges.lock().unwrap();
    assert!(exchanges[before..].iter().all(|exchange| exchange.request.method == "GET"), "{text}");
    text
}

#[test]
fn sums_that_a_killed_finalizer_deleted_after_another_one_published_are_put_back_by_a_rerun() {
    let place = Place::new();
    let (server, meanwhile) = server(&place, Vec::new());
    let release = draft(&place, &server);
    // The other one finishes and publishes between the last look at the draft and the DELETE.
    meanwhile.at(Operation::GetRelease, 2, half_sent_sums(&place, &server, &release));
    // Release, list, six downloads with a redirect each, four looks at the unfinished sums, release, DELETE.
    let killed = place.client(&server).stopping_after(20, true);
    releases::finalize(&killed, release.id, &place.expectation()).unwrap_err();
    assert!(!place.client(&server).release(release.id).unwrap().draft);
    assert_eq!(state_of_sums(&place, &server, release.id), None, "the case that this is about");
    let rerun = || releases::finalize(&place.client(&server), release.id, &place.expectation()).unwrap();
    let repaired = rerun();
    assert!(repaired.sums_restored && !repaired.published_now);
    assert!(place.said.lock().unwrap().iter().any(|text| text.contains("putting them back")));
    assert!(!rerun().sums_restored);
    drop(server);
    assert_eq!(place.problems(), Vec::<String>::new());
}

#[test]
fn sums_that_vanish_at_the_publication_are_put_back_by_the_run_that_published() {
    let place = Arc::new(Place::new());
    let (server, meanwhile) = server(&place, Vec::new());
    let id = draft(&place, &server).id;
    let (other, on) = (place.clone(), server.clone());
    meanwhile.at(Operation::UpdateRelease, 1, move || delete(&other, &on, id, "SHA256SUMS"));
    let finalized = releases::finalize(&place.client(&server), id, &place.expectation()).unwrap();
    assert!(finalized.published_now && finalized.sums_restored);
    drop(server);
    assert_eq!(place.problems(), Vec::<String>::new());
}

#[test]
fn sums_that_were_finished_and_published_while_their_deletion_failed_are_kept() {
    let place = Place::new();
    let fault = Fault::new(Operation::DeleteReleaseAsset, Kind::BadGateway);
    let (server, meanwhile) = server(&place, vec![fault]);
    let release = draft(&place, &server);
    meanwhile.at(Operation::DeleteReleaseAsset, 1, half_sent_sums(&place, &server, &release));
    let finalized = releases::finalize(&place.client(&server), release.id, &place.expectation()).unwrap();
    assert!(!finalized.sums_restored);
    let deletions = |exchange: &&Exchange| exchange.operation == Operation::DeleteReleaseAsset;
    assert_eq!(place.exchanges.lock().unwrap().iter().filter(deletions).count(), 1, "only the one that failed");
    drop(server);
    assert_eq!(place.problems(), Vec::<String>::new());
}

#[test]
fn sums_only_begun_on_a_published_release_count_as_missing() {
    let place = Place::new();
    let (server, _) = server(&place, vec![Fault::new(Operation::UploadReleaseAsset, Kind::Starter).after(6)]);
    let id = draft(&place, &server).id;
    publish(&server, id);
    // Release, list, six downloads with a redirect each, seven looks for the sums, POST.
    let killed = place.client(&server).stopping_after(22, true);
    releases::finalize(&killed, id, &place.expectation()).unwrap_err();
    assert_eq!(state_of_sums(&place, &server, id).as_deref(), Some("starter"), "the case that this is about");
    assert!(releases::finalize(&place.client(&server), id, &place.expectation()).unwrap().sums_restored);
    drop(server);
    assert_eq!(place.problems(), Vec::<String>::new());
}

#[test]
fn a_published_release_that_differs_in_more_than_missing_sums_is_not_completed() {
    let place = Place::new();
    let (server, _) = server(&place, Vec::new());
    let release = draft(&place, &server);
    let id = release.id;
    publish(&server, id);
    let text = refusal(&place, &server, id, &Expectation::of(&place.contract, Sums::default()));
    assert!(text.contains("no builder's record confirms") && text.contains("--records"), "{text}");
    let name = &place.names()[0];
    delete(&place, &server, id, name);
    let text = refusal(&place, &server, id, &place.expectation());
    assert!(text.contains(&format!("{name} is missing")) && text.contains("only missing sums are put back"), "{text}");
    let target = path(&server, &release.upload_url);
    end(by_hand(&server, &format!("POST {target}?name={name}"), "content-length: 5\r\n\r\nother"));
    let text = refusal(&place, &server, id, &place.expectation());
    assert!(text.contains("is published") && text.contains("its builder recorded"), "{text}");
    assert_eq!(state_of_sums(&place, &server, id), None);
}

#[test]
fn wrong_sums_of_a_published_release_are_refused_and_not_replaced() {
    let place = Place::new();
    let (server, _) = server(&place, Vec::new());
    let release = draft(&place, &server);
    publish(&server, release.id);
    let target = path(&server, &release.upload_url);
    end(by_hand(&server, &format!("POST {target}?name=SHA256SUMS"), "content-length: 5\r\n\r\nother"));
    let text = refusal(&place, &server, release.id, &place.expectation());
    assert!(text.contains("is published: SHA256SUMS does not have the bytes it must have"), "{text}");
}

#[test]
fn an_immutable_release_without_sums_is_refused() {
    let place = Place::new();
    let mut options = place.options(Plan::default());
    options.immutable = true;
    let server = release_helper::domain::server::start(options).unwrap();
    let id = draft(&place, &server).id;
    publish(&server, id);
    let text = refusal(&place, &server, id, &place.expectation());
    assert!(
        text.contains("SHA256SUMS is missing") && text.contains("an immutable release cannot be changed"),
        "{text}"
    );
}

#[test]
fn an_asset_whose_digest_the_api_does_not_say_is_compared_by_its_bytes() {
    let place = Place::new();
    let fault = Fault::new(Operation::GetRelease, Kind::NullDigest).after(2).times(2);
    let (server, _) = server(&place, vec![fault]);
    let id = draft(&place, &server).id;
    let outcomes = || -> Vec<Outcome> {
        let uploaded = releases::upload(&place.client(&server), id, &place.files()[..2], &place.rules()).unwrap();
        uploaded.iter().map(|asset| asset.outcome).collect()
    };
    assert_eq!(outcomes(), [Outcome::Present, Outcome::Present]);
    let file = &place.files()[0];
    let other = std::fs::read(file).unwrap().to_ascii_uppercase();
    std::fs::write(file, other).unwrap();
    assert_eq!(outcomes(), [Outcome::Replaced, Outcome::Present]);
}
