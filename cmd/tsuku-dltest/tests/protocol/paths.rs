//! Files that are no library here, and names that are no files.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::Test;
use super::world::World;

pub(crate) const TESTS: &[Test] = &[
    ("a_file_that_is_no_library_here_is_named_for_what_it_is", a_file_that_is_no_library_here_is_named_for_what_it_is),
    ("what_would_block_is_not_opened", what_would_block_is_not_opened),
    ("an_empty_path_is_no_library", an_empty_path_is_no_library),
    ("any_bytes_make_valid_json", any_bytes_make_valid_json),
    ("long_paths_are_answered", long_paths_are_answered),
    ("the_answer_is_about_the_file_at_the_path", the_answer_is_about_the_file_at_the_path),
    ("a_name_without_a_slash_is_searched_for", a_name_without_a_slash_is_searched_for),
    ("links_and_relative_paths_lead_to_libraries", links_and_relative_paths_lead_to_libraries),
];

fn a_file_that_is_no_library_here_is_named_for_what_it_is(world: &World) -> Result<(), String> {
    let directory = world.empty_directory("mismatch");
    let library = fs::read(world.library(&directory, "healthy")).expect("it was just made");
    let changed = |at: usize, bytes: &[u8]| {
        let mut copy = library.clone();
        copy[at..at + bytes.len()].copy_from_slice(bytes);
        copy
    };
    let (other, other_machine) = if world.target.starts_with("x86_64") { ("aarch64", 183_u16) } else { ("x86_64", 62) };
    let mut cases: Vec<(&str, Vec<u8>, String)> = vec![
        ("empty", Vec::new(), "an empty file".into()),
        ("text", b"hello, world\n".to_vec(), "a text file".into()),
        ("ld-script", b"/* GNU ld script */\nINPUT(-lfoo)\n".to_vec(), "a linker script".into()),
        ("group", b"GROUP ( /lib/libc.so.6 )\n".to_vec(), "a linker script".into()),
        ("script", b"#!/bin/sh\n".to_vec(), "a script".into()),
        (
            "lfs",
            b"version https://git-lfs.github.com/spec/v1\n".to_vec(),
            "a Git LFS pointer, not the file itself".into(),
        ),
        ("archive", b"!<arch>\nfoo.o/".to_vec(), "a static library (ar archive)".into()),
        ("windows", [b"MZ\x90\0".as_slice(), &[0; 96]].concat(), "a Windows library or program".into()),
        ("wasm", [b"\0asm\x01\0\0\0".as_slice(), &[0; 96]].concat(), "a WebAssembly module".into()),
    ];
    let java = b"\xca\xfe\xba\xbe\0\0\0\x41";
    cases.push(("java", [java.as_slice(), &[0; 96]].concat(), "a Java class".into()));
    let power_pc = [b"\xfe\xed\xfa\xce".as_slice(), &[0; 96]].concat();
    cases.push(("powerpc", power_pc, "a Mach-O file for PowerPC".into()));
    if !world.is_linux() {
        cases.push(("elf", [b"\x7fELF\x02\x01\x01".as_slice(), &[0; 96]].concat(), "an ELF file, not Mach-O".into()));
    }
    if world.is_linux() {
        let elf = |what: &str| format!("an ELF {what}");
        cases.extend([
            ("macos", [b"\xcf\xfa\xed\xfe".as_slice(), &[0; 96]].concat(), "a Mach-O file for macOS".into()),
            (
                "fat",
                [b"\xca\xfe\xba\xbe\0\0\0\x02".as_slice(), &[0; 96]].concat(),
                "a universal Mach-O file for macOS".into(),
            ),
            ("zeros", vec![0; 4096], "no ELF or Mach-O file".into()),
            ("cut", library[..10].to_vec(), "a truncated ELF file".into()),
            ("machine", changed(18, &other_machine.to_le_bytes()), elf(&format!("library for {other}"))),
            ("riscv", changed(18, &243_u16.to_le_bytes()), elf("library for RISC-V")),
            ("strange", changed(18, &[0xee, 0xee]), elf("library for an unknown machine")),
            (
                "32-bit",
                [&changed(4, &[1])[..18], &3_u16.to_le_bytes(), &library[20..]].concat(),
                elf("library for x86 (32-bit)"),
            ),
            (
                "big-endian",
                [&changed(5, &[2])[..16], &3_u16.to_be_bytes(), &21_u16.to_be_bytes(), &library[20..]].concat(),
                elf("library for PowerPC 64 (big-endian)"),
            ),
            ("freebsd", changed(7, &[9]), elf(&format!("library for {} and FreeBSD", machine(world)))),
            ("object", changed(16, &1_u16.to_le_bytes()), elf("object file (.o)")),
            ("program", changed(16, &2_u16.to_le_bytes()), elf("program at a fixed address")),
        ]);
    }
    let paths: Vec<_> = cases
        .iter()
        .map(|(name, bytes, _)| {
            let path = directory.join(format!("{name}.so"));
            fs::write(&path, bytes).expect("target is writable");
            path
        })
        .collect();
    let errors = world.run(&paths).errors();
    for ((name, _, what), error) in cases.iter().zip(errors) {
        match error {
            Some(error) => assert!(error.ends_with(&format!(" (the file is {what})")), "{name}: {error}"),
            // musl does not look at all of the header, and may load what is marked as something else.
            None => assert!(world.is_musl(), "{name} was loaded"),
        }
    }
    if !world.is_linux() {
        // dyld loads programs, too.
        let program = directory.join("program.so");
        fs::copy(&world.program, &program).expect("target is writable");
        let error = world.run([&program]).errors().remove(0);
        assert_eq!(error, Some(format!("{}: is a program, not a library", program.display())));
    }
    // Of a library that is what it should be, nothing is said.
    let error = world.run([directory.as_path()]).errors().remove(0).expect("a directory does not load");
    assert!(!error.contains("the file is"), "{error}");
    Ok(())
}

fn machine(world: &World) -> &str {
    world.target.split('-').next().expect("a target begins with its machine")
}

fn what_would_block_is_not_opened(world: &World) -> Result<(), String> {
    let directory = world.empty_directory("blocking");
    let fifo = directory.join("fifo.so");
    assert!(Command::new("mkfifo").arg(&fifo).status().expect("mkfifo can be run").success());
    let errors = world.run([fifo.as_path(), Path::new("/dev/zero"), Path::new("/dev/../dev/null")]).errors();
    assert_eq!(errors[0], Some(format!("{}: is a FIFO, not a library", fifo.display())));
    assert_eq!(errors[1].as_deref(), Some("/dev/zero: is a character device, not a library"));
    assert_eq!(errors[2].as_deref(), Some("/dev/../dev/null: is a character device, not a library"));
    Ok(())
}

fn an_empty_path_is_no_library(world: &World) -> Result<(), String> {
    // To dlopen, an empty name is the program itself, which is always loaded.
    let run = world.run([""]);
    assert_eq!((run.status, run.errors()), (1, vec![Some("the path is empty".to_owned())]));
    Ok(())
}

fn any_bytes_make_valid_json(world: &World) -> Result<(), String> {
    let all: Vec<u8> = (1..=255).collect();
    let names: [&[u8]; 6] =
        [&all, b"\xff", b"a\xe2\x82", "\u{7f}\u{80}\u{2028}\u{1f980}".as_bytes(), b"\"},{\"", b"\n"];
    let mut paths = Vec::new();
    for name in names {
        let mut path = b"/nowhere/".to_vec();
        path.extend(name);
        paths.push(OsString::from_vec(path));
    }
    let run = world.run(&paths);
    for (path, (answered, error)) in paths.iter().zip(run.answers()) {
        assert_eq!(answered, String::from_utf8_lossy(path.as_bytes()));
        assert!(error.is_some());
    }
    Ok(())
}

fn long_paths_are_answered(world: &World) -> Result<(), String> {
    for length in [255, 4095, 4096, 100_000] {
        let path = format!("/{}", "x".repeat(length - 1));
        let answers = world.run([&path]).answers();
        assert_eq!(answers[0].0, path);
        assert!(answers[0].1.is_some(), "{length}");
    }
    // More than any command line holds.
    let path = format!("/{}", "x".repeat(1_200_000));
    let run = world.run_with_input(&["--stdin0"], path.as_bytes());
    assert_eq!((run.status, run.answers()[0].0.len()), (1, path.len()));
    // As long as the kernel allows, and there.
    let healthy = world.library(&super::places::deepen(world, world.empty_directory("long")), "healthy");
    assert_eq!(world.run([healthy]).errors(), [None]);
    Ok(())
}

fn the_answer_is_about_the_file_at_the_path(world: &World) -> Result<(), String> {
    let directory = world.empty_directory("elsewhere");
    let elsewhere = directory.join("elsewhere");
    fs::create_dir(&elsewhere).expect("target is writable");
    let healthy = world.library(&elsewhere, "healthy");
    let missing = directory.join("healthy.so");
    let (there, broken) = (world.library(&directory, "abort"), directory.join("broken.so"));
    fs::write(&broken, "no library").expect("target is writable");
    fs::copy(&healthy, elsewhere.join("broken.so")).expect("target is writable");
    // Where dyld looks first for any file of the name, whatever its path.
    let mut command = world.command();
    command.env(world.search_variable(), &elsewhere).args([&healthy, &missing, &there, &broken]);
    let errors = super::world::Run::from(command.output().expect("the program can be started")).errors();
    assert_eq!((&errors[0], &errors[2]), (&None, &Some("killed by SIGABRT while loading".to_owned())), "{errors:?}");
    assert!(errors[1].is_some() && errors[3].is_some(), "{errors:?}");
    Ok(())
}

fn a_name_without_a_slash_is_searched_for(world: &World) -> Result<(), String> {
    let directory = world.empty_directory("search");
    world.library(&directory, "healthy");
    let run = |variable: &str| {
        let mut command = world.command();
        command.current_dir("/").env(variable, &directory).args(["healthy.so", "libno-such-library.so"]);
        super::world::Run::from(command.output().expect("the program can be started")).errors()
    };
    let errors = run(world.search_variable());
    assert_eq!(errors[0], None);
    assert!(errors[1].as_ref().is_some_and(|error| error.contains("libno-such-library.so")), "{errors:?}");
    assert!(run("NOTHING")[0].is_some());
    Ok(())
}

fn links_and_relative_paths_lead_to_libraries(world: &World) -> Result<(), String> {
    let directory = world.empty_directory("links");
    world.library(&directory, "healthy");
    std::os::unix::fs::symlink("healthy.so", directory.join("link.so")).expect("target is writable");
    std::os::unix::fs::symlink("circle.so", directory.join("circle.so")).expect("target is writable");
    let mut command = world.command();
    command.current_dir(&directory).args([
        "./healthy.so",
        "./link.so",
        "../links/link.so",
        "./circle.so",
        "--",
        "./-.so",
    ]);
    let errors = super::world::Run::from(command.output().expect("the program can be started")).errors();
    assert_eq!(errors[..3], [None, None, None]);
    assert!(errors[3].is_some() && errors[4].is_some());
    assert_eq!(world.run([PathBuf::from("/")]).status, 1);
    Ok(())
}
