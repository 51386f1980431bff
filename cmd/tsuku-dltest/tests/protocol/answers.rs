//! What is printed, and the exit status.

use std::ffi::c_int;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::Test;
use super::world::{World, answer};

pub(crate) const TESTS: &[Test] = &[
    ("one_answer_for_each_path_in_order", one_answer_for_each_path_in_order),
    ("nothing_else_reaches_standard_output", nothing_else_reaches_standard_output),
    ("the_exit_status_says_whether_all_loaded", the_exit_status_says_whether_all_loaded),
    ("the_version_stands_alone_on_standard_error", the_version_stands_alone_on_standard_error),
    ("the_loaders_own_words_are_passed_on", the_loaders_own_words_are_passed_on),
    ("lost_output_is_status_2", lost_output_is_status_2),
    ("a_full_pipe_is_waited_for", a_full_pipe_is_waited_for),
    ("memory_does_not_grow_with_the_paths", memory_does_not_grow_with_the_paths),
    ("lines_come_as_soon_as_they_are_known", lines_come_as_soon_as_they_are_known),
];

fn one_answer_for_each_path_in_order(world: &World) -> Result<(), String> {
    let directory = world.empty_directory("order");
    // The first ones take longest: whoever prints what is ready first gets it wrong.
    let slow = world.library(&directory, "sleep");
    let crash = world.library(&directory, "segfault");
    let healthy = world.library(&directory, "healthy");
    let paths: Vec<_> =
        [&slow, &healthy, &crash].into_iter().chain(std::iter::repeat_n(&healthy, 100)).chain([&crash]).collect();
    let late = format!("timed out after {} ms while loading", world.timeout());
    for jobs in if world.is_emulated() { &["7"][..] } else { &["1", "2", "7", "32"] } {
        let options = ["--timeout-ms", world.timeout(), "--jobs", jobs].map(std::path::PathBuf::from);
        let answers = world.run(options.iter().chain(paths.iter().copied())).answers();
        let expected: Vec<_> = paths.iter().map(|path| path.display().to_string()).collect();
        assert_eq!(answers.iter().map(|(path, _)| path.clone()).collect::<Vec<_>>(), expected);
        for (path, error) in answers {
            let expected = if path.contains("sleep") {
                Some(late.as_str())
            } else if path.contains("segfault") {
                Some("killed by SIGSEGV while loading")
            } else {
                None
            };
            assert_eq!(error.as_deref(), expected, "{path}");
        }
    }
    Ok(())
}

fn nothing_else_reaches_standard_output(world: &World) -> Result<(), String> {
    let directory = world.empty_directory("nothing-else");
    let loud = world.library(&directory, "print");
    let run = world.run([&loud, &loud]);
    let path = loud.display();
    assert_eq!(run.stdout, format!("[{{\"path\":\"{path}\",\"ok\":true}},{{\"path\":\"{path}\",\"ok\":true}}]\n"));
    assert_eq!(run.stderr, "");
    assert_eq!(world.run_with_input(&["--stdin0"], b"").stdout, "[]\n");
    Ok(())
}

fn the_exit_status_says_whether_all_loaded(world: &World) -> Result<(), String> {
    let directory = world.empty_directory("status");
    let (healthy, crash) = (world.library(&directory, "healthy"), world.library(&directory, "abort"));
    assert_eq!(world.run([&healthy, &healthy]).status, 0);
    assert_eq!(world.run([&healthy, &crash]).status, 1);
    assert_eq!(world.run([&crash, &healthy]).status, 1);
    let nothing = world.run::<&str>([]);
    assert_eq!((nothing.status, nothing.stdout.as_str()), (2, ""));
    assert!(nothing.stderr.starts_with("usage: tsuku-dltest "), "{}", nothing.stderr);
    Ok(())
}

fn the_version_stands_alone_on_standard_error(world: &World) -> Result<(), String> {
    let run = world.run(["--version"]);
    assert_eq!((run.status, run.stdout.as_str()), (0, ""));
    let version = run.stderr.strip_prefix("tsuku-dltest v").expect("the name comes first").trim_end();
    assert_eq!(run.stderr, format!("tsuku-dltest v{version}\n"));
    assert_eq!(
        version.split(['.', '-', '+']).take(3).filter(|part| part.parse::<u32>().is_ok()).count(),
        3,
        "{version}"
    );
    // In the artifact it occurs exactly once, so that a verifier can find it.
    let bytes = std::fs::read(&world.program).expect("the artifact can be read");
    let wanted = format!("tsuku-dltest v{version}");
    assert_eq!(bytes.windows(wanted.len()).filter(|part| *part == wanted.as_bytes()).count(), 1);
    assert_eq!(bytes.windows(version.len()).filter(|part| *part == version.as_bytes()).count(), 1);
    let run = world.run(["--version", "x.so"]);
    assert_eq!((run.status, run.stdout.as_str()), (2, ""));
    Ok(())
}

fn the_loaders_own_words_are_passed_on(world: &World) -> Result<(), String> {
    let error = world.run(["/nowhere/libnone.so"]).errors().remove(0).expect("it does not load");
    let words = match (world.is_linux(), world.is_musl()) {
        (true, false) => "/nowhere/libnone.so: cannot open shared object file: No such file or directory",
        (true, true) => "Error loading shared library /nowhere/libnone.so: No such file or directory",
        _ => return assert_contains(&error, "/nowhere/libnone.so"),
    };
    assert_eq!(error, words);
    Ok(())
}

fn assert_contains(text: &str, part: &str) -> Result<(), String> {
    assert!(text.contains(part), "{text}");
    Ok(())
}

fn lost_output_is_status_2(world: &World) -> Result<(), String> {
    let directory = world.empty_directory("lost");
    let healthy = world.library(&directory, "healthy");
    let file = directory.join("file");
    type Place = fn(&Path) -> Stdio;
    let places: [(&str, Place); 3] = [
        ("Broken pipe", |_| io::pipe().expect("there are descriptors").1.into()),
        ("File too large", |file| File::create(file).expect("target is writable").into()),
        ("No space left on device", |_| File::options().write(true).open("/dev/full").expect("Linux has it").into()),
    ];
    for (error, place) in &places[..if world.is_linux() { 3 } else { 2 }] {
        let mut command = world.command();
        let command = without_files(&mut command).args(std::iter::repeat_n(&healthy, 100)).stdout(place(&file));
        let output = command.output().expect("the program can be started");
        assert_eq!(output.status.code(), Some(2), "{error}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), format!("tsuku-dltest: standard output: {error}\n"));
        for word in ["--version", "--help", "--frob"] {
            let status = without_files(&mut world.command()).arg(word).stderr(place(&file)).status();
            assert_eq!(status.expect("the program can be started").code(), Some(2), "{word}: {error}");
        }
    }
    Ok(())
}

/// Has the program started where no file may hold a byte.
fn without_files(command: &mut Command) -> &mut Command {
    unsafe extern "C" {
        fn setrlimit(resource: c_int, limit: *const [u64; 2]) -> c_int;
    }
    // SAFETY: setrlimit() may be called between fork and exec. RLIMIT_FSIZE is 1 on either system.
    unsafe {
        command.pre_exec(|| {
            setrlimit(1, &[0, 0]);
            Ok(())
        })
    }
}

fn lines_come_as_soon_as_they_are_known(world: &World) -> Result<(), String> {
    let directory = world.empty_directory("lines");
    let (healthy, slow) = (world.library(&directory, "healthy"), world.library(&directory, "sleep"));
    let mut command = world.command();
    command
        .args(["--json-lines", "--jobs", "1", "--timeout-ms", "120000"])
        .args([&healthy, &slow])
        .stdout(Stdio::piped());
    let begin = Instant::now();
    let mut child = command.spawn().expect("the program can be started");
    let mut lines = BufReader::new(child.stdout.take().expect("there is a pipe"));
    let mut line = String::new();
    lines.read_line(&mut line).expect("a line comes");
    // No timing: only that the first line did not wait for the second library.
    assert!(begin.elapsed() < Duration::from_secs(20), "it came with the second one");
    let value = serde_json::from_str(&line).expect("a line is a JSON text");
    assert_eq!(answer(&value), (healthy.display().to_string(), None));
    child.kill().expect("it still runs");
    child.wait().expect("it ends");
    let mut rest = String::new();
    lines.read_to_string(&mut rest).expect("nobody else holds the pipe open");
    assert_eq!(rest, "");
    Ok(())
}

fn a_full_pipe_is_waited_for(world: &World) -> Result<(), String> {
    unsafe extern "C" {
        fn fcntl(fd: c_int, command: c_int, ...) -> c_int;
    }
    const F_SETFL: c_int = 4;
    const O_NONBLOCK: c_int = if cfg!(target_os = "macos") { 4 } else { 0o4000 };
    let (mut reader, mut writer) = std::io::pipe().expect("there are pipes");
    // SAFETY: a descriptor of ours. Its reader's side stays as it is.
    unsafe { fcntl(writer.as_raw_fd(), F_SETFL, O_NONBLOCK) };
    while writer.write(b" ").is_ok() {}
    let mut child = world.command().arg("").stdout(writer).spawn().expect("the program can be started");
    // It may be slow, but it must not give up.
    let limit = Instant::now() + Duration::from_secs(2);
    while Instant::now() < limit {
        assert_eq!(child.try_wait().expect("it is a child"), None, "it did not wait");
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("the output is UTF-8");
    assert_eq!(text.trim_start(), "[{\"path\":\"\",\"ok\":false,\"error\":\"the path is empty\"}]\n");
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
    Ok(())
}

/// How much memory the program itself has when it has answered for so many paths, in KiB.
fn memory(world: &World, paths: usize) -> u64 {
    let mut command = world.command();
    let options = ["--stdin0", "--json-lines", "--timeout-ms", "60000"];
    let mut child =
        command.args(options).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("the program can be started");
    // The last one keeps it there.
    let mut input = b"\0".repeat(paths);
    input.extend(world.library(&world.empty_directory("memory"), "sleep").into_os_string().into_encoded_bytes());
    child.stdin.take().expect("there is a pipe").write_all(&input).expect("it reads");
    let lines = BufReader::new(child.stdout.take().expect("there is a pipe")).lines();
    assert_eq!(lines.take(paths).count(), paths);
    let text = if cfg!(target_os = "macos") {
        let output = Command::new("ps").args(["-o", "rss=", "-p", &child.id().to_string()]).output();
        String::from_utf8(output.expect("ps can be run").stdout).expect("numbers are UTF-8")
    } else {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).expect("it runs");
        status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory").replace("kB", "")
    };
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    text.trim().parse().expect("a number")
}

fn memory_does_not_grow_with_the_paths(world: &World) -> Result<(), String> {
    if world.is_emulated() {
        return Err("it would be the emulator's memory".to_owned());
    }
    let (few, many) = (memory(world, 100), memory(world, 600));
    // 4 KiB of each would be 2000.
    assert!(many < few + 1000, "{few} KiB for 100 paths, {many} KiB for 600");
    Ok(())
}
