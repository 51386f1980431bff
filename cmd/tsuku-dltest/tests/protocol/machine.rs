//! An arm64 machine with a kernel of its own, for what qemu-user cannot show: qemu-system-aarch64 starts Debian's kernel
//! with a small system, the artifacts, and this very test program, built for it. Once with pages of 4 KiB and once with
//! pages of 16 KiB.

use std::collections::HashMap;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use super::world::{World, compile, fetched, in_path, root};

/// In the machine: the directory with what the host compiled.
pub(crate) const INSIDE: &str = "TSUKU_DLTEST_MACHINE";
/// Longer than it takes on a busy host.
const LIMIT: Duration = Duration::from_secs(1500);
const TARGET: &str = "aarch64-unknown-linux-musl";
/// What qemu-user and the machine differ in: tests that only the latter can run, and why.
const BEYOND_EMULATION: &[(&str, &str)] = &[
    ("an_overwritten_result_is_not_believed", "qemu-user shows a library its own memory map only"),
    ("a_library_that_eats_memory_dies_alone", "a limit would limit qemu-user"),
    ("the_systems_libraries_load", "the system's libraries are made for another libc or machine"),
];

/// Why qemu-user cannot run a test.
pub(crate) fn beyond_emulation(world: &World, name: &str) -> Option<&'static str> {
    let processes = world.is_linux() && super::reach::NATIVE_ONLY.contains(&name);
    if processes || super::places::NATIVE_ONLY.contains(&name) {
        return Some("qemu-user cannot show this");
    }
    BEYOND_EMULATION.iter().find(|(test, _)| *test == name).map(|(_, reason)| *reason)
}

/// How a test ended: in the midst of which lines, or why it could not run.
type Ending = Result<(), String>;

static MACHINES: OnceLock<Result<Vec<(&str, String)>, String>> = OnceLock::new();

/// Starts the machines, so that whoever needs them first does not wait for all of it.
pub(crate) fn start() {
    thread::spawn(|| {
        MACHINES.get_or_init(boot_all);
    });
}

/// Runs a test on each machine there is. `Err` is why it cannot; it panics if it fails.
pub(crate) fn run(test: &str) -> Result<(), String> {
    let machines = MACHINES.get_or_init(boot_all).as_ref().map_err(Clone::clone)?;
    let mut ending: Ending = Ok(());
    for (pages, console) in machines {
        let endings: HashMap<_, _> = console.lines().filter_map(ended).collect();
        match endings.get(test) {
            Some(Some(reason)) if reason == "ok" => {}
            Some(Some(reason)) => ending = Err(format!("{pages}: {reason}")),
            // Its totals are not the ones of this run.
            _ => {
                panic!("{test} failed on the machine with {pages}:\n  | {}", console.trim_end().replace('\n', "\n  | "))
            }
        }
    }
    ending
}

/// A line that says how a test ended: its name, and `ok` or why it was ignored; nothing for a failure.
fn ended(line: &str) -> Option<(&str, Option<String>)> {
    let (name, how) = line.trim_end().strip_prefix("test ")?.split_once(" ... ")?;
    let how = match how.strip_prefix("ignored (") {
        Some(reason) => Some(reason.trim_end_matches(')').to_owned()),
        None => (how == "ok").then(|| how.to_owned()),
    };
    Some((name.trim_end(), how))
}

fn boot_all() -> Result<Vec<(&'static str, String)>, String> {
    let machine = fetched().join("arm64-machine");
    if in_path("qemu-system-aarch64").is_none() || in_path("cpio").is_none() {
        return Err("no qemu-system-aarch64, or no cpio".to_owned());
    }
    if !machine.join("root/.complete").exists() {
        return Err("run cmd/tsuku-dltest/tests/fetch-libraries".to_owned());
    }
    let archive = pack(&machine);
    let kernels = [("4 KiB pages", "kernel-4k"), ("16 KiB pages", "kernel-16k")];
    let kernels = kernels.map(|(pages, kernel)| (pages, machine.join(kernel)));
    let start = |(pages, kernel): (_, PathBuf)| {
        let archive = archive.clone();
        (pages, thread::spawn(move || boot(&kernel, &archive)))
    };
    let machines: Vec<_> = kernels.into_iter().filter(|(_, kernel)| kernel.exists()).map(start).collect();
    Ok(machines.into_iter().map(|(pages, machine)| (pages, machine.join().expect("it was off"))).collect())
}

/// The test program for the machine, as cargo says where it is.
fn test_program() -> PathBuf {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root()).args([
        "test",
        "--no-run",
        "--locked",
        "-p",
        "dltest-protocol",
        "--test",
        "dltest-protocol",
    ]);
    cargo.args(["--target", TARGET, "--message-format", "json", "--config", "cmd/dltest-protocol/link.toml"]);
    let output = cargo.stderr(Stdio::inherit()).output().expect("cargo can be run");
    assert!(output.status.success(), "the test program could not be built: {cargo:?}");
    let messages = String::from_utf8(output.stdout).expect("JSON is UTF-8");
    let mut programs = messages.lines().filter_map(|line| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(PathBuf::from(message.get("executable")?.as_str()?))
    });
    programs.next_back().expect("cargo names the program")
}

/// Everything that the machine has, as one archive.
fn pack(machine: &Path) -> PathBuf {
    let base = root().canonicalize().expect("the repository is there");
    let tree = base.join("target/dltest-tests/machine");
    let _ = fs::remove_dir_all(&tree);
    let copy = |from: &Path, to: &str| {
        let to = tree.join(to.trim_start_matches('/'));
        fs::create_dir_all(to.parent().expect("it is in a directory")).expect("target is writable");
        fs::copy(from, &to).unwrap_or_else(|e| panic!("{}: {e}", from.display()));
    };
    fs::create_dir_all(tree.join("compiled")).expect("target is writable");
    for target in ["aarch64-unknown-linux-gnu", TARGET] {
        let directory = tree.join("compiled").join(target);
        fs::create_dir_all(&directory).expect("target is writable");
        let library = |name: &str| directory.join(format!("{name}.so"));
        compile(target, &["--crate-type=cdylib"], "misbehaving.rs", &library("misbehaving"));
        let named = "-Clink-arg=-soname=libneeded.so";
        compile(target, &["--crate-type=cdylib", named], "needed.rs", &library("needed"));
        let link = format!("-Clink-arg={}", library("needed").display());
        compile(target, &["--crate-type=cdylib", &link], "needing.rs", &library("needing"));
    }
    for world in super::world::all().into_iter().flatten().filter(|world| world.platform.starts_with("linux-arm64")) {
        copy(&world.program, &format!("dist/tsuku-dltest-{}", world.platform));
    }
    copy(&test_program(), "tests");
    // The root of the repository that the test program knows.
    let inside = base.display();
    copy(&base.join("docs/protocol.md"), &format!("{inside}/docs/protocol.md"));
    fs::create_dir_all(tree.join(format!("{inside}/cmd/dltest-protocol").trim_start_matches('/')))
        .expect("target is writable");
    // Nothing may come between a test's name and how it ended: neither the tests' errors nor the kernel's messages.
    let script = format!(
        "#!/bin/busybox sh\n/bin/busybox --install -s /bin\nln -sf bash /bin/sh\nexport PATH=/usr/bin:/bin:/usr/sbin:/sbin\n\
         mkdir -p /proc /sys /dev /tmp\nmount -t proc proc /proc\nmount -t sysfs sys /sys\nmount -t devtmpfs dev /dev\nln -s /proc/self/fd /dev/fd\n\
         mount -t tmpfs tmp /tmp\nexport TSUKU_DLTEST_DIST=/dist {INSIDE}=/compiled RUST_BACKTRACE=0\n\
         cd {inside}\n/tests --color never 2>/tmp/errors\necho \"ended with $?\"\ncat /tmp/errors\npoweroff -f\n"
    );
    fs::write(tree.join("init"), script).expect("target is writable");
    let archive = tree.with_extension("cpio");
    // Two archives, one after the other, are one. All of it is root's there, as programs with the bit setuid demand.
    let command = "chmod +x init tests dist/*\n\
                   (cd \"$0\" && find . | cpio --quiet --owner=+0:+0 -o -H newc && cd \"$1\" && cp lib/ld-musl-aarch64.so.1 \"$2/musl\" && \
                    mkdir -p \"$2/lib\" && cd \"$2\" && mkdir -p usr/lib && mv musl usr/lib/ld-musl-aarch64.so.1 && rmdir lib && \
                    find . | cpio --quiet --owner=+0:+0 -o -H newc) >\"$3\"";
    let mut pack = Command::new("sh");
    pack.current_dir(&tree).args(["-ec", command]).arg(machine.join("root")).arg(fetched().join("arm64-musl"));
    let status = pack.arg(&tree).arg(&archive).status().expect("sh can be run");
    assert!(status.success(), "the archive could not be made");
    archive
}

/// Starts the machine; what it printed until it was off.
fn boot(kernel: &Path, archive: &Path) -> String {
    let mut qemu = Command::new("qemu-system-aarch64");
    qemu.args(["-M", "virt", "-cpu", "max,pauth-impdef=on", "-smp", "2", "-m", "1024", "-nic", "none", "-nographic"]);
    qemu.args(["-no-reboot", "-append", "console=ttyAMA0 loglevel=1 panic=-1"]);
    qemu.arg("-kernel").arg(kernel).arg("-initrd").arg(archive).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = qemu.spawn().expect("qemu can be started");
    let mut stdout = child.stdout.take().expect("there is a pipe");
    let reader = thread::spawn(move || {
        let mut console = Vec::new();
        let _ = stdout.read_to_end(&mut console);
        String::from_utf8_lossy(&console).into_owned()
    });
    let limit = Instant::now() + LIMIT;
    while child.try_wait().expect("it is ours").is_none() {
        if Instant::now() > limit {
            child.kill().expect("it runs");
        }
        thread::sleep(Duration::from_millis(100));
    }
    let console = reader.join().expect("the reader ends with the machine");
    let _ = std::io::stdout().flush();
    console
}

/// In the machine: a library that the host compiled.
pub(crate) fn compiled(target: &str, source: &str) -> Option<PathBuf> {
    let directory = PathBuf::from(env::var_os(INSIDE)?);
    Some(directory.join(target).join(source).with_extension("so"))
}
