//! How long signing and verifying take, beside `openssl dgst -sha256` of the same file: whole processes, wall clock.
//!
//! `cargo bench -p release-helper --bench codesign [-- FILE…]`; without a file, one of 28 MB and one of 280 MB are made.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

#[path = "../tests/codesign/images.rs"]
#[allow(dead_code)] // the tests use all of it
mod images;

const RUNS: usize = 15;

fn main() {
    let directory = tempfile::tempdir().unwrap();
    let given: Vec<PathBuf> =
        std::env::args_os().skip(1).filter(|argument| argument != "--bench").map(PathBuf::from).collect();
    let made = [28, 280].map(|megabytes: u64| make(&directory.path().join(format!("made-{megabytes}")), megabytes));
    let files = if given.is_empty() { made.to_vec() } else { given };
    println!("{:<36} {:>8} {:>8} {:>8} {:>9} {:>8}", "job", "min", "median", "max", "MB/s", "peak");
    for file in files {
        let megabytes = fs::metadata(&file).unwrap().len() as f64 / 1e6;
        let name = format!("{} ({megabytes:.0} MB)", file.file_name().unwrap().to_string_lossy());
        let (bare, signed) = (directory.path().join("bare"), directory.path().join("signed"));
        let helper = env!("CARGO_BIN_EXE_release-helper");
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let (bare_text, signed_text) = (text(&bare), text(&signed));
        let identifier = ["--identifier", "org.example.tool"];
        run(Command::new(helper).args(["unsign", &text(&file), "-o", &bare_text]));

        let fresh = || {
            fs::copy(&bare, &signed).unwrap();
        };
        measure(&name, "sign", megabytes, fresh, || command(helper, &["sign", &signed_text], &identifier));
        measure(
            &name,
            "sign --check-only",
            megabytes,
            || (),
            || command(helper, &["sign", "--check-only", &signed_text], &identifier),
        );
        measure(&name, "signature", megabytes, || (), || command(helper, &["signature", &signed_text], &[]));
        measure(
            &name,
            "openssl dgst",
            megabytes,
            || (),
            || command("openssl", &["dgst", "-sha256", &signed_text], &[]),
        );
    }
}

/// A program of so many megabytes, filled with something.
fn make(path: &Path, megabytes: u64) -> PathBuf {
    let mut image = images::Image::new(images::ARM);
    let size = megabytes * 1_000_000;
    image.segments[1].4 = size - 0x1000;
    let mut bytes = image.bytes();
    let start = bytes.len();
    bytes.resize(size as usize, 0);
    let mut state = 1_u32;
    for byte in &mut bytes[start..] {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *byte = state.to_be_bytes()[0];
    }
    fs::write(path, bytes).unwrap();
    path.to_owned()
}

/// The command under GNU time, which writes the peak of its memory to stderr.
fn command(program: &str, arguments: &[&str], more: &[&str]) -> Command {
    let mut command = Command::new("/usr/bin/time");
    command.args(["-f", "%M", program]).args(arguments).args(more);
    command
}

fn measure(file: &str, job: &str, megabytes: f64, prepare: impl Fn(), command: impl Fn() -> Command) {
    let mut times = Vec::new();
    let mut peak = 0;
    for _ in 0..RUNS {
        prepare();
        let start = Instant::now();
        let memory = run(&mut command());
        times.push(start.elapsed());
        peak = peak.max(memory);
    }
    times.sort_unstable();
    let milliseconds = |time: Duration| format!("{:.1} ms", time.as_secs_f64() * 1e3);
    let median = times[RUNS / 2];
    println!(
        "{:<36} {:>8} {:>8} {:>8} {:>9.0} {:>5} MB",
        format!("{file}: {job}"),
        milliseconds(times[0]),
        milliseconds(median),
        milliseconds(times[RUNS - 1]),
        megabytes / median.as_secs_f64(),
        peak / 1024
    );
}

/// Runs a command, which must succeed, and returns the last number it wrote to stderr, in KiB.
fn run(command: &mut Command) -> u64 {
    let output = command.stdout(Stdio::null()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command:?}: {text}");
    text.lines().last().and_then(|line| line.trim().parse().ok()).unwrap_or(0)
}
