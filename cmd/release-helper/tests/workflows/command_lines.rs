//! Every command line of the helper, in the workflows and in the runbook, is one that the helper understands.

use std::process::Command as Process;

use clap::Subcommand;
use release_helper::commands::Command;

use crate::document::{Names, files, parse, root};

/// What the shell makes of `line`: the helper's arguments. A command that is not the helper's has none.
fn arguments(line: &str, environment: &Names) -> Vec<String> {
    let script = format!("release-helper() {{ printf '%s\\0' \"$@\"; }}\n{line}");
    let output = Process::new("bash").args(["-euc", &script]).env_clear().envs(environment).output();
    let output = output.expect("bash starts");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("text");
    text.split_terminator('\0').map(str::to_owned).collect()
}

fn parses(line: &str, environment: &Names) -> Result<(), String> {
    let helper = Command::augment_subcommands(clap::Command::new("release-helper").subcommand_required(true));
    let words = std::iter::once("release-helper".to_owned()).chain(arguments(line, environment));
    helper.try_get_matches_from(words).map(drop).map_err(|error| format!("{line}: {error}"))
}

/// Values for the variables of a step, in the form that they have in a run.
fn sample(name: &str) -> String {
    let value = match name {
        "TAG" => "v1.2.3",
        "VERSION" => "1.2.3",
        "BRANCH" => "origin/main",
        "COMMIT" => "0123456789012345678901234567890123456789",
        "PLATFORM" => "linux-arm64-musl",
        "ARTIFACT" => "dist/tsuku-dltest-linux-arm64-musl",
        "RELEASE_ID" => "174523",
        "BACKEND" => "cargo",
        "DRY_RUN" | "STAMPED" | "ALLOW_UNSTAMPED" => "false",
        _ => "{}",
    };
    value.to_owned()
}

#[test]
fn the_helper_understands_every_command_line_of_the_workflows() {
    let mut lines = 0;
    for (name, text) in files() {
        let workflow = parse(&text).unwrap();
        for (id, job) in &workflow.jobs {
            for step in &job.steps {
                let Some(run) = step.run.as_deref().filter(|run| run.starts_with("release-helper ")) else { continue };
                let environment = workflow
                    .env
                    .keys()
                    .chain(job.env.keys())
                    .chain(step.env.keys())
                    .map(|name| (name.clone(), sample(name)));
                parses(run, &environment.collect()).unwrap_or_else(|error| panic!("{name}: {id}: {error}"));
                lines += 1;
            }
        }
    }
    assert!(lines >= 15, "found only {lines}");
}

#[test]
fn the_helper_understands_every_command_line_of_the_runbook() {
    let text = std::fs::read_to_string(root().join("docs/releasing.md")).unwrap();
    let environment = ["TAG", "PLATFORM", "RELEASE_ID"].map(|name| (name.to_owned(), sample(name))).into();
    let lines: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("cargo release-helper ")).collect();
    assert!(!lines.is_empty());
    for line in lines {
        parses(&format!("release-helper {line}"), &environment).unwrap();
    }
}

#[test]
fn a_misspelt_option_or_subcommand_is_noticed() {
    assert!(parses("release-helper platforms", &Names::new()).is_ok());
    assert!(parses("release-helper platforms --jsn", &Names::new()).is_err());
    assert!(parses("release-helper platform", &Names::new()).is_err());
    let upload =
        |id: &str| parses("release-helper upload --release-id \"$ID\" file", &[("ID".into(), id.into())].into());
    assert!(upload("7").is_ok());
    assert!(upload("").is_err());
}
