//! Real libraries: the machine's own, and those of PyPI wheels for all four Linux platforms.

use std::fs;
use std::path::{Path, PathBuf};

use super::Test;
use super::world::{World, fetched};

pub(crate) const TESTS: &[Test] = &[
    ("the_systems_libraries_load", the_systems_libraries_load),
    ("the_libraries_of_wheels_load", the_libraries_of_wheels_load),
    ("a_missing_symbol_is_named", a_missing_symbol_is_named),
    ("a_wheel_for_another_machine_is_told", a_wheel_for_another_machine_is_told),
];

/// Why a test cannot run on this machine, if it needs libraries that are not there.
pub(crate) fn obstacle(world: &World, name: &str) -> Option<&'static str> {
    // On a foreign machine, that machine shows it.
    let native = (world.runner.is_empty() || world.is_emulated() && world.is_linux()) && !world.is_musl();
    if name == "the_systems_libraries_load" && !native {
        return Some(match world.is_linux() {
            true => "the system's libraries are made for another libc or machine",
            false => "a stand-in for macOS has none of its libraries but libSystem",
        });
    }
    let wheels = TESTS[1..].iter().any(|(test, _)| *test == name);
    if wheels && !world.is_linux() {
        return Some("wheels are fetched for Linux only");
    }
    let there = fetched().join("wheels/musllinux_1_2_x86_64/.complete").exists();
    (wheels && !there).then_some("run cmd/tsuku-dltest/tests/fetch-libraries")
}

/// Shared objects in and below a directory, in order.
fn libraries(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(libraries(&path));
        } else if entry.file_name().to_string_lossy().contains(".so") && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The libraries of the machine itself that a program may load.
pub(crate) fn system_libraries() -> Vec<PathBuf> {
    let directory = format!("/usr/lib/{}-linux-gnu", std::env::consts::ARCH);
    let mut found: Vec<_> = libraries(Path::new(&directory))
        .into_iter()
        .filter(|path| path.parent() == Some(Path::new(&directory)) && !path.is_symlink())
        .collect();
    if cfg!(target_os = "macos") {
        // They are in dyld's cache, not in files.
        found = ["libz.1.dylib", "libSystem.B.dylib", "libc++.1.dylib"].map(|n| Path::new("/usr/lib").join(n)).to_vec();
    }
    found
}

fn wheels(platform: &str) -> Vec<PathBuf> {
    let directory = fetched().join("wheels").join(platform);
    // Absolute, as tsuku gives them.
    libraries(&directory)
}

fn own_wheels(world: &World) -> String {
    let machine = world.target.split('-').next().expect("a target begins with its machine");
    if world.is_musl() { format!("musllinux_1_2_{machine}") } else { format!("manylinux_2_28_{machine}") }
}

fn the_systems_libraries_load(world: &World) -> Result<(), String> {
    let paths = system_libraries();
    assert!(!paths.is_empty(), "no system libraries were found");
    let named = ["libz.so", "libssl.so", "libcrypto.so", "libz.1.dylib"];
    let run = world.run(&paths);
    let mut seen = 0;
    for (path, error) in run.answers() {
        if named.iter().any(|name| path.contains(&format!("/{name}"))) {
            assert_eq!(error, None, "{path}");
            seen += 1;
        }
    }
    assert!(seen > 0, "neither zlib nor OpenSSL is on this machine");
    Ok(())
}

fn the_libraries_of_wheels_load(world: &World) -> Result<(), String> {
    let paths: Vec<_> = wheels(&own_wheels(world))
        .into_iter()
        .filter(|path| path.parent().is_some_and(|directory| directory.to_string_lossy().ends_with(".libs")))
        .collect();
    let run = world.run(&paths);
    let (mut loaded, mut refused, mut crashed) = (0, 0, 0);
    for (path, error) in run.answers() {
        match error {
            None => loaded += 1,
            // A neighbour that is found through its user's search path only.
            Some(error) if error.contains("No such file") => refused += 1,
            // musl before 1.2.4 does not apply DT_RELR, and what relies on it crashes.
            Some(error) if world.is_musl() && error == "killed by SIGSEGV while loading" => crashed += 1,
            Some(error) => panic!("{path}: {error}"),
        }
    }
    println!("{}: {loaded} loaded, {refused} lack a neighbour, {crashed} crashed", world.platform);
    assert!(loaded >= 8, "{loaded} loaded, {refused} lack a neighbour, {crashed} crashed");
    Ok(())
}

fn a_missing_symbol_is_named(world: &World) -> Result<(), String> {
    // Extension modules take Python's symbols from the interpreter, which is not here.
    let name = if world.is_musl() { "symbol not found" } else { "undefined symbol: " };
    let paths: Vec<_> = wheels(&own_wheels(world))
        .into_iter()
        .filter(|path| {
            ["_pydantic_core", "_multiarray_umath", "_rust.abi3"].iter().any(|n| path.to_string_lossy().contains(n))
        })
        .collect();
    assert_eq!(paths.len(), 3);
    for (path, error) in world.run(&paths).answers() {
        let error = error.unwrap_or_else(|| panic!("{path} loads without Python"));
        let crash = world.is_musl() && error.starts_with("killed by SIGSEGV");
        assert!(
            (error.contains(name) && error.contains("Py")) || error.contains("No such file") || crash,
            "{path}: {error}"
        );
    }
    Ok(())
}

fn a_wheel_for_another_machine_is_told(world: &World) -> Result<(), String> {
    let (mine, other) = if world.target.starts_with("x86_64") { ("x86_64", "aarch64") } else { ("aarch64", "x86_64") };
    let paths = wheels(&own_wheels(world).replace(mine, other));
    assert!(paths.len() > 10);
    for (path, error) in world.run(&paths).answers() {
        let error = error.unwrap_or_else(|| panic!("{path} was loaded"));
        assert!(error.ends_with(&format!(" (the file is an ELF library for {other})")), "{path}: {error}");
    }
    Ok(())
}
