//! The command line and standard input.

use super::Test;
use super::world::World;

pub(crate) const TESTS: &[Test] = &[
    ("wrong_usage_is_status_2_and_says_why", wrong_usage_is_status_2_and_says_why),
    ("options_may_stand_anywhere_before_two_dashes", options_may_stand_anywhere_before_two_dashes),
    ("paths_may_come_from_standard_input", paths_may_come_from_standard_input),
    ("help_names_every_option", help_names_every_option),
    ("no_arguments_make_it_die", no_arguments_make_it_die),
];

fn wrong_usage_is_status_2_and_says_why(world: &World) -> Result<(), String> {
    for (arguments, why) in [
        (&["--frob", "x.so"][..], "--frob: unknown option"),
        (&["-x"], "-x: unknown option"),
        (&["-"], "-: unknown option"),
        (&["--jobs"], "--jobs: needs a value"),
        (&["--jobs", "0", "x.so"], "--jobs: needs a number from 1 to 32"),
        (&["--jobs=33", "x.so"], "--jobs=33: needs a number from 1 to 32"),
        (&["--jobs", "two", "x.so"], "--jobs: needs a number"),
        (&["--jobs", "", "x.so"], "--jobs: needs a number"),
        (&["--jobs", "99999999999999999999", "x.so"], "--jobs: needs a number"),
        (&["--timeout-ms", "-1", "x.so"], "--timeout-ms: needs a number from 1 to 86400000"),
        (&["--timeout-ms=86400001", "x.so"], "--timeout-ms=86400001: needs a number"),
        (&["--isolation", "none", "x.so"], "--isolation: needs strict or shared"),
        (&["--stdin0", "x.so"], "x.so: paths come from standard input"),
        (&["--stdin0=1"], "--stdin0=1: unknown option, or one that takes no value"),
        (&["--version", "--json-lines"], "--version: stands alone"),
        (&["--bad\u{1b}[31m\n", "x.so"], "--bad?[31m?: unknown option"),
    ] {
        let run = world.run(arguments);
        assert_eq!((run.status, run.stdout.as_str()), (2, ""), "{arguments:?}");
        assert!(run.stderr.starts_with(&format!("tsuku-dltest: {why}")), "{arguments:?}: {}", run.stderr);
        assert!(run.stderr.ends_with("\nhint: tsuku-dltest --help\n"), "{}", run.stderr);
    }
    Ok(())
}

fn options_may_stand_anywhere_before_two_dashes(world: &World) -> Result<(), String> {
    let run = world.run(["/nowhere/1", "--jobs", "2", "/nowhere/2", "--timeout-ms=900", "--", "--jobs", "--"]);
    let paths: Vec<_> = run.answers().into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["/nowhere/1", "/nowhere/2", "--jobs", "--"]);
    assert_eq!(world.run(["--"]).status, 2, "no paths");
    Ok(())
}

fn paths_may_come_from_standard_input(world: &World) -> Result<(), String> {
    let directory = world.empty_directory("stdin");
    let healthy = world.library(&directory, "healthy").display().to_string();
    // With and without a last NUL; with newlines and dashes, which mean nothing here.
    for end in ["\0", ""] {
        let input = format!("{healthy}\0/nowhere/a\nb\0--version{end}");
        let run = world.run_with_input(&["--stdin0"], input.as_bytes());
        let answers = run.answers();
        assert_eq!(answers.len(), 3);
        assert_eq!(answers[0], (healthy.clone(), None));
        assert_eq!(answers[1].0, "/nowhere/a\nb");
        assert_eq!(answers[2].0, "--version");
        assert_eq!(run.status, 1);
    }
    let run = world.run_with_input(&["--stdin0"], b"");
    assert_eq!((run.status, run.stdout.as_str()), (0, "[]\n"));
    let run = world.run_with_input(&["--stdin0", "--json-lines"], b"");
    assert_eq!((run.status, run.stdout.as_str()), (0, ""));
    assert_eq!(world.run_with_input(&["--stdin0"], b"\0\0").errors().len(), 2, "two empty paths");
    // Far more than a pipe holds.
    let count = 10_000 / world.load();
    let long = directory.join("./".repeat(300)).join("healthy.so").display().to_string();
    let input = format!("{long}\0").repeat(count);
    assert!(input.len() > 2 << 16);
    let run = world.run_with_input(&["--stdin0"], input.as_bytes());
    assert_eq!(run.errors(), vec![None; count]);
    Ok(())
}

fn help_names_every_option(world: &World) -> Result<(), String> {
    let run = world.run(["--help"]);
    assert_eq!((run.status, run.stdout.as_str()), (0, ""));
    for option in super::documents::OPTIONS {
        assert!(run.stderr.contains(option), "{option}");
    }
    assert!(run.stderr.lines().all(|line| line.len() <= 110), "too wide");
    Ok(())
}

fn no_arguments_make_it_die(world: &World) -> Result<(), String> {
    // Words that mean something, and their pieces, in any order (xorshift, so that a failure comes again).
    let words = [
        "--jobs",
        "--jobs=",
        "--jobs=3",
        "--timeout-ms",
        "--timeout-ms=50",
        "--isolation",
        "shared",
        "strict",
        "--stdin0",
        "--json-lines",
        "--help",
        "-h",
        "--version",
        "--",
        "-",
        "",
        "=",
        "--=",
        "1",
        "4294967296",
        "/",
        ".",
        "/dev/null",
        "\u{fffd}",
        "a\tb",
        "--jobs\0",
        "\"",
        "\\",
        "/nowhere/\u{1F980}",
        "$ORIGIN",
        "$LIB/x",
        "x.so",
    ];
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut below = |limit: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % limit as u64) as usize
    };
    for _ in 0..1000 / world.load() {
        let arguments: Vec<_> = (0..below(6)).map(|_| words[below(words.len())].replace('\0', "")).collect();
        let run = world.run(&arguments);
        match run.status {
            0 | 1 if run.stdout.starts_with('[') => drop(run.answers()),
            0..=2 => {
                assert!(run.stdout.is_empty() || run.stdout.lines().all(|l| l.starts_with('{')), "{arguments:?}")
            }
            status => panic!("{arguments:?}: status {status}"),
        }
    }
    Ok(())
}
