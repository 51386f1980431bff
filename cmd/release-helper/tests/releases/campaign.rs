//! The fault campaign: whole releases with random faults at every request, clients killed between any two, and clients
//! that others wrote at work beside ours; then the state of the release, then a re-run of all jobs.
//!
//! `RELEASES_CAMPAIGN=10000 cargo test --release --test releases campaign -- --nocapture` prints the table.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use release_helper::domain::releases::clock::{Clock, epoch_seconds};
use release_helper::domain::releases::{self, Client, Failure};
use release_helper::domain::server::{Kind, Plan, Random, Running, next_random};
use release_helper::plumbing::output::Table;

use crate::actors::{Actor, actors};
use crate::common::{Place, TAG, shown};

/// Runs in a test; many more by `RELEASES_CAMPAIGN`.
const RUNS: u64 = 300;
/// How often a job is run again before the workflow gives up.
const RERUNS: u64 = 4;
/// Shares of requests that fail, one per run in turn.
const RATES: [f64; 6] = [0.0, 0.02, 0.05, 0.1, 0.2, 0.4];

/// What became of the runs with one rate.
#[derive(Default)]
struct Row {
    runs: u64,
    published: u64,
    unpublished: u64,
    faults: u64,
    kills: u64,
    requests: u64,
    waited: u64,
    others: u64,
}

/// One run's dice.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        next_random(&mut self.0) % bound
    }
}

/// What one run did.
#[derive(Default)]
struct Tally {
    kills: u64,
    requests: u64,
    /// What clients that others wrote finished.
    others: u64,
    messages: Vec<String>,
}

/// A client that may be killed on its way.
fn client(place: &Place, server: &Running, dice: &mut Dice) -> Client {
    let client = place.client(server);
    if dice.below(3) > 0 { client } else { client.stopping_after(dice.below(25) as u32, dice.below(2) == 0) }
}

/// Runs one job until it succeeds or has been run too often.
fn job<T>(
    place: &Place,
    server: &Running,
    dice: &mut Dice,
    tally: &mut Tally,
    work: impl Fn(&Client) -> anyhow::Result<T> + Sync,
) -> Option<T>
where
    T: Send,
{
    for _ in 0..=RERUNS {
        let first = client(place, server, dice);
        // At times the same job runs twice at once; a person runs the one that failed again.
        let outcome = if dice.below(10) == 0 {
            let second = place.client(server);
            let (one, two) = std::thread::scope(|scope| {
                let other = scope.spawn(|| work(&second));
                (work(&first), other.join().unwrap())
            });
            tally.requests += second.requests();
            if let Err(error) = &two {
                tally.messages.push(shown(error));
            }
            one.and(two)
        } else {
            work(&first)
        };
        tally.requests += first.requests();
        match outcome {
            Ok(value) => return Some(value),
            Err(error) => {
                let causes: Vec<_> = error.chain().filter_map(|cause| cause.downcast_ref::<Failure>()).collect();
                tally.kills += u64::from(causes.iter().any(|failure| failure.is_stopped()));
                tally.messages.push(shown(&error));
            }
        }
    }
    None
}

/// The workflow: a job for the draft, one per platform, one for the tests' download, one to finalize.
fn workflow(place: &Place, server: &Running, dice: &mut Dice, tally: &mut Tally, actors: &mut [Actor]) -> Option<()> {
    let draft = job(place, server, dice, tally, |client| releases::draft(client, TAG, &releases::Notes::default()))?;
    let id = draft.id;
    for file in place.files() {
        let files = [file];
        // Beside one job in four another client is at work, on the same artifact or on another.
        let mut other = if dice.below(4) == 0 { pick(dice, actors) } else { None };
        if let Some(actor) = &mut other {
            let task = ["upload", "upload", "edit", "read"][dice.below(4) as usize];
            let all = place.files();
            let file = if dice.below(2) == 0 { &files[0] } else { &all[dice.below(all.len() as u64) as usize] };
            actor.begin(server, id, task, file);
        }
        let done = job(place, server, dice, tally, |client| releases::upload(client, id, &files, &place.rules()));
        tally.others += u64::from(other.is_some_and(Actor::end));
        done?;
    }
    let into = place.directory.path().join("download");
    job(place, server, dice, tally, |client| releases::download(client, id, &into, &place.names()))?;
    job(place, server, dice, tally, |client| releases::finalize(client, id, &place.expectation()))?;
    Some(())
}

fn pick<'a>(dice: &mut Dice, actors: &'a mut [Actor]) -> Option<&'a mut Actor> {
    let count = actors.len() as u64;
    if count == 0 { None } else { actors.get_mut(dice.below(count) as usize) }
}

/// One run; gives back what must not be.
fn run(
    seed: u64,
    actors: &mut [Actor],
    rows: &Mutex<BTreeMap<u64, Row>>,
    kinds: &Mutex<BTreeMap<Kind, u64>>,
) -> Vec<String> {
    let place = Place::new();
    let mut dice = Dice(seed);
    let rate = RATES[(seed % RATES.len() as u64) as usize];
    // No stall: its two seconds are real ones.
    let mut drawn: Vec<Kind> = Kind::ALL.into_iter().filter(|kind| *kind != Kind::Stall).collect();
    if dice.below(2) == 0 {
        // Refusals end a job whatever the client does; half of the runs show how it fares without.
        drawn.retain(|kind| ![Kind::Forbidden, Kind::Unauthorized, Kind::NotFound].contains(kind));
    }
    let random = Random { seed: dice.below(u64::MAX), rate, kinds: drawn };
    let mut tally = Tally::default();
    let start = place.clock.now();
    let finished = {
        let mut options = place.options(Plan { faults: Vec::new(), random: Some(random) });
        options.immutable = dice.below(2) == 0;
        let server = release_helper::domain::server::start(options).unwrap();
        workflow(&place, &server, &mut dice, &mut tally, actors).is_some()
    };
    let waited = epoch_seconds(place.clock.now()) - epoch_seconds(start);
    let mut wrong = Vec::new();
    let problems = place.problems();
    let is_published = !problems.iter().any(|problem| problem.ends_with("is not published") || problem == "0 releases");
    if is_published || finished {
        // Published is published completely, also when the job that did it was killed right after.
        wrong.extend(problems.iter().map(|problem| format!("after the faults: {problem}")));
    } else if tally.messages.last().is_none_or(|message| !is_clear(message)) {
        wrong.push(format!("not published, and the message is {:?}", tally.messages.last()));
    }
    let faults: Vec<Kind> = place.exchanges.lock().unwrap().iter().filter_map(|exchange| exchange.fault).collect();
    // Re-run all jobs, without faults: whatever was left behind, it ends in the one right release.
    let server = place.server(Plan::default());
    if let Err(error) = place.release(&place.client(&server)) {
        wrong.push(format!("the re-run failed: {}", shown(&error)));
    }
    drop(server);
    wrong.extend(place.problems().iter().map(|problem| format!("after the re-run: {problem}")));
    place.said.lock().unwrap().append(&mut tally.messages);
    wrong.extend(place.leaks().iter().map(|leak| format!("leaked: {leak}")));
    let mut rows = rows.lock().unwrap();
    let row = rows.entry((rate * 100.0) as u64).or_default();
    row.runs += 1;
    row.published += u64::from(is_published);
    row.unpublished += u64::from(!is_published);
    row.faults += faults.len() as u64;
    row.kills += tally.kills;
    row.requests += tally.requests;
    row.others += tally.others;
    row.waited += waited;
    let mut kinds = kinds.lock().unwrap();
    faults.into_iter().for_each(|fault| *kinds.entry(fault).or_default() += 1);
    wrong
}

/// Whether a message names a release or says that nothing was changed, and which command continues.
fn is_clear(message: &str) -> bool {
    let says_state =
        ["nothing was", "no draft is", "release ", "releases "].iter().any(|words| message.contains(words));
    let (_, hint) = message.split_once("\nhint: ").unwrap_or_default();
    says_state && ["`release-helper ", "delete", "run "].iter().any(|words| hint.contains(words))
}

#[test]
fn whatever_fails_the_release_is_right_or_unpublished_with_a_clear_message_and_a_rerun_publishes_it() {
    let runs = std::env::var("RELEASES_CAMPAIGN").map_or(RUNS, |runs| runs.parse().expect("RELEASES_CAMPAIGN=N"));
    let start: u64 =
        std::env::var("RELEASES_CAMPAIGN_SEED").map_or(0, |seed| seed.parse().expect("a seed is a number"));
    let next = AtomicU64::new(start);
    let (rows, kinds, wrong) = (Mutex::default(), Mutex::default(), Mutex::new(Vec::new()));
    // Begun here, so that what cannot be had is reported in this test's name.
    let companies: Vec<_> = (0..4).map(|_| actors()).collect();
    std::thread::scope(|scope| {
        for mut actors in companies {
            let (next, rows, kinds, wrong) = (&next, &rows, &kinds, &wrong);
            scope.spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= start + runs {
                        break;
                    }
                    let found = run(seed, &mut actors, rows, kinds);
                    if !found.is_empty() {
                        wrong.lock().unwrap().push(format!("seed {seed}: {}", found.join("; ")));
                    }
                }
            });
        }
    });
    let mut table = Table::new([
        "faults",
        "runs",
        "published",
        "unpublished, clear message",
        "published by re-run",
        "requests",
        "done by others",
        "faults made",
        "kills",
        "waits (virtual)",
    ]);
    for (rate, row) in rows.into_inner().unwrap() {
        table.row([
            format!("{rate} %"),
            row.runs.to_string(),
            row.published.to_string(),
            row.unpublished.to_string(),
            row.unpublished.to_string(),
            row.requests.to_string(),
            row.others.to_string(),
            row.faults.to_string(),
            row.kills.to_string(),
            format!("{} s/run", row.waited / row.runs.max(1)),
        ]);
    }
    println!("{table}");
    let mut by_kind = Table::new(["fault", "made"]);
    for (kind, count) in kinds.into_inner().unwrap() {
        by_kind.row([format!("{kind:?}"), count.to_string()]);
    }
    println!("{by_kind}");
    let wrong = wrong.into_inner().unwrap();
    println!("wrong: {}", wrong.len());
    assert!(
        wrong.is_empty(),
        "{} of {runs} runs went wrong:\n{}",
        wrong.len(),
        wrong[..wrong.len().min(10)].join("\n")
    );
}
