//! `cargo bench -p release-helper --bench dltest-peers`: the time and memory that loading takes, beside every other way to test it.
//!
//! The artifact is built by its recipe first. Libraries are the machine's own, those of fetched wheels, and 500 copies
//! of a tiny one. Each figure is the median of several runs, interleaved, so that a busy machine slows all alike.

use std::ffi::{CString, c_char, c_int, c_void};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

unsafe extern "C" {
    fn dlopen(path: *const c_char, mode: c_int) -> *mut c_void;
    fn dlclose(handle: *mut c_void) -> c_int;
    fn dlerror() -> *const c_char;
    fn fork() -> c_int;
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
    fn wait4(pid: c_int, status: *mut c_int, options: c_int, usage: *mut [i64; 18]) -> c_int;
    fn _exit(status: c_int) -> !;
}

const RUNS: usize = 5;
const RTLD_NOW: c_int = 2;

fn main() {
    let arguments: Vec<String> = env::args().collect();
    match arguments.get(1).map(String::as_str) {
        Some("in-process") => in_process(&paths_of(&arguments[2])),
        Some("std-batch") => std_batch(&paths_of(&arguments[2])),
        Some("fork-floor") => fork_floor(&paths_of(&arguments[2])),
        _ => compare(),
    }
}

/// Paths in a file, each ended by a NUL byte.
fn paths_of(file: &str) -> Vec<CString> {
    let bytes = fs::read(file).expect("the list of paths is there");
    bytes.split(|&b| b == 0).filter(|path| !path.is_empty()).map(|path| CString::new(path).expect("no NUL")).collect()
}

fn load(path: &CString) -> bool {
    // SAFETY: loading is what is measured.
    unsafe {
        dlerror();
        let handle = dlopen(path.as_ptr(), RTLD_NOW);
        !handle.is_null() && dlclose(handle) == 0
    }
}

/// (a) No isolation: the floor of all ways. Prints the nanoseconds of the loop alone.
fn in_process(paths: &[CString]) {
    let begin = Instant::now();
    let loaded = paths.iter().filter(|path| load(path)).count();
    println!("{} {loaded}", begin.elapsed().as_nanos());
}

/// (d) A batch loader as tsuku has it now: one process, std, an array of answers at the end.
fn std_batch(paths: &[CString]) {
    let answers: Vec<_> =
        paths.iter().map(|path| serde_json::json!({ "path": path.to_string_lossy(), "ok": load(path) })).collect();
    println!("{}", serde_json::Value::Array(answers));
}

/// (e) What strict isolation costs at least: fork, load, exit and wait, and nothing else. Prints the loop's nanoseconds.
fn fork_floor(paths: &[CString]) {
    let begin = Instant::now();
    let mut loaded = 0;
    for path in paths {
        // SAFETY: this process has one thread.
        unsafe {
            let pid = fork();
            if pid == 0 {
                _exit(c_int::from(!load(path)));
            }
            let mut status = 0;
            waitpid(pid, &raw mut status, 0);
            loaded += usize::from(status == 0);
        }
    }
    println!("{} {loaded}", begin.elapsed().as_nanos());
}

struct Way {
    name: &'static str,
    /// Once for each library instead of once for all.
    each: bool,
    /// The program prints its loop's own time, so that starting it does not count.
    inner: bool,
    command: Box<dyn Fn(&Path) -> Command>,
}

fn ways(program: &Path) -> Vec<Way> {
    let own = env::current_exe().expect("it has a path");
    let mode = |name: &'static str| {
        let own = own.clone();
        Box::new(move |list: &Path| {
            let mut command = Command::new(&own);
            command.arg(name).arg(list);
            command
        }) as Box<dyn Fn(&Path) -> Command>
    };
    let ours = |options: &'static [&'static str]| {
        let program = program.to_owned();
        Box::new(move |list: &Path| {
            let mut command = Command::new(&program);
            command.args(options).arg("--stdin0").stdin(fs::File::open(list).expect("the list is there"));
            command
        }) as Box<dyn Fn(&Path) -> Command>
    };
    let python = || {
        Box::new(|list: &Path| {
            let script = "import ctypes, sys\nfor p in open(sys.argv[1]).read().split('\\0')[:-1]:\n  try: ctypes.CDLL(p)\n  except OSError: pass";
            let mut command = Command::new("python3");
            command.args(["-c", script]).arg(list);
            command
        }) as Box<dyn Fn(&Path) -> Command>
    };
    let way = |name, each, inner, command| Way { name, each, inner, command };
    let mut all = vec![
        way("(a) in-process loop, no isolation", false, true, mode("in-process")),
        way("(d) std batch loader, no isolation", false, false, mode("std-batch")),
        way("(e) bare fork + dlopen + exit + wait", false, true, mode("fork-floor")),
        way("tsuku-dltest --jobs 1", false, false, ours(&["--jobs", "1"])),
        way("tsuku-dltest --jobs 2", false, false, ours(&["--jobs", "2"])),
        way("tsuku-dltest --isolation shared --jobs 1", false, false, ours(&["--isolation", "shared", "--jobs", "1"])),
        way("tsuku-dltest --isolation shared --jobs 2", false, false, ours(&["--isolation", "shared", "--jobs", "2"])),
        way("(b) tsuku-dltest once per library", true, false, ours(&["--jobs", "1"])),
    ];
    if Command::new("python3").arg("--version").stdout(Stdio::null()).status().is_ok() {
        all.push(way("(c) python ctypes, one process", false, false, python()));
        all.push(way("(c) python ctypes once per library", true, false, python()));
    }
    all
}

/// What a way takes: wall time, processor time of all its processes, and the most memory one of them had (KiB).
type Cost = (Duration, Duration, i64);

/// Ends the child; its standard output, processor time and memory. The kernel counts for a program also what its
/// starter had resident, so no memory is less than this benchmark's own.
fn finish(mut child: Child) -> (String, Duration, i64) {
    let mut output = String::new();
    child.stdout.take().expect("there is a pipe").read_to_string(&mut output).expect("the output is UTF-8");
    let (mut status, mut usage) = (0, [0; 18]);
    // SAFETY: struct rusage: two timevals, then ru_maxrss and 13 more.
    unsafe { wait4(child.id() as c_int, &raw mut status, 0, &raw mut usage) };
    let micros = (usage[0] + usage[2]) * 1_000_000 + usage[1] + usage[3];
    (output, Duration::from_micros(micros.unsigned_abs()), usage[4])
}

fn measure(way: &Way, lists: &[PathBuf]) -> Cost {
    let (begin, mut memory, mut inner, mut processor) = (Instant::now(), 0, None, Duration::ZERO);
    for list in lists {
        let child = (way.command)(list).stdout(Stdio::piped()).stderr(Stdio::null()).spawn();
        let (output, used, peak) = finish(child.expect("it can be started"));
        processor += used;
        memory = memory.max(peak);
        if way.inner {
            let nanoseconds = output.split(' ').next().and_then(|n| n.parse().ok()).expect("it prints its time");
            inner = Some(Duration::from_nanos(nanoseconds));
        }
    }
    (inner.unwrap_or_else(|| begin.elapsed()), processor, memory)
}

fn compare() {
    let root =
        Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).canonicalize().expect("the repository is there");
    let target = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(&root).args([
        "build",
        "--quiet",
        "--release",
        "--locked",
        "-p",
        "tsuku-dltest",
        "--target",
        &target,
    ]);
    assert!(cargo.args(["--config", "cmd/tsuku-dltest/link.toml"]).status().expect("cargo can be run").success());
    let program = root.join(format!("target/{target}/release/tsuku-dltest"));
    let directory = root.join("target/dltest-bench");
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).expect("target is writable");

    first_result(&program);
    let real = real_libraries(&program, &root);
    let tiny = tiny_libraries(&target, &directory, &root);
    assert!(Command::new(&program).args(&tiny).stdout(Stdio::null()).status().is_ok_and(|status| status.success()));
    for count in [1, 10, 50, 500] {
        for (kind, libraries) in [("real", &real), ("tiny", &tiny)] {
            let chosen: Vec<_> = libraries.iter().cycle().take(count).collect();
            let list = |name: String, paths: &[&PathBuf]| {
                let file = directory.join(name);
                let bytes = paths.iter().flat_map(|path| path.as_os_str().as_bytes().iter().chain(&[0])).copied();
                fs::write(&file, bytes.collect::<Vec<_>>()).expect("target is writable");
                file
            };
            let whole = [list(format!("{kind}-{count}"), &chosen)];
            let single: Vec<_> =
                chosen.iter().enumerate().map(|(at, path)| list(format!("{kind}-{count}-{at}"), &[path])).collect();
            table(&format!("{count} {kind} libraries"), &ways(&program), &whole, &single);
        }
    }
}

fn table(title: &str, ways: &[Way], whole: &[PathBuf], single: &[PathBuf]) {
    let mut results: Vec<Vec<Cost>> = vec![Vec::new(); ways.len()];
    for _ in 0..RUNS {
        for (way, results) in ways.iter().zip(&mut results) {
            // Starting a process for each of many takes long, and one run tells enough.
            if way.each && single.len() > 10 && (!results.is_empty() || way.name.contains("python")) {
                continue;
            }
            results.push(measure(way, if way.each { single } else { whole }));
        }
    }
    let median = |mut runs: Vec<Cost>| {
        runs.sort();
        runs.get(runs.len() / 2).copied()
    };
    let medians: Vec<_> = results.into_iter().map(median).collect();
    let seconds = |at: usize| medians[at].expect("it was measured").0.as_secs_f64();
    let (floor, bare) = (seconds(0), seconds(2));
    println!(
        "\n{title}\n{:44} {:>10} {:>10} {:>7} {:>7} {:>10} {:>9}",
        "", "total ms", "us each", "x (a)", "x (e)", "cpu us each", "peak KiB"
    );
    for (way, cost) in ways.iter().zip(&medians) {
        let Some((time, processor, memory)) = cost else { continue };
        let (seconds, count) = (time.as_secs_f64(), single.len() as f64);
        println!(
            "{:44} {:>10.2} {:>10.1} {:>7.2} {:>7.2} {:>10.1} {memory:>9}",
            way.name,
            seconds * 1e3,
            seconds * 1e6 / count,
            seconds / floor,
            seconds / bare,
            processor.as_secs_f64() * 1e6 / count
        );
    }
    std::io::stdout().flush().expect("somebody reads");
}

/// From starting the program to its first answer.
fn first_result(program: &Path) {
    let mut times: Vec<_> = (0..50)
        .map(|_| {
            let begin = Instant::now();
            let mut command = Command::new(program);
            command.args(["--json-lines", "libz.so.1"]).stdin(Stdio::null()).stdout(Stdio::piped());
            let mut child = command.spawn().expect("it can be started");
            let mut line = String::new();
            BufReader::new(child.stdout.take().expect("there is a pipe")).read_line(&mut line).expect("a line comes");
            let time = begin.elapsed();
            child.wait().expect("it ends");
            time
        })
        .collect();
    times.sort();
    println!("start to first result (spawn, fork, libz): median {:?}, least {:?}", times[25], times[0]);
}

/// Libraries of the machine and of wheels that load alone, and all of them in one process.
fn real_libraries(program: &Path, root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for directory in [
        PathBuf::from(format!("/usr/lib/{}-linux-gnu", env::consts::ARCH)),
        root.join(format!("target/dltest-libraries/wheels/manylinux_2_28_{}/pillow.libs", env::consts::ARCH)),
        root.join(format!("target/dltest-libraries/wheels/manylinux_2_28_{}/numpy.libs", env::consts::ARCH)),
    ] {
        let mut files: Vec<_> =
            fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path()).collect();
        files.retain(|path| path.to_string_lossy().contains(".so") && path.is_file() && !path.is_symlink());
        // Large ones measure the disk.
        files.retain(|path| path.metadata().is_ok_and(|metadata| metadata.len() < 1 << 20));
        files.sort();
        found.extend(files);
    }
    let output = Command::new(program).args(&found).output().expect("it can be started").stdout;
    let answers: Vec<serde_json::Value> = serde_json::from_slice(&output).expect("it prints JSON");
    let mut answers = answers.iter().map(|answer| answer["ok"] == true);
    found.retain(|_| answers.next() == Some(true));
    println!("{} real libraries", found.len());
    found
}

fn tiny_libraries(target: &str, directory: &Path, root: &Path) -> Vec<PathBuf> {
    let library = directory.join("tiny.so");
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args([
        "--edition=2024",
        "--crate-type=cdylib",
        "-Cpanic=abort",
        "-Copt-level=s",
        "-Clto",
        "-Cstrip=symbols",
        "--target",
        target,
    ]);
    rustc.args(["-Clinker=rust-lld", "-Clinker-flavor=ld.lld", "cmd/tsuku-dltest/tests/protocol/needed.rs", "-o"]);
    assert!(rustc.arg(&library).current_dir(root).status().expect("rustc can be run").success());
    (0..500)
        .map(|number| {
            let copy = directory.join(format!("tiny-{number}.so"));
            fs::copy(&library, &copy).expect("target is writable");
            copy
        })
        .collect()
}
