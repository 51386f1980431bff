//! Where the program itself may stand: the musl artifact has to find its loader from anywhere.

use std::ffi::{c_int, c_void};
use std::fs;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::Test;
use super::world::{Run, World};

pub(crate) const TESTS: &[Test] = &[
    ("it_works_from_any_path", it_works_from_any_path),
    ("it_works_with_an_empty_environment", it_works_with_an_empty_environment),
    ("it_works_without_proc_dev_and_tmp", it_works_without_proc_dev_and_tmp),
    ("it_works_on_a_read_only_root", it_works_on_a_read_only_root),
    ("a_missing_loader_is_named", a_missing_loader_is_named),
    ("a_damaged_loader_is_refused", a_damaged_loader_is_refused),
    ("without_a_loader_it_still_tells_its_version", without_a_loader_it_still_tells_its_version),
    ("it_serves_a_caller_that_closed_its_streams", it_serves_a_caller_that_closed_its_streams),
    ("a_replaced_program_starts_no_child", a_replaced_program_starts_no_child),
    ("a_taken_name_is_no_obstacle", a_taken_name_is_no_obstacle),
    ("it_serves_a_caller_that_ignores_its_children", it_serves_a_caller_that_ignores_its_children),
];

/// Tests that change the root or the streams of the program, which would be qemu's.
pub(crate) const NATIVE_ONLY: &[&str] = &[
    "it_works_without_proc_dev_and_tmp",
    "it_works_on_a_read_only_root",
    "a_missing_loader_is_named",
    "a_damaged_loader_is_refused",
    "without_a_loader_it_still_tells_its_version",
    "it_serves_a_caller_that_closed_its_streams",
];

/// Why a test cannot run on this machine, if it is one that needs another root.
pub(crate) fn obstacle(world: &World, name: &str) -> Option<&'static str> {
    static NAMESPACES: OnceLock<bool> = OnceLock::new();
    if !TESTS[2..7].iter().any(|(test, _)| *test == name) {
        return None;
    }
    if !world.is_linux() {
        return Some("macOS has no such roots");
    }
    if !world.is_musl() && TESTS[4..7].iter().any(|(test, _)| *test == name) {
        return Some("the kernel fetches the loader there");
    }
    let works = || {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "true"]).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    if *NAMESPACES.get_or_init(works) { None } else { Some("user namespaces are not allowed here") }
}

fn it_works_from_any_path(world: &World) -> Result<(), String> {
    let directory = world.empty_directory("places");
    let healthy = world.library(&directory, "healthy");
    let deep = directory.join("with a space\nand a newline");
    fs::create_dir(&deep).expect("target is writable");
    let near = deep.join("tsuku dltest");
    fs::copy(&world.program, &near).expect("target is writable");
    let link = directory.join("link");
    std::os::unix::fs::symlink(&near, &link).expect("target is writable");
    let far = deepen(world, deep).join("tsuku-dltest");
    fs::copy(&world.program, &far).expect("target is writable");
    for program in [&near, &link, &far] {
        let output = world.command_for(program).arg(&healthy).output().expect("the program can be started");
        assert_eq!(Run::from(output).errors(), [None], "{}", program.display());
    }
    let mut command = world.command_for(Path::new("./link"));
    let output = command.current_dir(&directory).arg(&healthy).output().expect("the program can be started");
    assert_eq!(Run::from(output).errors(), [None], "by a relative path");
    Ok(())
}

/// Makes directories in `directory` until the path is as long as the system takes, with room for a file's name.
pub(crate) fn deepen(world: &World, mut directory: PathBuf) -> PathBuf {
    // PATH_MAX of macOS and of Linux, where the end of the string counts.
    let longest = if world.is_linux() { 4095 } else { 1023 };
    while let room @ 100.. = longest - directory.as_os_str().len() {
        directory.push("d".repeat((room - 70).min(200)));
        fs::create_dir(&directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
    }
    directory
}

fn it_works_with_an_empty_environment(world: &World) -> Result<(), String> {
    let healthy = world.library(&world.empty_directory("environment"), "healthy");
    let mut command = world.command();
    if !world.runner.is_empty() {
        // The runner itself is searched for.
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    } else {
        command.env_clear();
    }
    let output = command.arg(healthy).output().expect("the program can be started");
    assert_eq!(Run::from(output).errors(), [None]);
    Ok(())
}

/// A root with the program, a library, and the system's loader and libc unless they shall be missing.
fn small_root(world: &World, name: &str, with_loader: bool) -> PathBuf {
    let root = world.empty_directory(name);
    fs::copy(&world.program, root.join("tsuku-dltest")).expect("target is writable");
    world.library(&root, "healthy");
    world.library(&root, "segfault");
    if with_loader {
        let machine = std::env::consts::ARCH;
        let files = match world.is_musl() {
            true => vec![format!("lib/ld-musl-{machine}.so.1")],
            false => {
                let lib = format!("lib/{machine}-linux-gnu");
                let loader =
                    if machine == "x86_64" { "lib64/ld-linux-x86-64.so.2" } else { "lib/ld-linux-aarch64.so.1" };
                vec![loader.to_owned(), format!("{lib}/libc.so.6"), format!("{lib}/libdl.so.2")]
            }
        };
        for file in files {
            let to = root.join(&file);
            fs::create_dir_all(to.parent().expect("it is in a directory")).expect("target is writable");
            fs::copy(Path::new("/").join(&file), to).unwrap_or_else(|e| panic!("/{file}: {e}"));
        }
    }
    root
}

/// Runs the program with `root` as its root directory; `before` are commands of the shell that come first.
fn run_in(root: &Path, before: &str, arguments: &[&str]) -> Run {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c"]);
    // Not chroot, which is not on an ordinary user's PATH.
    let script = format!("root=$1; shift; {before}\nexec unshare --root=\"$root\" /tsuku-dltest \"$@\"");
    command.arg(script).arg("sh").arg(root);
    if arguments.first().is_some_and(|first| first.starts_with('/')) {
        command.args(World::PATIENCE);
    }
    let output = command.args(arguments).stdin(Stdio::null()).output().expect("unshare can be run");
    Run::from(output)
}

fn it_works_without_proc_dev_and_tmp(world: &World) -> Result<(), String> {
    let root = small_root(world, "bare-root", true);
    let run = run_in(&root, "", &["/healthy.so", "/segfault.so", "/healthy.so"]);
    let crash = Some("killed by SIGSEGV while loading".to_owned());
    assert_eq!(run.errors(), [None, crash, None], "{}", run.stderr);
    // Even without a list of processes, none remains.
    let orphan = world.library(&root, "daemon");
    assert_eq!(run_in(&root, "", &["/daemon.so"]).errors(), [None]);
    let pid = fs::read_to_string(orphan.with_extension("so.pid")).expect("it was running");
    assert!(!Path::new("/proc").join(pid).exists(), "a process remains");
    Ok(())
}

fn it_works_on_a_read_only_root(world: &World) -> Result<(), String> {
    let root = small_root(world, "read-only-root", true);
    let before = "mount --bind \"$root\" \"$root\" && mount -o remount,bind,ro \"$root\" \"$root\" || exit 99";
    let run = run_in(&root, before, &["/healthy.so"]);
    if run.status == 99 {
        return Err("bind mounts are not allowed here".to_owned());
    }
    assert_eq!(run.errors(), [None]);
    Ok(())
}

fn loader(world: &World) -> String {
    format!("/lib/ld-musl-{}.so.1", world.target.split('-').next().expect("a target begins with its machine"))
}

fn a_missing_loader_is_named(world: &World) -> Result<(), String> {
    let root = small_root(world, "no-loader", false);
    let run = run_in(&root, "", &["/healthy.so"]);
    assert_eq!((run.status, run.stdout.as_str()), (2, ""));
    assert_eq!(run.stderr, format!("tsuku-dltest: {}: No such file or directory\n", loader(world)));
    Ok(())
}

fn a_damaged_loader_is_refused(world: &World) -> Result<(), String> {
    let root = small_root(world, "damaged-loader", true);
    let path = root.join(&loader(world)[1..]);
    let whole = fs::read(&path).expect("it was just copied");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    let changed = |at: usize, bytes: &[u8]| {
        let mut copy = whole.clone();
        copy[at..at + bytes.len()].copy_from_slice(bytes);
        copy
    };
    // Each program header is 56 bytes behind the one before, from 64 on.
    for (what, bytes) in [
        ("empty", Vec::new()),
        ("text", b"no loader".to_vec()),
        ("cut within the headers", whole[..100].to_vec()),
        ("cut within the segments", whole[..whole.len() / 2].to_vec()),
        ("another machine", changed(18, &[0xee])),
        ("32-bit", changed(4, &[1])),
        ("another kind", changed(16, &[1])),
        ("headers of another size", changed(54, &[32])),
        ("too many headers", changed(56, &[255])),
        ("headers outside", changed(32, &[0xff; 8])),
        ("an entry outside", changed(24, &[0xff; 8])),
        ("no headers", changed(56, &[0])),
    ] {
        fs::write(&path, bytes).expect("it is ours");
        let run = run_in(&root, "", &["/healthy.so"]);
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{what}");
        assert_eq!(run.stderr, format!("tsuku-dltest: {}: Exec format error\n", loader(world)), "{what}");
    }
    Ok(())
}

fn without_a_loader_it_still_tells_its_version(world: &World) -> Result<(), String> {
    let root = small_root(world, "no-loader-version", false);
    let run = run_in(&root, "", &["--version"]);
    assert_eq!((run.status, run.stderr), (0, world.run(["--version"]).stderr));
    assert_eq!(run_in(&root, "", &["--help"]).status, 0);
    let run = run_in(&root, "", &[]);
    assert_eq!((run.status, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.starts_with("usage:"), "{}", run.stderr);
    assert!(run_in(&root, "", &["--frob"]).stderr.starts_with("tsuku-dltest: --frob: unknown option"));
    Ok(())
}

fn through_shell(world: &World, script: &str, arguments: &[&Path]) -> std::process::Output {
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).args(&world.runner).arg(&world.program).args(World::PATIENCE).args(arguments);
    command.stdin(Stdio::null()).output().expect("sh can be run")
}

fn it_serves_a_caller_that_closed_its_streams(world: &World) -> Result<(), String> {
    let healthy = world.library(&world.empty_directory("closed"), "healthy");
    let run = Run::from(through_shell(world, "exec \"$@\" <&- 2>&-", &[&healthy]));
    assert_eq!(run.errors(), [None]);
    let output = through_shell(world, "exec \"$@\" >&-", &[&healthy]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "tsuku-dltest: standard streams: Bad file descriptor\n");
    Ok(())
}

fn it_serves_a_caller_that_ignores_its_children(world: &World) -> Result<(), String> {
    let directory = world.empty_directory("ignoring");
    let (healthy, crash) = (world.library(&directory, "healthy"), world.library(&directory, "segfault"));
    let number = if cfg!(target_os = "macos") { 20 } else { 17 };
    let mut command = world.command();
    let output = ignoring(&mut command, number)
        .args(World::PATIENCE)
        .args([&healthy, &crash])
        .output()
        .expect("the program can be started");
    assert_eq!(Run::from(output).errors(), [None, Some("killed by SIGSEGV while loading".to_owned())]);
    Ok(())
}

unsafe extern "C" {
    /// Makes a descriptor another name of a file.
    pub(crate) fn dup2(from: c_int, to: c_int) -> c_int;
}

/// Has the program started with a signal ignored, as it then stays through every `exec`. (A shell may not do it: dash
/// never ignores SIGCHLD.)
pub(crate) fn ignoring(command: &mut Command, number: c_int) -> &mut Command {
    unsafe extern "C" {
        fn signal(number: c_int, handler: *const c_void) -> *const c_void;
    }
    // SAFETY: signal() may be called between fork and exec; 1 is SIG_IGN, which is no function.
    unsafe {
        command.pre_exec(move || {
            signal(number, std::ptr::without_provenance(1));
            Ok(())
        })
    }
}

fn a_replaced_program_starts_no_child(world: &World) -> Result<(), String> {
    if world.is_linux() {
        return Err("a child is not executed there".to_owned());
    }
    // As a driver of another version would start this one.
    let directory = world.empty_directory("replaced");
    let crash = world.library(&directory, "segfault");
    let role = "tsuku-dltest: loader";
    let mut command = world.command_with(&["--argv0", role]);
    if !world.is_stand_in() {
        command.arg0(role);
    }
    command.args(["tsuku-dltest v0.0.0-other\n", "1000"]).arg(&crash);
    // Memory where its slot would be.
    let path = directory.join("memory");
    let memory = fs::File::options().read(true).write(true).create_new(true).open(path).expect("target is writable");
    memory.set_len(1 << 24).expect("there is room");
    let fd = memory.as_raw_fd();
    // SAFETY: dup2() may be called between fork and exec.
    unsafe {
        command.pre_exec(move || {
            // A duplicate stays open; if it is 3 already, it is none.
            dup2(dup2(fd, 63), 3);
            Ok(())
        })
    };
    let output = command.output().expect("the program can be started");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    Ok(())
}

fn a_taken_name_is_no_obstacle(world: &World) -> Result<(), String> {
    if !world.is_stand_in() {
        return Err("shared memory has a name on macOS only, and there no place where a test could take it".to_owned());
    }
    let healthy = world.library(&world.empty_directory("taken"), "healthy");
    // In the stand-in it is Linux' shared memory, where a directory is in the way.
    let script = "name=/dev/shm/tsuku-$(printf %08x $$); mkdir \"$name\" || exit 99; echo \"$name\" >&2; exec \"$@\"";
    let output = through_shell(world, script, &[&healthy]);
    fs::remove_dir(String::from_utf8_lossy(&output.stderr).trim()).expect("the script made it");
    assert_eq!(Run::from(output).errors(), [None]);
    Ok(())
}
