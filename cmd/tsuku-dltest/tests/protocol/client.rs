//! tsuku's client, as it is: batches of at most 50 paths, 5 seconds each, an environment without what changes loading.

use std::ffi::{CString, c_char, c_int, c_void};
use std::io::{Read as _, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use std::{env, thread};

use super::Test;
use super::world::{Run, World, answer};

pub(crate) const TESTS: &[Test] = &[
    ("a_stock_client_gets_the_answers_of_a_naive_loader", a_stock_client_gets_the_answers_of_a_naive_loader),
    ("a_stock_client_never_loses_a_batch", a_stock_client_never_loses_a_batch),
];

/// The argument that turns the test program into a naive loader.
pub(crate) const NAIVE: &str = "--naive-loader";
/// tsuku's constants.
const BATCH: usize = 50;
const TIMEOUT: Duration = Duration::from_secs(5);

unsafe extern "C" {
    fn dlopen(path: *const c_char, mode: c_int) -> *mut c_void;
    fn dlclose(handle: *mut c_void) -> c_int;
}

/// Loads each library in this process, one after the other, and prints `1` or `0` for each.
pub(crate) fn naive_loader(paths: &[String]) {
    for path in paths {
        let name = CString::new(path.as_bytes()).expect("arguments hold no NUL");
        // SAFETY: loading is what is asked for.
        let loaded = unsafe {
            let handle = dlopen(name.as_ptr(), 2);
            !handle.is_null() && dlclose(handle) == 0
        };
        print!("{}", u8::from(loaded));
    }
    std::io::stdout().flush().expect("the parent listens");
}

/// What the client does with one batch: the parsed answers, or nothing if the program died or took too long.
fn batch(world: &World, paths: &[PathBuf]) -> Option<Vec<(String, Option<String>)>> {
    let mut command = world.command();
    // Prepended: the directory tsuku keeps its libraries in.
    let mut search = vec![PathBuf::from("/opt/tsuku/lib")];
    search.extend(env::split_paths(&env::var_os(world.search_variable()).unwrap_or_default()));
    command.env(world.search_variable(), env::join_paths(search).expect("no colons"));
    command.args(paths).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn().expect("the program can be started");
    let mut stdout = child.stdout.take().expect("there is a pipe");
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        let read = stdout.read_to_string(&mut text);
        let _ = sender.send(read.map(|_| text));
    });
    let text = receiver.recv_timeout(TIMEOUT);
    let _ = child.kill();
    let status = child.wait().expect("it ends");
    let text = text.ok()?.ok()?;
    if !matches!(status.code(), Some(0 | 1)) {
        return None;
    }
    let array: Vec<serde_json::Value> = serde_json::from_str(&text).ok()?;
    let answers: Vec<_> = array.iter().map(answer).collect();
    (answers.len() == paths.len()).then_some(answers)
}

fn a_stock_client_gets_the_answers_of_a_naive_loader(world: &World) -> Result<(), String> {
    if world.is_emulated() {
        return Err("an emulated processor is too slow for the client's five seconds".to_owned());
    }
    if world.is_stand_in() {
        return Err("only a Mac has macOS' libraries".to_owned());
    }
    let directory = world.empty_directory("stock");
    let healthy = world.library(&directory, "healthy");
    if world.is_musl() {
        // No naive loader can be started here: a std program of this platform is not at hand.
        let answers = batch(world, &vec![healthy; BATCH]).expect("an answer comes in time");
        return if answers.iter().all(|(_, error)| error.is_none()) { Ok(()) } else { panic!("{answers:?}") };
    }
    let mut paths = super::real::system_libraries();
    paths.retain(|path| path.as_os_str().as_bytes().is_ascii());
    paths.truncate(4 * BATCH);
    paths.push("/nowhere/libnone.so".into());
    for paths in paths.chunks(BATCH) {
        let naive: Vec<bool> = paths
            .iter()
            .map(|path| {
                let output = Command::new(env::current_exe().expect("it has a path")).arg(NAIVE).arg(path).output();
                output.expect("it can be started").stdout == b"1"
            })
            .collect();
        let ours = batch(world, paths).expect("an answer comes in time");
        for ((path, error), naive) in ours.iter().zip(naive) {
            assert_eq!(error.is_none(), naive, "{path}: {error:?}");
        }
    }
    Ok(())
}

fn a_stock_client_never_loses_a_batch(world: &World) -> Result<(), String> {
    if world.is_emulated() {
        return Err("an emulated processor is too slow for the client's five seconds".to_owned());
    }
    let directory = world.empty_directory("batch");
    let healthy = world.library(&directory, "healthy");
    let mut paths = vec![healthy; BATCH];
    // Two that hang still fit into the client's five seconds, even one after the other.
    for (at, behaviour) in [(3, "segfault"), (7, "sleep"), (20, "exit-0"), (31, "print"), (40, "loop"), (49, "abort")] {
        paths[at] = world.library(&directory, behaviour);
    }
    let answers = batch(world, &paths).expect("an answer comes in time");
    assert_eq!(answers.iter().filter(|(_, error)| error.is_some()).count(), 5);
    let one_by_one = Run::from(world.command().args(["--jobs", "1"]).args(&paths).output().expect("it can be started"));
    assert_eq!(answers, one_by_one.answers());
    Ok(())
}
