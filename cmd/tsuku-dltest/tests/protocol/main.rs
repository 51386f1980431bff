//! `docs/protocol.md`, tested: every guarantee there has a test of its name here, and every test runs once for each
//! platform whose artifacts this machine can run (see `world.rs`). What it cannot run is listed as ignored.

#[cfg(not(target_env = "musl"))]
mod agreement;
mod answers;
mod arguments;
mod campaign;
mod client;
mod documents;
#[cfg(not(target_env = "musl"))]
mod faults;
mod isolation;
mod machine;
mod paths;
mod places;
mod reach;
mod real;
// Its other function is for libtest's tests, whose threads have their names.
#[allow(dead_code)]
#[path = "../../../release-helper/tests/support/skipped.rs"]
mod skipped;
#[cfg(not(target_env = "musl"))]
mod stand_in;
mod world;

use std::collections::HashSet;
use std::sync::Arc;
use std::thread;

use libtest_mimic::{Arguments, Completion, Trial};
use world::World;

/// A test: its name, and what fails by panicking. `Err` is why it cannot run.
type Test = (&'static str, fn(&World) -> Result<(), String>);

fn main() {
    let mut arguments: Vec<_> = std::env::args().collect();
    if arguments.get(1).is_some_and(|argument| argument == client::NAIVE) {
        return client::naive_loader(&arguments.split_off(2));
    }
    let mut arguments = Arguments::from_args();
    let tests: Vec<Test> = [
        answers::TESTS,
        arguments::TESTS,
        campaign::TESTS,
        client::TESTS,
        documents::TESTS,
        isolation::TESTS,
        paths::TESTS,
        places::TESTS,
        reach::TESTS,
        real::TESTS,
    ]
    .concat();
    let names: HashSet<_> = tests.iter().map(|(name, _)| *name).collect();
    assert_eq!(names.len(), tests.len(), "two tests of one name");
    documents::assert_each_guarantee_has_its_test(&names);

    let worlds = if arguments.list { world::all() } else { world::built() };
    let needs_machine = worlds.iter().flatten().any(|world| world.is_linux() && world.is_emulated());
    let mut trials = of_all_platforms(&worlds, &tests);
    for world in worlds {
        let world = match world {
            Ok(world) => world,
            Err((platform, reason)) => {
                let name = format!("{platform}::all_{}_tests", tests.len());
                trials.push(Trial::ignorable_test(name.clone(), move || Ok(ignored(&name, reason))));
                continue;
            }
        };
        for &(name, test) in tests.iter().chain(of_the_stand_in(&world)) {
            let here = Arc::clone(&world);
            let full_name = format!("{}::{name}", world.platform);
            let beyond = machine::beyond_emulation(&world, name);
            if beyond.is_none() && std::env::var_os(machine::INSIDE).is_some() {
                continue;
            }
            trials.push(Trial::ignorable_test(full_name.clone(), move || {
                let result = match (here.cannot(name), beyond) {
                    (Some(reason), _) => Err(reason.to_owned()),
                    (None, Some(reason)) if here.is_emulated() && here.is_linux() => {
                        machine::run(&full_name).map_err(|why| format!("{reason}; and on a machine: {why}"))
                    }
                    (None, Some(reason)) if here.is_emulated() => Err(reason.to_owned()),
                    _ => test(&here),
                };
                Ok(result.map_or_else(|reason| ignored(&full_name, reason), |()| Completion::Completed))
            }));
        }
    }
    // Most of a test's time is waiting.
    arguments.test_threads.get_or_insert(2 * thread::available_parallelism().map_or(1, Into::into));
    if needs_machine && !arguments.list && arguments.filter.is_none() {
        machine::start();
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// What is tested once, and not for each platform.
#[cfg(not(target_env = "musl"))]
fn of_all_platforms(worlds: &[world::Built], tests: &[Test]) -> Vec<Trial> {
    let mut trials = faults::trials(worlds, tests);
    trials.push(agreement::trial(worlds));
    trials
}

/// What is tested of the stand-in for macOS, if a platform runs there.
#[cfg(not(target_env = "musl"))]
fn of_the_stand_in(world: &World) -> &'static [Test] {
    if world.is_stand_in() { stand_in::TESTS } else { &[] }
}

/// On the arm64 machine (`machine.rs`) there is nothing to build or sign with.
#[cfg(target_env = "musl")]
fn of_all_platforms(_: &[world::Built], _: &[Test]) -> Vec<Trial> {
    Vec::new()
}

/// As above.
#[cfg(target_env = "musl")]
fn of_the_stand_in(_: &World) -> &'static [Test] {
    &[]
}

/// What becomes of a test that cannot run, which is told in the one way that all tests tell it.
fn ignored(test: &str, reason: String) -> Completion {
    skipped::report(test, &reason);
    Completion::ignored_with(reason)
}
