//! The linters of the field have nothing to say about the workflows and their scripts.

use std::path::Path;
use std::process::Command;

use crate::document::root;
use crate::github;
use crate::skipped::skipped;

/// The files below `.github` with this ending, relative to the top of the repository.
fn files(directory: &str, ending: &str) -> Vec<String> {
    let entries = root().join(directory).read_dir().expect("a directory of the repository");
    let mut names: Vec<_> = entries
        .map(|entry| format!("{directory}/{}", entry.expect("a readable directory").file_name().to_string_lossy()))
        .filter(|name| name.ends_with(ending))
        .collect();
    names.sort();
    assert!(!names.is_empty(), "nothing ends in {ending} in {directory}");
    names
}

/// Runs a linter; it must find nothing. One that is not installed is reported as skipped.
fn finds_nothing(program: &str, arguments: &[&str], files: &[String]) {
    let call = Command::new(program).args(arguments).args(files).current_dir(root()).env("NO_COLOR", "1").output();
    let output = match call {
        Err(error) => return skipped(&format!("{program}: {error} (.ci/run installs it)")),
        Ok(output) => output,
    };
    let said = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat();
    assert!(output.status.success(), "{program} found something:\n{said}");
}

#[test]
fn zizmor_as_an_auditor_finds_nothing() {
    finds_nothing(
        "zizmor",
        &["--offline", "--no-progress", "--strict-collection", "--persona", "auditor"],
        &[".".into()],
    );
}

#[test]
fn the_workflows_follow_github_s_schema() {
    let files = files(".github/workflows", ".yml");
    finds_nothing("check-jsonschema", &["--builtin-schema", "vendor.github-workflows"], &files);
    finds_nothing("check-jsonschema", &["--builtin-schema", "vendor.dependabot"], &[".github/dependabot.yml".into()]);
}

#[test]
fn yamllint_finds_nothing() {
    finds_nothing("yamllint", &["--strict", "-c", ".github/yamllint.yml", ".github"], &[]);
}

#[test]
fn shellcheck_finds_nothing_in_any_script() {
    let tracked = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().expect("git is installed");
    let names = String::from_utf8(tracked.stdout).expect("names in UTF-8");
    let is_script = |name: &&str| {
        let bytes = std::fs::read(root().join(name)).unwrap_or_default();
        ["#!/usr/bin/env bash", "#!/bin/sh"].iter().any(|line| bytes.starts_with(line.as_bytes()))
    };
    let scripts: Vec<String> = names.split('\0').filter(is_script).map(str::to_owned).collect();
    assert!(scripts.iter().any(|name| name == ".ci/run"), "{scripts:?}");
    finds_nothing("shellcheck", &["--external-sources"], &scripts);
}

/// What GitHub's language service finds in the workflows of `root`.
fn github_finds(root: &Path) -> String {
    let output = github::lint(root);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn github_itself_finds_nothing() {
    match github::available() {
        Ok(()) => assert_eq!(github_finds(&root()), ""),
        Err(reason) => skipped(&reason),
    }
}

/// An error in a copy of our workflows: the file, what is replaced by what, and what is found.
struct Planted {
    file: &'static str,
    from: &'static str,
    to: &'static str,
    found: &'static str,
}

/// What GitHub would stop at, or, worse, take for an empty string. Its own language service finds it.
const PLANTED_FOR_GITHUB: [Planted; 15] = [
    // A context that this place does not have.
    Planted {
        file: "build-rust.yml",
        from: "PLATFORM: ${{ matrix.platform }}",
        to: "PLATFORM: ${{ runner.os }}",
        found: "Unrecognized named-value: 'runner'",
    },
    Planted {
        file: "release.yml",
        from: "github.ref_name }}\n          BRANCH",
        to: "github.refname }}\n          BRANCH",
        found: "Context access might be invalid: refname",
    },
    // A misspelt output, of a job, of a step, of a called workflow, of the jobs within it.
    Planted {
        file: "release.yml",
        from: "release_id: ${{ needs.create-draft-release.outputs.release_id }}",
        to: "release_id: ${{ needs.create-draft-release.outputs.relase_id }}",
        found: "Context access might be invalid: relase_id",
    },
    Planted {
        file: "build-rust.yml",
        from: "${{ steps.attest.outputs.bundle-path }}",
        to: "${{ steps.atest.outputs.bundle-path }}",
        found: "Context access might be invalid: atest",
    },
    Planted {
        file: "release.yml",
        from: "${{ needs.build-rust.outputs.helpers }}",
        to: "${{ needs.build-rust.outputs.helper }}",
        found: "Context access might be invalid: helper",
    },
    Planted {
        file: "build-rust.yml",
        from: "${{ jobs.attest.outputs.records }}",
        to: "${{ jobs.atest.outputs.records }}",
        found: "Context access might be invalid: atest",
    },
    // A misspelt input, of a called workflow and of an action; one that is missing.
    Planted {
        file: "release.yml",
        from: "      ref: ${{ github.sha }}",
        to: "      reff: ${{ github.sha }}",
        found: "reff is not defined in the referenced workflow",
    },
    Planted {
        file: "build-rust.yml",
        from: "merge-multiple: true",
        to: "merge-multiples: true",
        found: "Invalid action input 'merge-multiples'",
    },
    Planted {
        file: "release.yml",
        from: "      tag: ${{ needs.create-draft-release.outputs.tag }}\n      release_id",
        to: "      release_id",
        found: "Input tag is required, but not provided while calling",
    },
    // A permission that is none.
    Planted {
        file: "ci.yml",
        from: "contents: read # to check out",
        to: "contents: raed # to check out",
        found: "Unexpected value 'raed'",
    },
    // An `if:` that is always true.
    Planted {
        file: "release.yml",
        from: "if: ${{ !cancelled() }}\n    runs-on",
        to: "if: ${{ !cancelled() }} && always()\n    runs-on",
        found: "always evaluate to truthy",
    },
    // A need, a function, a key and a format that don't exist.
    Planted {
        file: "release.yml",
        from: "needs: [create-draft-release, build-rust]",
        to: "needs: [create-draft-release, build-rusty]",
        found: "depends on unknown job 'build-rusty'",
    },
    Planted {
        file: "build-rust.yml",
        from: "endsWith(matrix.platform, '-musl')",
        to: "endWith(matrix.platform, '-musl')",
        found: "Unrecognized function: 'endWith'",
    },
    Planted {
        file: "build-rust.yml",
        from: "        continue-on-error: true",
        to: "        continue-on-failure: true",
        found: "Unexpected value 'continue-on-failure'",
    },
    Planted {
        file: "release.yml",
        from: "${{ github.event_name == 'push' && 'release' || 'dry-run' }}",
        to: "${{ format('{0}-{1}', 'release') }}",
        found: "Format string references argument {1}",
    },
];

/// What an attacker would look for: zizmor finds it.
const PLANTED_FOR_ZIZMOR: [Planted; 6] = [
    Planted {
        file: "release.yml",
        from: "run: release-helper summary release",
        to: "run: release-helper summary release ${{ github.ref_name }}",
        found: "template-injection",
    },
    Planted {
        file: "build-rust.yml",
        from: "actions/attest@1e69f48acb82d1966a394da916b4c1698aa569d6 # v4.2.2",
        to: "actions/attest@v4",
        found: "unpinned-uses",
    },
    Planted {
        file: "release.yml",
        from: "permissions: {}\n\nconcurrency",
        to: "concurrency",
        found: "excessive-permissions",
    },
    Planted {
        file: "release.yml",
        from: "          persist-credentials: false",
        to: "          persist-credentials: true",
        found: "artipacked",
    },
    // A secret on its way into the outputs of a matrix.
    Planted {
        file: "build-rust.yml",
        from: "STEPS: ${{ toJSON(steps) }}",
        to: "STEPS: ${{ toJSON(secrets) }}",
        found: "overprovisioned-secrets",
    },
    Planted {
        file: "release.yml",
        from: "GITHUB_TOKEN: ${{ github.token }}\n        run: >-\n          release-helper preflight",
        to: "GITHUB_TOKEN: ${{ secrets.RELEASE_TOKEN }}\n        run: >-\n          release-helper preflight",
        found: "secrets-outside-env",
    },
];

/// A copy of our workflows with the error in it.
fn plant(planted: &Planted) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("a place for the copy");
    release_helper::domain::source::copy(&root().join(".github"), &copy.path().join(".github")).expect("a copy");
    let path = copy.path().join(".github/workflows").join(planted.file);
    let text = std::fs::read_to_string(&path).expect("a readable file");
    assert!(text.contains(planted.from), "{} has no {:?} any more", planted.file, planted.from);
    std::fs::write(&path, text.replacen(planted.from, planted.to, 1)).expect("a writable file");
    copy
}

#[test]
fn github_itself_finds_every_planted_error() {
    if let Err(reason) = github::available() {
        return skipped(&reason);
    }
    for planted in &PLANTED_FOR_GITHUB {
        let found = github_finds(plant(planted).path());
        assert!(found.contains(planted.found), "{:?} in {}: {found}", planted.to, planted.file);
    }
}

#[test]
fn zizmor_finds_every_planted_error() {
    for planted in &PLANTED_FOR_ZIZMOR {
        let copy = plant(planted);
        let mut zizmor = Command::new("zizmor");
        zizmor.args(["--offline", "--no-progress", "--persona", "auditor", "."]).current_dir(copy.path());
        let output = match zizmor.env("NO_COLOR", "1").output() {
            Err(error) => return skipped(&format!("zizmor: {error} (.ci/run installs it)")),
            Ok(output) => output,
        };
        let found = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(found.contains(&format!("[{}]", planted.found)), "{:?} in {}: {found}", planted.to, planted.file);
    }
}
