//! The linters of the field have nothing to say about the workflows and their scripts.

use std::process::Command;

use crate::document::root;
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
fn shellcheck_finds_nothing_in_the_scripts() {
    finds_nothing("shellcheck", &[], &files(".github/scripts", ".sh"));
}
