//! What a library can reach beyond its own process: the results of others, the program itself, the caller's processes.

use std::ffi::c_int;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::Test;
use super::isolation::{among_healthy, expect};
use super::places::ignoring;
use super::world::{MOMENT, Run, World, in_path};

pub(crate) const TESTS: &[Test] = &[
    ("what_a_library_leaves_running_reaches_no_other_answer", what_a_library_leaves_running_reaches_no_other_answer),
    ("a_library_that_kills_the_driver_costs_one_answer", a_library_that_kills_the_driver_costs_one_answer),
    ("other_attacks_on_the_driver_change_no_answer", other_attacks_on_the_driver_change_no_answer),
    ("no_process_remains", no_process_remains),
    ("no_process_outlives_a_killed_program", no_process_outlives_a_killed_program),
    ("the_callers_own_processes_are_left_alone", the_callers_own_processes_are_left_alone),
    ("numbers_that_begin_again_hurt_nobody", numbers_that_begin_again_hurt_nobody),
    ("what_waits_makes_room_for_another", what_waits_makes_room_for_another),
    ("what_computes_makes_no_room", what_computes_makes_no_room),
];

/// The processes of qemu-user are not those of the program.
pub(crate) const NATIVE_ONLY: &[&str] = &[
    "what_a_library_leaves_running_reaches_no_other_answer",
    "a_library_that_kills_the_driver_costs_one_answer",
    "other_attacks_on_the_driver_change_no_answer",
    "no_process_remains",
    "no_process_outlives_a_killed_program",
    "the_callers_own_processes_are_left_alone",
    "numbers_that_begin_again_hurt_nobody",
    "what_computes_makes_no_room",
    "mixed_batches_get_every_answer_and_leave_nothing",
];

/// macOS tells nobody what a process left behind.
pub(crate) const LINUX_ONLY: &[&str] = &[
    "what_a_library_leaves_running_reaches_no_other_answer",
    "a_library_that_kills_the_driver_costs_one_answer",
    "other_attacks_on_the_driver_change_no_answer",
    "the_callers_own_processes_are_left_alone",
    "numbers_that_begin_again_hurt_nobody",
    "what_waits_makes_room_for_another",
    "what_computes_makes_no_room",
    "mixed_batches_get_every_answer_and_leave_nothing",
];

const SIGALRM: c_int = 14;

pub(crate) fn alive(pid: &str) -> bool {
    // A zombie is not alive; whoever adopted it will see to it.
    state(pid).is_some_and(|state| state != 'Z')
}

pub(crate) fn state(pid: &str) -> Option<char> {
    if cfg!(target_os = "macos") {
        let output = Command::new("ps").args(["-o", "stat=", "-p", pid]).output().expect("ps can be run");
        return output.stdout.first().map(|&state| state.into());
    }
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.trim_start().chars().next()
}

/// The files that libraries wrote the numbers of processes into.
fn number_files(directory: &Path) -> impl Iterator<Item = PathBuf> {
    let files = fs::read_dir(directory).expect("it is there").map(|entry| entry.expect("it can be read").path());
    files.filter(|path| path.extension().is_some_and(|e| e == "pid"))
}

fn left_behind(directory: &Path) -> Vec<String> {
    let numbers = number_files(directory).map(|path| fs::read_to_string(path).expect("a number"));
    // Who is killed between opening the file and writing leaves an empty one.
    numbers.filter(|number| !number.is_empty()).collect()
}

/// The processes that a process has started.
pub(crate) fn children(pid: u32) -> Vec<String> {
    let text = if cfg!(target_os = "macos") {
        let output = Command::new("pgrep").args(["-P", &pid.to_string()]).output().expect("pgrep can be run");
        String::from_utf8(output.stdout).expect("numbers are UTF-8")
    } else {
        fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default()
    };
    text.split_whitespace().map(str::to_owned).collect()
}

/// Those, and the ones that these have started; parents first.
fn descendants(pid: u32) -> Vec<String> {
    let mut all = children(pid);
    let mut next = 0;
    while next < all.len() {
        all.extend(children(all[next].parse().expect("a number")));
        next += 1;
    }
    all
}

fn what_a_library_leaves_running_reaches_no_other_answer(world: &World) -> Result<(), String> {
    let directory = world.empty_directory("left-running");
    let hostile = ["daemon-scribble", "thread-of-no-process", "daemon-kill-parent", "family"];
    let hostile = hostile.map(|behaviour| world.library(&directory, behaviour));
    let (healthy, crash) = (world.library(&directory, "healthy"), world.library(&directory, "segfault"));
    let missing = directory.join("missing.so");
    let mut paths = Vec::new();
    for _ in 0..if world.load() > 1 { 3 } else { 8 } {
        for hostile in &hostile {
            let around = [&healthy, &missing, &healthy, &crash, &healthy];
            paths.extend([hostile].into_iter().chain(around).cloned());
        }
    }
    for options in [["--jobs", "1"], ["--jobs", "4"], ["--isolation", "shared"]] {
        let run = world.run(options.map(PathBuf::from).iter().chain(&paths));
        for (at, ((path, error), asked)) in run.answers().into_iter().zip(&paths).enumerate() {
            assert_eq!(Path::new(&path), asked, "{at} with {options:?}");
            let expected = if *asked == crash {
                Some("killed by SIGSEGV while loading")
            } else if *asked == missing {
                assert!(error.is_some_and(|error| error.contains("missing.so")), "{at} with {options:?}");
                continue;
            } else {
                None
            };
            // Its own result a library may spoil.
            let is_own =
                |error: &String| error.contains("overwrote its result") || error.contains("the driver was killed");
            let spoiled = hostile.contains(asked) && error.as_ref().is_some_and(is_own);
            assert!(spoiled || error.as_deref() == expected, "{path}, {at} with {options:?}: {error:?}");
        }
        assert_eq!((run.answers().len(), run.stderr.as_str()), (paths.len(), ""));
    }
    Ok(())
}

fn a_library_that_kills_the_driver_costs_one_answer(world: &World) -> Result<(), String> {
    let directory = world.empty_directory("killers");
    let (healthy, killer) = (world.library(&directory, "healthy"), world.library(&directory, "kill-parent"));
    let daemon = world.library(&directory, "escape");
    let mut paths = vec![healthy; 100];
    for at in [0, 1, 30, 70, 99] {
        paths[at].clone_from(&killer);
    }
    paths[29].clone_from(&daemon);
    paths[98].clone_from(&daemon);
    for options in [&["--jobs", "1"][..], &["--jobs", "8", "--json-lines"], &["--isolation", "shared"]] {
        let run = world.run(options.iter().map(PathBuf::from).chain(paths.iter().cloned()));
        let errors = if options.len() == 3 {
            let array = format!("[{}]", run.stdout.trim_end().replace('\n', ","));
            Run { stdout: array, ..run }.errors()
        } else {
            run.errors()
        };
        for (at, error) in errors.iter().enumerate() {
            let expected = (paths[at] == killer).then_some("the driver was killed by SIGKILL while loading");
            assert_eq!(error.as_deref(), expected, "{at} with {options:?}");
        }
        assert_eq!((errors.len(), run.status), (paths.len(), 1));
        for pid in left_behind(&directory) {
            assert!(!alive(&pid), "process {pid} remains");
        }
    }
    Ok(())
}

fn other_attacks_on_the_driver_change_no_answer(world: &World) -> Result<(), String> {
    let attacks = ["terminate-parent", "stop-parent", "signal-parent", "trace-parent", "print-to-parent"];
    expect(world, "attacks", &attacks.map(|behaviour| (behaviour, None)));
    // One process for all of them: what traced the driver is still there when the next one hangs.
    let directory = world.empty_directory("trace-and-hang");
    let mut arguments = ["--isolation", "shared", "--timeout-ms", world.timeout()].map(PathBuf::from).to_vec();
    arguments.extend(["trace-parent", "sleep", "healthy"].map(|behaviour| world.library(&directory, behaviour)));
    let late = format!("timed out after {} ms while loading", world.timeout());
    assert_eq!(world.run(&arguments).errors(), [None, Some(late), None]);
    Ok(())
}

fn no_process_remains(world: &World) -> Result<(), String> {
    let directory = world.empty_directory("remains");
    // macOS has no means to find a process that left its group and lost its parent.
    let all = ["orphan", "unload-orphan", "daemon", "unload-daemon", "escape"];
    let behaviours = if world.is_linux() { &all[..] } else { &all[..2] };
    let mut paths: Vec<_> = ["--timeout-ms", world.timeout()].map(PathBuf::from).into();
    paths.extend(behaviours.iter().chain(&["healthy"]).map(|behaviour| world.library(&directory, behaviour)));
    // The output ends although descendants were made to outlive it, and when it has ended they are gone.
    let run = world.run(&paths);
    assert_eq!(run.errors(), vec![None; behaviours.len() + 1]);
    let pids = left_behind(&directory);
    assert_eq!(pids.len(), if world.is_musl() { 3 } else { behaviours.len() }, "{pids:?}");
    // On macOS the program kills them and cannot wait for their end.
    let limit = Instant::now() + if world.is_linux() { Duration::ZERO } else { world.patience };
    for pid in pids {
        while alive(&pid) && Instant::now() < limit {
            thread::sleep(MOMENT);
        }
        assert!(!alive(&pid), "process {pid} remains");
    }
    if !world.is_linux() {
        return Ok(());
    }
    // Many generations of a family that goes on while it is looked for.
    assert_eq!(among_healthy(world, "family", &["family".to_owned()]), [None]);
    let program = fs::canonicalize(&world.program).expect("it is there");
    let remain = fs::read_dir("/proc").expect("it is there").flatten().filter(|entry| {
        let pid = entry.file_name().to_string_lossy().into_owned();
        let maps = fs::read_to_string(entry.path().join("maps")).unwrap_or_default();
        pid.parse::<u32>().is_ok() && maps.contains("/family/family.so") && alive(&pid)
    });
    assert_eq!(remain.count(), 0, "{}", program.display());
    Ok(())
}

fn no_process_outlives_a_killed_program(world: &World) -> Result<(), String> {
    let directory = world.empty_directory("killed");
    let behaviours: &[&str] =
        if world.is_linux() { &["sleep", "loop", "forget-parent", "escape"] } else { &["sleep", "loop"] };
    let paths: Vec<_> = behaviours.iter().map(|behaviour| world.library(&directory, behaviour)).collect();
    // The launcher is what the caller knows of; below it, the supervisor comes first and then the driver.
    for victim in if world.is_linux() { &[0, 1][..] } else { &[0] } {
        let mut command = world.command();
        // On macOS they live on until two seconds after their time, and end by a signal that the caller may ignore.
        command.args(["--jobs", "4", "--timeout-ms", if world.is_linux() { "60000" } else { "1000" }]);
        command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = ignoring(&mut command, SIGALRM).args(&paths).spawn().expect("it starts");
        let limit = Instant::now() + world.patience;
        // On Linux also the supervisor, the driver, and what the daemon's library left.
        let expected = if world.is_linux() { 6 } else { 2 };
        let pids = loop {
            let pids = descendants(child.id());
            if pids.len() == expected
                && (!world.is_linux() || left_behind(&directory).iter().all(|pid| pids.contains(pid)))
            {
                break pids;
            }
            assert!(Instant::now() < limit, "the children do not come");
            thread::sleep(MOMENT);
        };
        if *victim == 0 {
            child.kill().expect("it runs");
        } else {
            assert!(Command::new("kill").args(["-KILL", &pids[0]]).status().expect("kill can be run").success());
        }
        let status = child.wait().expect("it ends");
        assert_eq!(status.code(), (*victim == 1).then_some(2));
        await_the_end_of(&pids, &directory, limit);
    }
    if world.is_linux() {
        careful_drivers_hear_of_their_supervisors_end(world);
    }
    Ok(())
}

/// Waits for processes and for whatever the libraries in `directory` left behind.
fn await_the_end_of(pids: &[String], directory: &Path, limit: Instant) {
    loop {
        let all = pids.iter().cloned().chain(left_behind(directory));
        let left: Vec<_> = all.filter(|pid| alive(pid)).map(|pid| (state(&pid), pid)).collect();
        if left.is_empty() {
            break;
        }
        assert!(Instant::now() < limit, "of {pids:?}, these outlive the program: {left:?}");
        thread::sleep(MOMENT);
    }
    number_files(directory).for_each(|file| fs::remove_file(file).expect("it is there"));
}

/// Where a library has killed a driver, the next one ends what each library left before it goes on. What it is told
/// meanwhile about its supervisor it must not forget.
fn careful_drivers_hear_of_their_supervisors_end(world: &World) {
    let directory = world.empty_directory("killed-while-careful");
    let mut paths = vec![world.library(&directory, "kill-parent"); 2];
    paths.extend(vec![world.library(&directory, "escape"); 16]);
    paths.push(world.library(&directory, "forget-parent"));
    for answers in 3..11 {
        let mut command = world.command();
        command.args(["--jobs", "1", "--timeout-ms", "60000", "--json-lines"]).args(&paths);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("it starts");
        let output = BufReader::new(child.stdout.take().expect("there is a pipe"));
        assert_eq!(output.lines().take(answers).filter(Result::is_ok).count(), answers);
        let pids = descendants(child.id());
        thread::sleep(Duration::from_micros(200 * (answers as u64 % 4)));
        assert!(Command::new("kill").args(["-KILL", &pids[0]]).status().expect("kill can be run").success());
        assert_eq!(child.wait().expect("it ends").code(), Some(2));
        await_the_end_of(&pids, &directory, Instant::now() + world.patience);
    }
}

/// A program that has executed this one, and its children: one that runs, one that is stopped, one in a session of its
/// own, one that has ended, the rest of a pipeline, and the reader of the output.
const CALLER: &str = r#"
sleep 300 &>/dev/null & a=$!
sleep 300 &>/dev/null & b=$!
until [ "$(cat /proc/$b/comm)" = sleep ]; do :; done
kill -STOP $b
setsid sleep 300 &>/dev/null & c=$!
true & wait $!
set -m
true | sleep 300 &>/dev/null & d=$!
set +m
echo $a $b $c $d >"$0"
exec "$@" > >(cat)
"#;

fn the_callers_own_processes_are_left_alone(world: &World) -> Result<(), String> {
    if in_path("bash").is_none() {
        return Err("no bash".to_owned());
    }
    let directory = world.empty_directory("caller");
    let behaviours = ["healthy", "escape", "kill-parent", "segfault", "healthy"];
    let paths = behaviours.map(|behaviour| world.library(&directory, behaviour));
    let file = directory.join("processes");
    let mut command = Command::new("bash");
    command.args(["-c", CALLER]).arg(&file).arg(&world.program).args(World::PATIENCE).args(&paths).stdin(Stdio::null());
    let output = command.output().expect("bash can be run");
    let processes = fs::read_to_string(&file).expect("the caller wrote them");
    let processes: Vec<_> = processes.split_whitespace().collect();
    let states: Vec<_> = processes.iter().map(|pid| state(pid)).collect();
    for process in &processes {
        let _ = Command::new("kill").args(["-KILL", process]).status();
    }
    assert_eq!(states, [Some('S'), Some('T'), Some('S'), Some('S')]);
    let errors = Run::from(output).errors();
    assert_eq!(errors.iter().filter(|error| error.is_none()).count(), 3, "{errors:?}");
    Ok(())
}

/// In a namespace of its own: a process of the caller's at the beginning of all numbers, and the program at their end.
const WRAP: &str = r#"
last=/proc/sys/kernel/ns_last_pid
echo 310 >$last || exit 99
sh -c 'sleep 300 >/dev/null 2>&1 & echo $! >"$0"; echo $(($(cat /proc/sys/kernel/pid_max) - 8)) >'$last'; exec "$@"' "$@"
status=$?
kill -0 $(cat "$1") || exit 98
exit $status
"#;

fn numbers_that_begin_again_hurt_nobody(world: &World) -> Result<(), String> {
    let directory = world.empty_directory("wrap");
    let behaviours = ["healthy", "daemon", "escape", "segfault", "kill-parent", "healthy", "orphan", "healthy"];
    let paths = behaviours.map(|behaviour| world.library(&directory, behaviour));
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--pid", "--fork", "--mount-proc", "sh", "-c", WRAP, "sh"]);
    command.arg(directory.join("process")).arg(&world.program).args(World::PATIENCE).args(&paths).stdin(Stdio::null());
    let output = command.output().map_err(|error| format!("unshare: {error}"))?;
    if output.status.code() == Some(99) || output.stdout.is_empty() {
        return Err("process numbers cannot be chosen here".to_owned());
    }
    let run = Run::from(output);
    assert_ne!(run.status, 98, "the caller's process was killed");
    let errors = run.errors();
    assert_eq!(errors.iter().filter(|error| error.is_none()).count(), 6, "{errors:?}");
    Ok(())
}

/// Five libraries of a behaviour, with one job.
fn one_at_a_time(world: &World, name: &str) -> Vec<Option<String>> {
    let directory = world.empty_directory(name);
    let mut arguments = ["--jobs", "1", "--timeout-ms", "120000"].map(PathBuf::from).to_vec();
    arguments.extend((1..=5).map(|number| world.library(&directory, &format!("{name}-{number}"))));
    world.run(&arguments).errors()
}

fn what_waits_makes_room_for_another(world: &World) -> Result<(), String> {
    // Each waits for all the others.
    assert_eq!(one_at_a_time(world, "meet"), [const { None }; 5]);
    Ok(())
}

fn what_computes_makes_no_room(world: &World) -> Result<(), String> {
    // Each aborts if another one is loaded at the same time.
    assert_eq!(one_at_a_time(world, "crowd"), [const { None }; 5]);
    Ok(())
}
