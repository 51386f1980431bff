//! What the command line says of itself: completions and manual pages, for every subcommand.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

#[path = "support/skipped.rs"]
mod skipped;

use skipped::skipped;

fn helper(arguments: &[&str]) -> Output {
    let output = Command::new(env!("CARGO_BIN_EXE_release-helper")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output
}

/// The subcommands in the help.
fn subcommands() -> BTreeSet<String> {
    let help = String::from_utf8(helper(&["--help"]).stdout).unwrap();
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names: BTreeSet<String> =
        lines.filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next().map(str::to_owned)).collect();
    names.into_iter().filter(|name| name != "help").collect()
}

#[test]
fn each_shell_takes_its_completions_and_they_know_every_subcommand() {
    for shell in ["bash", "zsh", "fish"] {
        let script = helper(&["completions", shell]).stdout;
        let text = String::from_utf8(script).unwrap();
        for name in subcommands() {
            assert!(text.contains(&name), "{shell} does not know {name}");
        }
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        match Command::new(shell).arg("-n").arg(file.path()).output() {
            Ok(output) => assert!(output.status.success(), "{shell}: {}", String::from_utf8_lossy(&output.stderr)),
            Err(_) => skipped(&format!("{shell} is not installed")),
        }
    }
}

#[test]
fn bash_completes_a_subcommand() {
    let script = "source <(\"$0\" completions bash)
        COMP_WORDS=(release-helper serve-r) COMP_CWORD=1 COMPREPLY=()
        _release__helper release-helper serve-r release-helper
        echo \"${COMPREPLY[@]}\"";
    let output = Command::new("bash").args(["-c", script, env!("CARGO_BIN_EXE_release-helper")]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "serve-releases", "{output:?}");
}

#[test]
fn there_is_a_manual_page_for_every_subcommand() {
    let directory = tempfile::tempdir().unwrap();
    helper(&["man", "--directory", directory.path().to_str().unwrap()]);
    let page = |name: &str| std::fs::read_to_string(directory.path().join(name)).unwrap_or_default();
    for name in subcommands() {
        assert!(page(&format!("release-helper-{name}.1")).contains(".SH SYNOPSIS"), "{name}");
    }
    assert_eq!(page("release-helper.1").into_bytes(), helper(&["man"]).stdout);
    assert!(page("release-helper-version-inject.1").contains(".SH SYNOPSIS"));
    readable(&directory.path().join("release-helper-tally.1"));
}

/// The page is one that a formatter of manuals reads without complaint.
fn readable(page: &Path) {
    let Ok(output) = Command::new("groff").args(["-man", "-ww", "-z"]).arg(page).output() else {
        return skipped("groff is not installed");
    };
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{said}");
}
