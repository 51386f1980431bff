//! The stand-in for macOS itself: it must refuse what macOS refuses, and end a run that it does not understand.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{Output, Stdio};
use std::thread;

use release_helper::domain::codesign::{self, Signing};

use super::Test;
use super::reach::children;
use super::world::{MOMENT, Run, World};

/// Only where a platform runs in it.
pub(crate) const TESTS: &[Test] = &[
    ("a_changed_byte_is_killed", a_changed_byte_is_killed),
    ("a_file_that_macos_would_not_start_is_refused", a_file_that_macos_would_not_start_is_refused),
    ("a_library_that_dyld_would_not_load_is_refused", a_library_that_dyld_would_not_load_is_refused),
    ("what_is_unknown_ends_the_run", what_is_unknown_ends_the_run),
    ("binding_lazily_changes_no_answer", binding_lazily_changes_no_answer),
    ("nothing_computes_for_ever", nothing_computes_for_ever),
];

const REFUSED: i32 = 118;
const UNKNOWN: i32 = 119;

/// Runs a changed copy of the program.
fn run_changed(world: &World, name: &str, bytes: &[u8]) -> Output {
    let path = world.empty_directory("stand-in").with_file_name(format!("stand-in-{name}"));
    fs::write(&path, bytes).expect("target is writable");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it is ours");
    world.command_for(&path).arg("").output().expect("it can be started")
}

fn program(world: &World) -> Vec<u8> {
    fs::read(&world.program).expect("the artifact can be read")
}

/// The first place of `part`: what dyld reads lies before the table of names, which nobody reads.
fn find(bytes: &[u8], part: &[u8]) -> usize {
    bytes.windows(part.len()).position(|window| window == part).expect("it is there")
}

fn a_changed_byte_is_killed(world: &World) -> Result<(), String> {
    let whole = program(world);
    assert_eq!(run_changed(world, "whole", &whole).status.code(), Some(1));
    let start = find(&whole, b"usage: tsuku-dltest");
    // Load commands are looked at before; behind them, each page on its own.
    for at in [start, start + 700, 0x1000, 0x2fff, 0x4000] {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        let output = run_changed(world, "byte", &changed);
        assert_eq!(output.status.signal(), Some(9), "byte {at:#x}: {output:?}");
    }
    Ok(())
}

fn signed(bytes: &[u8]) -> Vec<u8> {
    codesign::sign(bytes, &Signing::adhoc("tsuku-dltest")).expect("it can be signed")
}

fn a_file_that_macos_would_not_start_is_refused(world: &World) -> Result<(), String> {
    let whole = program(world);
    let changed = |at: usize, bytes: &[u8]| {
        let mut copy = whole.clone();
        copy[at..at + bytes.len()].copy_from_slice(bytes);
        copy
    };
    let import = find(&whole, b"_getpid\0");
    // Each lazy bind: a segment and offset, an ordinal, a name. libSystem is the first, and only one.
    let ordinal = import - 2;
    assert_eq!(whole[ordinal], 0x11, "BIND_OPCODE_SET_DYLIB_ORDINAL_IMM 1");
    // In a command of a segment, the place in memory comes behind the name, and the one in the file behind its size.
    let segment = find(&whole, b"__DATA_CONST");
    let offset = segment + 32;
    let minimum = find(&whole, &[1, 0, 0, 0, 0, 0, 11, 0]);
    for (name, bytes, why) in [
        ("import", signed(&changed(import, b"_getpiX")), "Symbol not found: _getpiX"),
        ("ordinal", signed(&changed(ordinal, &[0x12])), "bind ordinal 2 of _getpid is beyond"),
        ("unsigned", codesign::unsign(&whole).expect("it is signed"), "code signature absent"),
        ("page", changed(offset, &[0, 8]), "is not congruent with its place"),
        ("end", changed(offset + 10, &[1]), "extends beyond end of file"),
        ("short", whole[..whole.len() - 1].to_vec(), "beyond end of file"),
        ("newer", changed(minimum + 6, &[12]), "newer than running OS"),
        ("text", b"#!/bin/sh\n".to_vec(), "file too small"),
    ] {
        let output = run_changed(world, name, &bytes);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(REFUSED), "{name}: {error}");
        assert!(error.contains(why), "{name}: {error}");
    }
    Ok(())
}

fn a_library_that_dyld_would_not_load_is_refused(world: &World) -> Result<(), String> {
    let directory = world.empty_directory("refused-libraries");
    let whole = fs::read(world.library(&directory, "healthy")).expect("it was just made");
    let import = find(&whole, b"_setsid\0");
    let mut missing = whole.clone();
    missing[import..import + 7].copy_from_slice(b"_setsiX");
    let missing_symbol = signed(&missing);
    let cases = [
        ("missing-symbol", missing_symbol, "symbol not found in flat namespace '_setsiX'"),
        ("half", whole[..whole.len() / 2].to_vec(), "beyond end of file"),
        ("page", missing, "killed by SIGKILL while loading (macOS kills what is not validly signed)"),
    ];
    for (name, bytes, why) in cases {
        let path = directory.join(format!("{name}.dylib"));
        fs::write(&path, bytes).expect("target is writable");
        let error = world.run([path]).errors().remove(0).unwrap_or_default();
        assert!(error.contains(why), "{name}: {error}");
    }
    Ok(())
}

fn what_is_unknown_ends_the_run(world: &World) -> Result<(), String> {
    let whole = program(world);
    // LC_FUNCTION_STARTS, 16 bytes, becomes a command that nobody has.
    let command = find(&whole, &[0x26, 0, 0, 0, 16, 0, 0, 0]);
    let mut changed = whole.clone();
    changed[command] = 0x7e;
    let output = run_changed(world, "command", &changed);
    assert_eq!(output.status.code(), Some(UNKNOWN));
    assert!(String::from_utf8_lossy(&output.stderr).contains("unknown: load command"), "{output:?}");
    // And so does an option of its own.
    let output = world.command_with(&["--frob"]).output().expect("it can be started");
    assert_eq!(output.status.code(), Some(2));
    Ok(())
}

fn binding_lazily_changes_no_answer(world: &World) -> Result<(), String> {
    let directory = world.empty_directory("lazy");
    let mut paths = vec!["--timeout-ms".into(), world.timeout().into(), "".into(), "/nowhere".into()];
    for behaviour in ["healthy", "segfault", "exit-3", "unload-abort", "orphan", "load-more", "raise-18"] {
        paths.push(world.library(&directory, behaviour).into_os_string());
    }
    let eager = world.run(&paths);
    let lazy = Run::from(world.command_with(&["--lazy"]).args(&paths).output().expect("it can be started"));
    assert_eq!((lazy.stdout, lazy.status), (eager.stdout, eager.status));
    Ok(())
}

fn nothing_computes_for_ever(world: &World) -> Result<(), String> {
    let sleep = world.library(&world.empty_directory("limited"), "sleep");
    let mut command = world.command();
    let mut child = command.args(["--timeout-ms", "2000"]).arg(sleep).stdout(Stdio::null()).spawn().expect("it starts");
    let loaders = loop {
        let loaders = children(child.id());
        if !loaders.is_empty() {
            break loaders;
        }
        thread::sleep(MOMENT);
    };
    for pid in loaders.into_iter().chain([child.id().to_string()]) {
        let limits = fs::read_to_string(format!("/proc/{pid}/limits")).expect("it runs");
        let limit = limits.lines().find(|line| line.starts_with("Max cpu time")).expect("there is such a limit");
        assert_eq!(limit.split_whitespace().nth(3), Some("60"), "{limit}");
    }
    assert_eq!(child.wait().expect("it ends").code(), Some(1));
    Ok(())
}
