//! The same two hundred libraries for every platform, each in its own build: the verdicts must be the same.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use libtest_mimic::{Completion, Trial};

use super::ignored;
use super::world::{Built, World, compile, named};

/// Which libraries load, and why the others do not.
type Answers = Vec<(String, Option<String>)>;

const COUNT: usize = 200;
const NAME: &str = "all-platforms::the_same_libraries_have_the_same_verdicts";

/// What a library does while it is loaded, as far as it does not depend on the system whether it may. (Unloading does: musl
/// never unloads.)
const BEHAVIOURS: [&str; 27] = [
    "healthy",
    "segfault",
    "abort",
    "exit-0",
    "exit-3",
    "bare-exit-0",
    "orphan",
    "close-all",
    "change-directory",
    "limit-everything",
    "handle-signals",
    "mask-signals",
    "threads",
    "overwrite-environment",
    "read-input",
    "check-signals",
    "raise-1",
    "raise-2",
    "raise-3",
    "raise-4",
    "raise-5",
    "raise-6",
    "raise-8",
    "raise-9",
    "raise-11",
    "raise-13",
    "raise-15",
];

/// What may stand at a path.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Behaviour(&'static str),
    Hang(&'static str),
    /// So many percent of a library.
    Cut(usize),
    /// Bytes of no library.
    Bytes(&'static [u8]),
    Directory,
    Missing,
    Dangling,
    Circle,
    Link,
    OtherMachine,
    OtherSystem,
    MissingDependency,
    MissingSymbol,
}

/// The same kinds every time (xorshift).
fn kinds() -> Vec<Kind> {
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut below = |limit: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % limit as u64) as usize
    };
    let texts: [&[u8]; 5] = [b"", b"hello, world\n", b"#!/bin/sh\n", b"!<arch>\nfoo.o/", &[0; 5000]];
    let mut kinds = vec![Kind::Hang("sleep"), Kind::Hang("loop")];
    kinds.extend((kinds.len()..COUNT).map(|_| match below(20) {
        0 | 1 => Kind::Cut(1 + below(45)),
        2 => Kind::Bytes(texts[below(texts.len())]),
        3 => [Kind::Directory, Kind::Missing][below(2)],
        4 => [Kind::Dangling, Kind::Circle, Kind::Link][below(3)],
        5 => Kind::OtherMachine,
        6 => Kind::OtherSystem,
        7 => [Kind::MissingDependency, Kind::MissingSymbol][below(2)],
        _ => Kind::Behaviour(BEHAVIOURS[below(BEHAVIOURS.len())]),
    }));
    kinds
}

/// Another target of the same system or machine.
fn other(target: &str, machine: bool) -> String {
    let (own, system) = target.split_once('-').expect("a target begins with its machine");
    match (machine, system) {
        (true, _) => format!("{}-{system}", if own == "x86_64" { "aarch64" } else { "x86_64" }),
        (false, "apple-darwin") => format!("{own}-unknown-linux-gnu"),
        (false, _) => format!("{own}-apple-darwin"),
    }
}

/// Makes the libraries for a platform; their paths.
fn make(world: &World, kinds: &[Kind]) -> Vec<PathBuf> {
    let directory = world.empty_directory("agreement");
    let template = |name: &str, target: &str, options: &[&str], source: &str| {
        let path = directory.join(name);
        compile(target, &[&["--crate-type=cdylib"], options].concat(), source, &path);
        path
    };
    let needed = template("libneeded.so", world.target, &[&named(world.target, "libneeded.so")], "needed.rs");
    let link = format!("-Clink-arg={}", needed.display());
    let without_dependency = template("dependency.so", world.target, &[&link], "needing.rs");
    let without_symbol = template("symbol.so", world.target, &[], "needing.rs");
    fs::remove_file(&needed).expect("it was just made");
    let other_machine = template("machine.so", &other(world.target, true), &[], "misbehaving.rs");
    let other_system = template("system.so", &other(world.target, false), &[], "misbehaving.rs");
    let healthy = world.library(&directory, "healthy");
    let bytes = fs::read(&healthy).expect("it was just made");
    let place = |(number, kind): (usize, &Kind)| {
        let here = directory.join(number.to_string());
        fs::create_dir(&here).expect("target is writable");
        let path = here.join("library.so");
        let copy = |from: &Path| assert!(fs::copy(from, &path).is_ok(), "target is writable");
        match kind {
            Kind::Behaviour(name) | Kind::Hang(name) => return world.library(&here, name),
            Kind::Cut(percent) => fs::write(&path, &bytes[..bytes.len() * percent / 100]).expect("target is writable"),
            Kind::Bytes(bytes) => fs::write(&path, bytes).expect("target is writable"),
            Kind::Directory => fs::create_dir(&path).expect("target is writable"),
            Kind::Missing => {}
            Kind::Dangling => symlink("nowhere.so", &path).expect("target is writable"),
            Kind::Circle => symlink("library.so", &path).expect("target is writable"),
            Kind::Link => symlink(&healthy, &path).expect("target is writable"),
            Kind::OtherMachine => copy(&other_machine),
            Kind::OtherSystem => copy(&other_system),
            Kind::MissingDependency => copy(&without_dependency),
            Kind::MissingSymbol => copy(&without_symbol),
        }
        path
    };
    kinds.iter().enumerate().map(place).collect()
}

/// The trial, of all platforms that run here.
pub(crate) fn trial(worlds: &[Built]) -> Trial {
    let here: Vec<Arc<World>> = worlds.iter().flatten().cloned().collect();
    let missing = worlds.len() - here.len();
    Trial::ignorable_test(NAME, move || {
        let kinds = kinds();
        let mut first: Option<(&str, Answers)> = None;
        for world in &here {
            let mut arguments = ["--timeout-ms", world.timeout()].map(PathBuf::from).to_vec();
            arguments.extend(make(world, &kinds));
            let answers = world.run(&arguments).answers();
            assert_eq!(answers.len(), COUNT);
            let (platform, first) = first.get_or_insert_with(|| (world.platform, answers.clone()));
            for ((kind, one), other) in kinds.iter().zip(first.iter()).zip(&answers) {
                let same = one.1.is_some() == other.1.is_some();
                assert!(same, "{kind:?}: {platform} says {one:?}, {} says {other:?}", world.platform);
            }
            // It is no agreement that nothing loads, or all.
            let loaded = answers.iter().filter(|(_, error)| error.is_none()).count();
            assert!((COUNT / 5..COUNT * 4 / 5).contains(&loaded), "{loaded} loaded");
        }
        if missing == 0 {
            return Ok(Completion::Completed);
        }
        Ok(ignored(NAME, format!("{missing} platforms do not run here; the verdicts of the others are the same")))
    })
}
