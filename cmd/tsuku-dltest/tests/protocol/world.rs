//! The platforms whose artifacts this machine can run, and how.
//!
//! By default each artifact is built by its recipe. With `TSUKU_DLTEST_DIST` naming a directory of released artifacts
//! (`tsuku-dltest-<platform>`), those are tested instead, byte for byte as published.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{env, fs, thread};

use serde_json::Value;

/// Between one look and the next at something that has to come.
pub(crate) const MOMENT: Duration = Duration::from_millis(2);

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// What `tests/fetch-libraries` fetches.
pub(crate) fn fetched() -> PathBuf {
    root().canonicalize().expect("the repository is there").join("target/dltest-libraries")
}

/// One platform: its artifact, how to start it, and libraries made for it.
pub(crate) struct World {
    pub(crate) platform: &'static str,
    pub(crate) target: &'static str,
    /// What runs its programs here, if it is not the kernel: an emulator, a stand-in for macOS.
    pub(crate) runner: Vec<String>,
    pub(crate) program: PathBuf,
    directory: PathBuf,
    misbehaving: Mutex<Option<PathBuf>>,
    /// How long to wait for what has to come: for ever, were it not for those who read why it did not.
    pub(crate) patience: Duration,
}

/// A platform that cannot be tested here, and why.
pub(crate) type Missing = (&'static str, String);

/// What became of a platform.
pub(crate) type Built = Result<Arc<World>, Missing>;

/// The platforms of the contract and their targets. Read without a parser of TOML, which not every machine here has.
fn platforms() -> impl Iterator<Item = (&'static str, &'static str)> {
    include_str!("../../../../release.toml").split("\n[platform.").skip(1).map(|table| {
        let value = |before: &str, after: char| table.split_once(before)?.1.split_once(after).map(|(value, _)| value);
        (table.split(']').next().unwrap_or_default(), value("\ntarget = \"", '"').expect("each has a target"))
    })
}

/// All platforms, without their artifacts.
pub(crate) fn all() -> Vec<Built> {
    let directory = root().canonicalize().expect("the repository is there").join("target/dltest-tests");
    platforms()
        .map(|(platform, target)| {
            let runner = runner(platform, target).map_err(|reason| (platform, reason))?;
            let program = match env::var_os("TSUKU_DLTEST_DIST") {
                Some(dist) => root().join(dist).join(format!("tsuku-dltest-{platform}")),
                None => root().join(format!("target/{target}/release/tsuku-dltest")),
            };
            if env::var_os("TSUKU_DLTEST_DIST").is_some() && !program.exists() {
                return Err((platform, format!("no {}", program.display())));
            }
            let misbehaving = Mutex::new(None);
            let directory = directory.join(platform);
            let patience = Duration::from_secs(20);
            Ok(Arc::new(World { platform, target, runner, program, directory, misbehaving, patience }))
        })
        .collect()
}

/// How to start a platform's programs here, or why that is impossible.
fn runner(platform: &str, target: &str) -> Result<Vec<String>, String> {
    let (os, machine) = (env::consts::OS, env::consts::ARCH);
    let native = target.starts_with(machine);
    if os == "macos" {
        return match (platform.starts_with("darwin"), native) {
            (false, _) => Err("runs on Linux only".to_owned()),
            (true, false) => Err(format!("made for another machine than {machine}")),
            (true, true) => Ok(Vec::new()),
        };
    }
    if !native && machine != "x86_64" {
        return Err(format!("made for another machine than {machine}"));
    }
    let emulator = ["qemu-aarch64", "qemu-aarch64-static"].iter().find_map(|name| in_path(name));
    let emulator = emulator.map(|path| path.display().to_string()).ok_or("no qemu-aarch64");
    if platform.starts_with("darwin") {
        let stand_in = stand_in(target).display().to_string();
        if native {
            return Ok(vec![stand_in]);
        }
        let emulator = emulator?;
        return Ok(vec![emulator.clone(), stand_in, "--through".to_owned(), emulator]);
    }
    let libc = if platform.ends_with("musl") { "musl" } else { "glibc" };
    let loader = |machine| format!("lib/ld-musl-{machine}.so.1");
    if native {
        if libc == "musl" && !Path::new("/").join(loader(machine)).exists() {
            return Err(format!("no /{} (install musl)", loader(machine)));
        }
        return Ok(Vec::new());
    }
    let root = fetched().join(format!("arm64-{libc}"));
    if !root.join(".complete").exists() {
        return Err("run cmd/tsuku-dltest/tests/fetch-libraries".to_owned());
    }
    Ok(vec![emulator?, "-L".to_owned(), root.display().to_string()])
}

/// The stand-in for macOS on a machine.
fn stand_in(target: &str) -> PathBuf {
    root().join("target").join(stand_in_target(target)).join("debug/darwin-stand-in")
}

/// It is a static Linux program of the same machine.
fn stand_in_target(target: &str) -> String {
    target.replace("apple-darwin", "unknown-linux-musl")
}

/// Where the program of this name is that a shell would run.
pub(crate) fn in_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).map(|directory| directory.join(name)).find(|path| path.exists())
}

/// All platforms, with their artifacts.
pub(crate) fn built() -> Vec<Built> {
    let worlds = all();
    let targets = |wanted: fn(&World) -> bool| worlds.iter().flatten().filter(move |world| wanted(world.as_ref()));
    if env::var_os("TSUKU_DLTEST_DIST").is_none() {
        build_in(root(), "tsuku-dltest", &["--release"], targets(|_| true).map(|world| world.target.to_owned()));
    }
    build_in(root(), "darwin-stand-in", &[], targets(World::is_stand_in).map(|world| stand_in_target(world.target)));
    worlds
}

/// Builds a package of the source tree at `root` by its link recipe.
pub(crate) fn build_in(root: &Path, package: &str, options: &[&str], targets: impl IntoIterator<Item = String>) {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root).args(["build", "--quiet", "--locked", "-p", package]).args(options);
    cargo.args(["--config", &format!("cmd/{package}/link.toml")]);
    let before = cargo.get_args().count();
    targets.into_iter().for_each(|target| _ = cargo.args(["--target", &target]));
    if cargo.get_args().count() > before {
        let status = cargo.status().expect("cargo can be run");
        assert!(status.success(), "{package} could not be built: {cargo:?}");
    }
}

impl World {
    /// The same platform with a faulty program, and a directory of its own.
    pub(crate) fn with_program(&self, program: &Path, directory: &Path) -> Self {
        Self {
            platform: self.platform,
            target: self.target,
            runner: self.runner.clone(),
            program: program.to_owned(),
            directory: directory.join("libraries"),
            misbehaving: Mutex::new(Some(self.misbehaving())),
            // It is expected not to come.
            patience: Duration::from_secs(6),
        }
    }

    /// Why this platform cannot run the test called `name`, if that is known beforehand.
    pub(crate) fn cannot(&self, name: &str) -> Option<&'static str> {
        if !self.is_linux()
            && (super::isolation::LINUX_ONLY.contains(&name) || super::reach::LINUX_ONLY.contains(&name))
        {
            return Some("macOS has no means for this");
        }
        super::places::obstacle(self, name).or_else(|| super::real::obstacle(self, name))
    }

    /// By how much less to try where everything takes longer.
    pub(crate) fn load(&self) -> usize {
        match (self.is_emulated(), self.is_stand_in()) {
            (true, true) => 50,
            (true, false) => 20,
            _ if env::var_os(super::machine::INSIDE).is_some() => 20,
            (false, true) => 10,
            _ => 1,
        }
    }

    /// Milliseconds that a healthy library takes never, however busy the machine.
    pub(crate) fn timeout(&self) -> &'static str {
        if self.is_emulated() || env::var_os(super::machine::INSIDE).is_some() { "6000" } else { "1500" }
    }

    /// True if it runs on an emulated processor.
    pub(crate) fn is_emulated(&self) -> bool {
        !self.target.starts_with(env::consts::ARCH)
    }

    /// True if it runs in a stand-in for macOS.
    pub(crate) fn is_stand_in(&self) -> bool {
        !self.is_linux() && env::consts::OS != "macos"
    }

    /// Options for a run in which nothing hangs: two seconds are not long for a busy machine.
    pub(crate) const PATIENCE: [&str; 2] = ["--timeout-ms", "60000"];

    pub(crate) fn is_linux(&self) -> bool {
        self.platform.starts_with("linux")
    }

    pub(crate) fn is_musl(&self) -> bool {
        self.platform.ends_with("musl")
    }

    /// The variable that tells this platform's loader where to search.
    pub(crate) fn search_variable(&self) -> &'static str {
        if self.is_linux() { "LD_LIBRARY_PATH" } else { "DYLD_LIBRARY_PATH" }
    }

    /// A command that runs the program, in an environment without anything that changes loading.
    pub(crate) fn command(&self) -> Command {
        self.command_for(&self.program)
    }

    /// The same for another copy of the program.
    pub(crate) fn command_for(&self, program: &Path) -> Command {
        self.command_of(&[], program)
    }

    /// The same with options for the stand-in, if it runs there.
    pub(crate) fn command_with(&self, options: &[&str]) -> Command {
        self.command_of(if self.is_stand_in() { options } else { &[] }, &self.program)
    }

    fn command_of(&self, options: &[&str], program: &Path) -> Command {
        let runner = self.runner.iter().map(OsStr::new).chain(options.iter().map(OsStr::new));
        let mut words = runner.chain([program.as_os_str()]);
        let mut command = Command::new(words.next().expect("there is a program"));
        command.args(words).stdin(Stdio::null());
        for name in
            ["LD_LIBRARY_PATH", "LD_PRELOAD", "LD_AUDIT", "LD_BIND_NOW", "DYLD_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES"]
        {
            command.env_remove(name);
        }
        command
    }

    /// Runs the program.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, arguments: impl IntoIterator<Item = A>) -> Run {
        let arguments: Vec<_> = arguments.into_iter().map(|argument| argument.as_ref().to_owned()).collect();
        let starts = |argument: &OsString, text: &str| argument.as_bytes().starts_with(text.as_bytes());
        let only_paths = !arguments.iter().any(|argument| starts(argument, "-"));
        let begins = arguments.first().is_some_and(|first| starts(first, "--jobs") || starts(first, "--isolation"));
        let has_limit = arguments.iter().any(|argument| starts(argument, "--timeout-ms"));
        let patient = !arguments.is_empty() && (only_paths || begins) && !has_limit;
        let patience = if patient { &Self::PATIENCE[..] } else { &[] };
        Run::from(self.command().args(patience).args(&arguments).output().expect("the program can be started"))
    }

    /// Runs the program with `input` on its standard input.
    pub(crate) fn run_with_input(&self, arguments: &[&str], input: &[u8]) -> Run {
        let mut command = self.command();
        command
            .args(Self::PATIENCE)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program can be started");
        let mut stdin = child.stdin.take().expect("there is a pipe");
        let input = input.to_vec();
        let writer = thread::spawn(move || {
            let _ = stdin.write_all(&input);
        });
        let output = child.wait_with_output().expect("the program ends");
        writer.join().expect("the input is written");
        Run::from(output)
    }

    /// An empty directory of this platform's own for one test.
    pub(crate) fn empty_directory(&self, name: &str) -> PathBuf {
        let directory = self.directory.join(name);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).unwrap_or_else(|e| panic!("{}: {e}", directory.display()));
        directory
    }

    /// A library that does what `behaviour` says (see `misbehaving.rs`), in a directory of its own test.
    pub(crate) fn library(&self, directory: &Path, behaviour: &str) -> PathBuf {
        let path = directory.join(format!("{behaviour}.so"));
        fs::copy(self.misbehaving(), &path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        path
    }

    fn misbehaving(&self) -> PathBuf {
        let mut made = self.misbehaving.lock().expect("no test panics while it compiles");
        made.get_or_insert_with(|| {
            fs::create_dir_all(&self.directory).expect("target is writable");
            let library = self.directory.join("misbehaving.so");
            compile(self.target, &["--crate-type=cdylib"], "misbehaving.rs", &library);
            library
        })
        .clone()
    }
}

/// Compiles a file of this directory for `target`, with rustc and, but on a Mac, its own linker alone.
pub(crate) fn compile(target: &str, arguments: &[&str], source: &str, result: &Path) {
    if let Some(library) = super::machine::compiled(target, source) {
        fs::copy(&library, result).unwrap_or_else(|e| panic!("{}: {e}", library.display()));
        return;
    }
    let mut rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()));
    rustc.args(["--edition=2024", "-Cpanic=abort", "-Copt-level=s", "-Clto", "--target", target]);
    if target.contains("linux") {
        rustc.args(["-Cstrip=symbols", "-Clinker=rust-lld", "-Clinker-flavor=ld.lld"]);
    }
    if target.contains("musl") {
        rustc.args(["-Clink-self-contained=no", "-Ctarget-feature=-crt-static"]);
    }
    if target.contains("apple") && cfg!(target_os = "macos") {
        rustc.arg("-Clink-arg=-lSystem");
    } else if target.contains("apple") {
        // There is no SDK to link with, and rustc shall not look for one.
        rustc.args(["-Clinker=rust-lld", "-Clinker-flavor=ld64.lld", "-Clink-args=-undefined dynamic_lookup"]);
        rustc.args(["-Clink-args=-adhoc_codesign"]).env("SDKROOT", "/").env("MACOSX_DEPLOYMENT_TARGET", "11.0");
    }
    let source = root().join("cmd/tsuku-dltest/tests/protocol").join(source);
    let output = rustc.current_dir(root()).args(arguments).arg(source).arg("-o").arg(result).output();
    let output = output.expect("rustc can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Arguments that give a library the name under which others ask for it.
pub(crate) fn named(target: &str, name: &str) -> String {
    match (target.contains("apple"), cfg!(target_os = "macos")) {
        (false, _) => format!("-Clink-arg=-soname={name}"),
        (true, false) => format!("-Clink-args=-install_name @rpath/{name}"),
        (true, true) => format!("-Clink-arg=-Wl,-install_name,@rpath/{name}"),
    }
}

/// What a run of the program gave.
pub(crate) struct Run {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code().unwrap_or_else(|| panic!("the program died: {:?}", output.status)),
            stdout: String::from_utf8(output.stdout).expect("the output is UTF-8"),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Run {
    /// The answers: path, and the error if it did not load.
    pub(crate) fn answers(&self) -> Vec<(String, Option<String>)> {
        let array: Vec<Value> =
            serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {:?} {:?}", self.stdout, self.stderr));
        array.iter().map(answer).collect()
    }

    /// The errors alone, in order.
    pub(crate) fn errors(&self) -> Vec<Option<String>> {
        self.answers().into_iter().map(|(_, error)| error).collect()
    }
}

/// Takes one answer apart, and insists on its exact form.
pub(crate) fn answer(value: &Value) -> (String, Option<String>) {
    let object = value.as_object().expect("an answer is an object");
    let text = |name: &str| object.get(name).and_then(Value::as_str).map(str::to_owned);
    let path = text("path").expect("an answer has a path");
    match object.get("ok").and_then(Value::as_bool) {
        Some(true) if object.len() == 2 => (path, None),
        Some(false) if object.len() == 3 => (path, Some(text("error").expect("a failure has an error"))),
        _ => panic!("not an answer: {value}"),
    }
}
