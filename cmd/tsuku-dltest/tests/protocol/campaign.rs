//! Many batches of fifty libraries each, mixed by a seed from everything that misbehaves. A few in every run;
//! `TSUKU_DLTEST_BATCHES=2000 cargo test --test dltest-protocol mixed_batches -- --nocapture` runs as many as it says and
//! prints a table.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::Test;
use super::reach::{alive, state};
use super::world::{Run, World};

pub(crate) const TESTS: &[Test] =
    &[("mixed_batches_get_every_answer_and_leave_nothing", mixed_batches_get_every_answer_and_leave_nothing)];

const BATCH: usize = 50;

/// Behaviours, and what may be said of them: nothing, if they load. Some race with the end of their own process.
const KINDS: &[(&str, &[Option<&str>])] = &[
    ("healthy", &[None]),
    ("missing", &[Some("missing.so")]),
    ("segfault", &[Some("killed by SIGSEGV while loading")]),
    ("abort", &[Some("killed by SIGABRT while loading")]),
    ("raise-19", &[Some("stopped by SIGSTOP while loading")]),
    ("exit-0", &[Some("exited with status 0 while loading")]),
    ("bare-exit-0", &[Some("exited with status 0 while loading")]),
    ("scribble", &[Some("exited with status 0 after it overwrote its result")]),
    ("close-all", &[None]),
    ("limit-everything", &[None]),
    ("mask-signals", &[None]),
    ("threads", &[None]),
    ("orphan", &[None]),
    ("daemon", &[None]),
    ("escape", &[None]),
    ("family", &[None]),
    ("daemon-scribble", &[None]),
    ("thread-of-no-process", &[None, Some("overwrote its result")]),
    ("kill-parent", &[Some("the driver was killed by SIGKILL while loading")]),
    ("daemon-kill-parent", &[None, Some("the driver was killed by SIGKILL while loading")]),
    ("terminate-parent", &[None]),
    ("stop-parent", &[None]),
    ("signal-parent", &[None]),
    ("trace-parent", &[None]),
    ("print-to-parent", &[None]),
    // These take their whole time.
    ("sleep", &[Some("timed out after ")]),
    ("forget-parent", &[Some("timed out after ")]),
    ("loop", &[Some("timed out after ")]),
];
const SLOW: usize = 3;

/// xorshift: the same numbers every time.
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % end
    }
}

/// The kinds of a batch: mostly healthy ones, and at most two that take their time.
fn mixed(random: &mut Random) -> Vec<usize> {
    let mut batch: Vec<_> =
        (0..BATCH).map(|_| if random.below(2) == 0 { 0 } else { random.below(KINDS.len() - SLOW) }).collect();
    if random.below(4) == 0 {
        for _ in 0..2 {
            batch[random.below(BATCH)] = KINDS.len() - 1 - random.below(SLOW);
        }
    }
    batch
}

/// A caller that has a child already when it executes the program.
const CALLER: &str = r#"sleep 1000 >/dev/null 2>&1 & echo $! >"$0"; exec "$@""#;

fn mixed_batches_get_every_answer_and_leave_nothing(world: &World) -> Result<(), String> {
    let wanted = std::env::var("TSUKU_DLTEST_BATCHES").ok().map(|text| text.parse().expect("a number of batches"));
    let directory = world.empty_directory("campaign");
    let paths: Vec<_> = KINDS.iter().map(|(kind, _)| world.library(&directory, kind)).collect();
    fs::remove_file(directory.join("missing.so")).expect("it was there");
    let bystander = directory.join("bystander");
    let mut answers: BTreeMap<(&str, String), usize> = BTreeMap::new();
    let batches: u64 = wanted.unwrap_or(if world.load() > 1 { 2 } else { 4 });
    for seed in 1..=batches {
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let batch = mixed(&mut random);
        let jobs = ["1", "2", "8"][random.below(3)];
        let isolation = ["strict", "strict", "shared"][random.below(3)];
        let mut arguments: Vec<PathBuf> =
            ["--jobs", jobs, "--isolation", isolation, "--timeout-ms", world.timeout()].map(PathBuf::from).to_vec();
        arguments.extend(batch.iter().map(|&kind| paths[kind].clone()));
        let mut command = Command::new("sh");
        command.args(["-c", CALLER]).arg(&bystander).arg(&world.program).args(&arguments).stdin(Stdio::null());
        let run = Run::from(command.output().expect("sh can be run"));
        let pid = fs::read_to_string(&bystander).expect("the caller wrote it");
        let unharmed = state(pid.trim());
        let _ = Command::new("kill").args(["-KILL", pid.trim()]).status();
        // It may not have come to sleep yet.
        assert!(matches!(unharmed, Some('S' | 'R' | 'D')), "seed {seed}: the caller's process: {unharmed:?}");
        let errors = run.errors();
        assert_eq!((errors.len(), run.status, run.stderr.as_str()), (BATCH, 1, ""), "seed {seed}");
        for (at, (kind, error)) in batch.iter().zip(errors).enumerate() {
            let (name, allowed) = KINDS[*kind];
            let fits = |allowed: &Option<&str>| match (allowed, &error) {
                (Some(part), Some(error)) => error.contains(part),
                (allowed, error) => allowed.is_none() && error.is_none(),
            };
            assert!(allowed.iter().any(fits), "seed {seed}, number {at}: {name}: {error:?}");
            let said = error.map_or("loaded".to_owned(), |error| error.replace(&directory.display().to_string(), ""));
            *answers.entry((name, said)).or_default() += 1;
        }
        assert_eq!(remaining(&directory), Vec::<String>::new(), "seed {seed}: what remains");
    }
    if wanted.is_some() {
        eprintln!(
            "\n{}: {batches} batches of {BATCH}, every answer right, nothing left, nobody else signalled",
            world.platform
        );
        for ((kind, said), count) in answers {
            eprintln!("{count:7}  {kind:22} {said}");
        }
    }
    Ok(())
}

/// Processes that have a library of this directory.
fn remaining(directory: &Path) -> Vec<String> {
    let name = format!("{}/", directory.display());
    let processes = fs::read_dir("/proc").expect("it is there").flatten();
    let pids = processes.map(|entry| entry.file_name().to_string_lossy().into_owned());
    pids.filter(|pid| pid.parse::<u32>().is_ok())
        .filter(|pid| fs::read_to_string(format!("/proc/{pid}/maps")).is_ok_and(|maps| maps.contains(&name)))
        .filter(|pid| alive(pid))
        .collect()
}
