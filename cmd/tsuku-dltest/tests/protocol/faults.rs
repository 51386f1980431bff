//! Faults put into the macOS build, each of which has to make a test fail: what a stand-in for macOS shows is worth as much
//! as what it catches. `cargo test --test dltest-protocol faults` prints the table, which stands in `faults.toml`.

use std::cell::Cell;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Once};
use std::thread;

use libtest_mimic::{Completion, Failed, Trial};
use release_helper::domain::source;
use serde::Deserialize;

use super::world::{Built, MOMENT, World, build_in, root};
use super::{Test, ignored};

/// A text of the program's source, and the one that takes its place.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fault {
    name: String,
    /// Below `src/`.
    file: String,
    old: String,
    new: String,
    /// The platform it is put into.
    #[serde(default = "darwin_amd64")]
    platform: String,
    /// The test that has to fail, or why none can.
    caught_by: Option<String>,
    equivalent: Option<String>,
}

#[derive(Deserialize)]
struct Table {
    fault: Vec<Fault>,
}

fn darwin_amd64() -> String {
    "darwin-amd64".to_owned()
}

/// One trial for each fault.
pub(crate) fn trials(worlds: &[Built], tests: &[Test]) -> Vec<Trial> {
    let table: Table = toml_edit::de::from_str(include_str!("faults.toml")).expect("faults.toml is a table of faults");
    assert!(table.fault.len() >= 25);
    let trial = |fault: Fault| {
        let test = fault.caught_by.as_deref().map(|name| {
            let found = tests.iter().find(|(test, _)| *test == name);
            *found.unwrap_or_else(|| panic!("faults.toml: {}: no test {name}", fault.name))
        });
        let outcome = match (&fault.caught_by, &fault.equivalent) {
            (Some(test), None) => format!("caught by {test}"),
            (None, Some(why)) => format!("no fault: {why}"),
            _ => panic!("faults.toml: {}: caught by a test, or equivalent", fault.name),
        };
        let world = worlds.iter().flatten().find(|world| world.platform == fault.platform).cloned();
        let name = format!("faults::{}: {} ({outcome})", fault.platform, fault.name);
        Trial::ignorable_test(name.clone(), move || match world.filter(|world| world.is_stand_in()) {
            Some(world) => check(&fault, test, &world),
            None => Ok(ignored(&name, format!("{} does not run in a stand-in here", fault.platform))),
        })
    };
    table.fault.into_iter().map(trial).collect()
}

/// Builds the program with the fault and runs the test, which must fail; or, for an equivalent one, only the former.
fn check(fault: &Fault, test: Option<Test>, world: &Arc<World>) -> Result<Completion, Failed> {
    let directory = tempfile::tempdir()?;
    let tree = directory.path();
    source::stage(root(), tree).map_err(|error| format!("{error:#}"))?;
    let file = tree.join("cmd/tsuku-dltest/src").join(&fault.file);
    let text = fs::read_to_string(&file)?;
    if text.matches(&fault.old).count() != 1 {
        return Err(format!("{} does not hold once:\n{}", file.display(), fault.old).into());
    }
    fs::write(&file, text.replace(&fault.old, &fault.new))?;
    build_in(tree, "tsuku-dltest", &["--release", "--offline"], [world.target.to_owned()]);
    let Some((name, test)) = test else { return Ok(Completion::Completed) };
    // To leave nothing running may be just what the fault prevents.
    let _remains = Remains(tree);
    let program = tree.join("target").join(world.target).join("release/tsuku-dltest");
    let faulty = world.with_program(&program, tree);
    match silently(|| test(&faulty)) {
        Some(Ok(())) => Err(format!("{name} passes all the same").into()),
        Some(Err(reason)) => Err(format!("{name} was skipped: {reason}").into()),
        None => Ok(Completion::Completed),
    }
}

/// The processes of a program in this directory, and of its libraries: they end with this.
struct Remains<'a>(&'a Path);

impl Remains<'_> {
    fn numbers(&self) -> Vec<String> {
        let name = self.0.as_os_str().as_bytes();
        let processes = fs::read_dir("/proc").expect("it is there").flatten();
        let named = processes.filter(|process| {
            let words = fs::read(process.path().join("cmdline")).unwrap_or_default();
            words.windows(name.len()).any(|window| window == name)
        });
        named.map(|process| process.file_name().to_string_lossy().into_owned()).collect()
    }
}

impl Drop for Remains<'_> {
    fn drop(&mut self) {
        loop {
            let numbers = self.numbers();
            if numbers.is_empty() {
                return;
            }
            let _ = Command::new("kill").arg("-KILL").args(numbers).status();
            thread::sleep(MOMENT);
        }
    }
}

thread_local! {
    static SILENT: Cell<bool> = const { Cell::new(false) };
}

/// What `run` gives; `None`, and not a word, if it panics.
fn silently<T>(run: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let loud = panic::take_hook();
        panic::set_hook(Box::new(move |what| {
            if !SILENT.get() {
                loud(what);
            }
        }));
    });
    SILENT.set(true);
    let result = panic::catch_unwind(AssertUnwindSafe(run)).ok();
    SILENT.set(false);
    result
}
