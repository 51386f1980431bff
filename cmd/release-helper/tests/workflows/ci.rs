//! What a job of ci.yml does is what README's two commands do, and `.ci/bare-machine` runs those.

use std::collections::BTreeSet;

use crate::document::{Workflow, parse, root, workflow};

/// A part of `.ci/run`: the line of a job, the file that does the same, and its words for it.
const PARTS: [(&str, &str, &str); 2] = [
    (".ci/apt-install musl", ".ci/run", " musl "),
    ("cargo test --locked --test dltest-protocol", ".ci/test", "dltest-protocol"),
];

/// What is left to GitHub, and why.
const EXCEPTIONS: [(&str, &str); 5] = [
    (".github/scripts/fetch-nix-installer.sh", "a bare machine has no Nix"),
    (
        "nix flake check --print-build-logs",
        "takes Nix and nixpkgs; nix/tests/run evaluates it, nix/tests/lab/run builds it",
    ),
    (
        "cargo release-helper exercise --version 0.0.0 --quarantined \"$ARTIFACT\"",
        "asks macOS what it does, and its failure fails nothing",
    ),
    (".ci/fuzz 60", "takes six minutes, and what it finds is a matter of luck; tests replay what it has found"),
    ("exit 1", "says how the other jobs ended"),
];

fn text(file: &str) -> String {
    std::fs::read_to_string(root().join(file)).unwrap()
}

/// The commands that README gives and that a bare machine is given.
fn commands() -> BTreeSet<String> {
    let (readme, bare) = (text("README.md"), text(".ci/bare-machine"));
    let given = bare.split("as_user 'cd tsuku-dltest && ").skip(1).filter_map(|rest| rest.split('\'').next());
    given
        .filter(|command| readme.lines().any(|line| line.starts_with(&format!("{command} "))))
        .map(str::to_owned)
        .collect()
}

/// The lines of the jobs that are nothing of this.
fn others(workflow: &Workflow) -> BTreeSet<String> {
    let steps = workflow.jobs.values().flat_map(|job| &job.steps);
    let lines = steps.filter_map(|step| step.run.as_deref()).flat_map(str::lines).map(str::to_owned);
    let commands = commands();
    lines
        .filter(|line| !commands.contains(line))
        .filter(|line| !PARTS.iter().any(|(part, file, words)| part == line && text(file).contains(words)))
        .collect()
}

#[test]
fn every_line_of_ci_is_one_of_two_commands_a_part_of_them_or_a_known_exception() {
    assert_eq!(commands(), BTreeSet::from([".ci/run".to_owned(), "cargo rehearse".to_owned()]));
    assert!(text(".ci/run").contains("\nrun .ci/test\n"));
    let expected = EXCEPTIONS.map(|(line, _)| line.to_owned());
    assert_eq!(others(&workflow("ci.yml")), BTreeSet::from(expected));
    // No part is named that no job has.
    let ci = text(".github/workflows/ci.yml");
    assert!(PARTS.iter().all(|(line, ..)| ci.contains(&format!("run: {line}\n"))));
}

#[test]
fn a_line_that_no_bare_machine_has_run_is_noticed() {
    let ci = text(".github/workflows/ci.yml").replace("run: cargo rehearse\n", "run: cargo rehearse --keep\n");
    assert!(others(&parse(&ci).unwrap()).contains("cargo rehearse --keep"));
}
