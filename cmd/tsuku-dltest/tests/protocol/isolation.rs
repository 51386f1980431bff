//! What a library may do without harm to the answers, and what remains of it.

use std::ffi::c_int;
use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use super::Test;
use super::places::dup2;
use super::reach::children;
use super::world::{MOMENT, Run, World, compile, named};

pub(crate) const TESTS: &[Test] = &[
    ("a_crash_costs_one_answer", a_crash_costs_one_answer),
    ("leaving_costs_one_answer", leaving_costs_one_answer),
    ("hanging_costs_one_answer", hanging_costs_one_answer),
    ("loading_and_unloading_are_told_apart", loading_and_unloading_are_told_apart),
    ("what_does_not_stop_loading_is_no_failure", what_does_not_stop_loading_is_no_failure),
    ("a_thread_that_is_unloaded_hurts_its_library_alone", a_thread_that_is_unloaded_hurts_its_library_alone),
    ("a_library_finds_the_callers_signals_and_no_streams", a_library_finds_the_callers_signals_and_no_streams),
    ("a_verdict_depends_on_its_library_alone", a_verdict_depends_on_its_library_alone),
    ("sharing_a_process_changes_no_answer", sharing_a_process_changes_no_answer),
    ("an_overwritten_result_is_not_believed", an_overwritten_result_is_not_believed),
    ("a_library_that_eats_memory_dies_alone", a_library_that_eats_memory_dies_alone),
    ("a_pause_of_the_program_changes_no_answer", a_pause_of_the_program_changes_no_answer),
    ("core_dumps_are_not_written", core_dumps_are_not_written),
];

pub(crate) const LINUX_ONLY: &[&str] =
    &["an_overwritten_result_is_not_believed", "a_library_that_eats_memory_dies_alone"];

/// Loads a library of each behaviour between healthy ones, which must not suffer; the errors of the former.
pub(crate) fn among_healthy(world: &World, name: &str, behaviours: &[String]) -> Vec<Option<String>> {
    let directory = world.empty_directory(name);
    let healthy = world.library(&directory, "healthy");
    let mut paths = vec![PathBuf::from("--timeout-ms"), PathBuf::from(world.timeout())];
    for behaviour in behaviours {
        paths.push(world.library(&directory, behaviour));
        paths.push(healthy.clone());
    }
    let run: Run = world.run(&paths);
    assert_eq!(run.stderr, "");
    let errors = run.errors();
    assert_eq!(errors.len(), behaviours.len() * 2);
    assert!(errors.iter().skip(1).step_by(2).all(Option::is_none), "a healthy neighbour suffered: {errors:?}");
    errors.into_iter().step_by(2).collect()
}

pub(crate) fn expect(world: &World, name: &str, expected: &[(&str, Option<&str>)]) {
    let behaviours: Vec<_> = expected.iter().map(|(behaviour, _)| (*behaviour).to_owned()).collect();
    let errors = among_healthy(world, name, &behaviours);
    for ((behaviour, expected), error) in expected.iter().zip(errors) {
        assert_eq!(error.as_deref(), *expected, "{behaviour}");
    }
}

fn a_crash_costs_one_answer(world: &World) -> Result<(), String> {
    let names: &[(u8, &str)] = if world.is_linux() { LINUX_SIGNALS } else { MACOS_SIGNALS };
    let ignored: &[&str] = &["CHLD", "CONT", "URG", "WINCH", "INFO"];
    let stopping: &[&str] = &["STOP", "TSTP", "TTIN", "TTOU"];
    let ignored_on_macos = !world.is_linux();
    let signals: Vec<_> = names.iter().map(|(number, _)| format!("raise-{number}")).collect();
    let errors = among_healthy(world, "signals", &signals);
    for ((number, name), error) in names.iter().zip(errors) {
        let expected = if ignored.contains(name) || is_ignored_here(*number) || (*name == "IO" && ignored_on_macos) {
            None
        } else if stopping.contains(name) {
            Some(format!("stopped by SIG{name} while loading"))
        } else if *name == "KILL" && !world.is_linux() {
            Some("killed by SIGKILL while loading (macOS kills what is not validly signed)".to_owned())
        } else {
            Some(format!("killed by SIG{name} while loading"))
        };
        assert_eq!(error, expected, "SIG{name}");
    }
    let mut more =
        vec![("segfault", Some("killed by SIGSEGV while loading")), ("abort", Some("killed by SIGABRT while loading"))];
    if world.is_linux() && !world.is_emulated() {
        more.push(("raise-40", Some("killed by signal 40 while loading")));
    }
    expect(world, "crashes", &more);
    Ok(())
}

/// Whether the program inherits from whoever runs the tests that it ignores a signal: SIGINT and SIGQUIT in a job in a
/// shell's background, SIGHUP below `nohup`.
fn is_ignored_here(number: u8) -> bool {
    const SIGPIPE: u8 = 13; // Rust ignores it, and starts programs without.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or("0");
    let mask = u64::from_str_radix(mask.trim(), 16).expect("a mask in hexadecimal digits");
    number != SIGPIPE && mask >> (number - 1) & 1 == 1
}

#[rustfmt::skip]
const LINUX_SIGNALS: &[(u8, &str)] = &[
    (1, "HUP"), (2, "INT"), (3, "QUIT"), (4, "ILL"), (5, "TRAP"), (6, "ABRT"), (7, "BUS"), (8, "FPE"), (9, "KILL"),
    (10, "USR1"), (11, "SEGV"), (12, "USR2"), (13, "PIPE"), (14, "ALRM"), (15, "TERM"), (16, "STKFLT"), (17, "CHLD"),
    (18, "CONT"), (19, "STOP"), (20, "TSTP"), (21, "TTIN"), (22, "TTOU"), (23, "URG"), (24, "XCPU"), (25, "XFSZ"),
    (26, "VTALRM"), (27, "PROF"), (28, "WINCH"), (29, "IO"), (30, "PWR"), (31, "SYS"),
];

#[rustfmt::skip]
const MACOS_SIGNALS: &[(u8, &str)] = &[
    (1, "HUP"), (2, "INT"), (3, "QUIT"), (4, "ILL"), (5, "TRAP"), (6, "ABRT"), (7, "EMT"), (8, "FPE"), (9, "KILL"),
    (10, "BUS"), (11, "SEGV"), (12, "SYS"), (13, "PIPE"), (14, "ALRM"), (15, "TERM"), (16, "URG"), (17, "STOP"),
    (18, "TSTP"), (19, "CONT"), (20, "CHLD"), (21, "TTIN"), (22, "TTOU"), (23, "IO"), (24, "XCPU"), (25, "XFSZ"),
    (26, "VTALRM"), (27, "PROF"), (28, "WINCH"), (29, "INFO"), (30, "USR1"), (31, "USR2"),
];

fn leaving_costs_one_answer(world: &World) -> Result<(), String> {
    expect(
        world,
        "leaving",
        &[
            ("exit-0", Some("exited with status 0 while loading")),
            ("exit-3", Some("exited with status 3 while loading")),
            ("bare-exit-0", Some("exited with status 0 while loading")),
        ],
    );
    Ok(())
}

fn hanging_costs_one_answer(world: &World) -> Result<(), String> {
    let late = format!("timed out after {} ms while loading", world.timeout());
    expect(world, "hanging", &[("loop", Some(&late)), ("sleep", Some(&late))]);
    Ok(())
}

fn loading_and_unloading_are_told_apart(world: &World) -> Result<(), String> {
    // musl never unloads: it runs no destructors before the process exits.
    let unloads = !world.is_musl();
    let when_unloaded = |error| if unloads { Some(error) } else { None };
    let late = format!("timed out after {} ms while unloading", world.timeout());
    expect(
        world,
        "unloading",
        &[
            ("unload-segfault", when_unloaded("killed by SIGSEGV while unloading")),
            ("unload-abort", when_unloaded("killed by SIGABRT while unloading")),
            ("unload-exit-0", when_unloaded("exited with status 0 while unloading")),
            ("unload-loop", when_unloaded(&late)),
            ("unload-raise-15", when_unloaded("killed by SIGTERM while unloading")),
        ],
    );
    Ok(())
}

fn what_does_not_stop_loading_is_no_failure(world: &World) -> Result<(), String> {
    let harmless = [
        "healthy",
        "orphan",
        "daemon",
        "close-all",
        "print",
        "change-directory",
        "limit-everything",
        "handle-signals",
        "mask-signals",
        "threads",
        "load-more",
        "overwrite-environment",
        "read-input",
    ];
    // All at once would need no order; twice, so that each one precedes each other.
    let behaviours: Vec<_> = harmless.iter().chain(&harmless).map(|behaviour| (*behaviour).to_owned()).collect();
    let errors = among_healthy(world, "harmless", &behaviours);
    for (behaviour, error) in behaviours.iter().zip(errors) {
        assert_eq!(error, None, "{behaviour}");
    }
    Ok(())
}

fn a_thread_that_is_unloaded_hurts_its_library_alone(world: &World) -> Result<(), String> {
    // Its code goes while it runs; whether it notices before the process ends is chance.
    let error = among_healthy(world, "threads", &["threads-of-its-own".to_owned()]).remove(0);
    assert!(matches!(error.as_deref(), None | Some("killed by SIGSEGV while unloading")), "{error:?}");
    Ok(())
}

fn a_library_finds_the_callers_signals_and_no_streams(world: &World) -> Result<(), String> {
    expect(world, "inheritance", &[("check-streams", None), ("check-signals", None), ("read-input", None)]);
    if !world.is_linux() {
        // Nor what the caller leaks.
        let check = world.library(&world.empty_directory("leak"), "check-streams");
        let mut command = world.command();
        command.args(["--timeout-ms", world.timeout()]).arg(check);
        // SAFETY: dup2() may be called between fork and exec.
        unsafe {
            command.pre_exec(|| {
                dup2(1, 9);
                Ok(())
            })
        };
        assert_eq!(Run::from(command.output().expect("the program can be started")).errors(), [None]);
    }
    Ok(())
}

fn a_verdict_depends_on_its_library_alone(world: &World) -> Result<(), String> {
    let directory = world.empty_directory("independence");
    let needed = directory.join("libneeded.so");
    let needing = directory.join("libneeding.so");
    let name = named(world.target, "libneeded.so");
    compile(world.target, &["--crate-type=cdylib", &name], "needed.rs", &needed);
    let link = format!("-Clink-arg={}", needed.display());
    compile(world.target, &["--crate-type=cdylib", &link], "needing.rs", &needing);
    // In one process, the second would find the first, already loaded, in place of the dependency it lacks.
    for jobs in ["1", "4"] {
        let options = ["--jobs", jobs, "--timeout-ms", world.timeout()].map(PathBuf::from);
        let errors = world.run(options.iter().chain([&needed, &needing, &needed, &needing])).errors();
        assert!(errors[0].is_none() && errors[2].is_none(), "{errors:?}");
        assert!(errors[1].as_ref().is_some_and(|error| error.contains("libneeded.so")), "{errors:?}");
        assert_eq!(errors[1], errors[3]);
    }
    Ok(())
}

fn sharing_a_process_changes_no_answer(world: &World) -> Result<(), String> {
    let directory = world.empty_directory("sharing");
    let mut paths: Vec<PathBuf> = vec!["/nowhere/libnone.so".into(), "".into()];
    for behaviour in [
        "healthy",
        "segfault",
        "exit-0",
        "sleep",
        "orphan",
        "close-all",
        "print",
        "load-more",
        "threads",
        "raise-15",
        "unload-abort",
        "overwrite-environment",
    ] {
        paths.push(world.library(&directory, behaviour));
        paths.push(directory.join("healthy.so"));
    }
    let options = ["--timeout-ms", world.timeout()].map(PathBuf::from);
    let strict = world.run(options.iter().chain(&paths));
    for jobs in ["1", "3"] {
        let shared = ["--isolation", "shared", "--jobs", jobs].map(PathBuf::from);
        let shared = world.run(options.iter().chain(&shared).chain(&paths));
        assert_eq!((shared.stdout, shared.status), (strict.stdout.clone(), strict.status));
    }
    Ok(())
}

fn an_overwritten_result_is_not_believed(world: &World) -> Result<(), String> {
    expect(world, "overwritten", &[("scribble", Some("exited with status 0 after it overwrote its result"))]);
    Ok(())
}

fn a_library_that_eats_memory_dies_alone(world: &World) -> Result<(), String> {
    let directory = world.empty_directory("memory");
    let (hungry, healthy) = (world.library(&directory, "allocate"), world.library(&directory, "healthy"));
    let mut command = Command::new("sh");
    command
        .args(["-c", "ulimit -v 200000; exec \"$@\"", "sh"])
        .arg(&world.program)
        .args(["--timeout-ms", "120000"])
        .args([&healthy, &hungry, &healthy]);
    let run = Run::from(command.stdin(Stdio::null()).output().expect("sh can be run"));
    assert_eq!(run.errors(), [None, Some("killed by SIGSEGV while loading".to_owned()), None]);
    Ok(())
}

fn a_pause_of_the_program_changes_no_answer(world: &World) -> Result<(), String> {
    let directory = world.empty_directory("pause");
    let mut command = world.command();
    command.args(["--timeout-ms", "1000"]).arg(world.library(&directory, "sleep")).stdout(Stdio::piped());
    let child = command.spawn().expect("the program can be started");
    let send = |signal: &str| {
        let status = Command::new("kill").args([signal, &child.id().to_string()]).status();
        assert!(status.expect("kill can be run").success());
    };
    while children(child.id()).is_empty() {
        thread::sleep(MOMENT);
    }
    // Longer than its child waits for a driver that does not end it.
    send("-STOP");
    thread::sleep(Duration::from_secs(4));
    send("-CONT");
    let run = Run::from(child.wait_with_output().expect("it ends"));
    assert_eq!(run.errors(), [Some("timed out after 1000 ms while loading".to_owned())]);
    Ok(())
}

fn core_dumps_are_not_written(world: &World) -> Result<(), String> {
    let directory = world.empty_directory("core");
    // Each library says with what limit it was loaded: macOS writes its dumps where this user may not look.
    let (crash, check) = (world.library(&directory, "segfault"), world.library(&directory, "check-core-limit"));
    let mut command = world.command();
    command.args(["--timeout-ms", world.timeout()]);
    let output = unlimited_cores(command.current_dir(&directory)).args([&crash, &check]).output();
    let run = Run::from(output.expect("the program can be started"));
    assert_eq!(run.errors(), [Some("killed by SIGSEGV while loading".to_owned()), None]);
    let mut files: Vec<_> =
        fs::read_dir(&directory).expect("it is there").map(|entry| entry.expect("readable").file_name()).collect();
    files.sort();
    assert_eq!(files, ["check-core-limit.so", "segfault.so"]);
    Ok(())
}

/// Has the program started where every crash would write its memory down, as far as the limits of this user go.
fn unlimited_cores(command: &mut Command) -> &mut Command {
    unsafe extern "C" {
        fn getrlimit(resource: c_int, limit: *mut [u64; 2]) -> c_int;
        fn setrlimit(resource: c_int, limit: *const [u64; 2]) -> c_int;
    }
    // SAFETY: both may be called between fork and exec. RLIMIT_CORE is 4 on either system.
    unsafe {
        command.pre_exec(|| {
            let mut limit = [0; 2];
            getrlimit(4, &raw mut limit);
            limit[0] = limit[1];
            setrlimit(4, &raw const limit);
            Ok(())
        })
    }
}
