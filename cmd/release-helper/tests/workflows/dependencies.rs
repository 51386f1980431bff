//! What this repository takes from others is what it may take (deny.toml), and each of its versions is one that somebody
//! looks after: Dependabot, or who makes a release (docs/releasing.md, "What nobody proposes").

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use crate::document::root;
use crate::skipped::skipped;

/// The workspaces, each with a lock of its own.
const MANIFESTS: [&str; 2] = ["Cargo.toml", "cmd/release-helper/fuzz/Cargo.toml"];

/// `cargo deny` for one of the workspaces, its lock as it is; says so where it is not installed.
fn cargo_deny(manifest: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Option<Output> {
    let mut program = Command::new("cargo-deny");
    program.args(["--locked", "--color", "never", "--manifest-path", manifest]).args(arguments);
    match program.current_dir(root()).envs(environment.iter().copied()).output() {
        Err(error) => {
            skipped(&format!("cargo-deny: {error} (.ci/run installs it)"));
            None
        }
        Ok(output) => Some(output),
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn no_dependency_has_another_licence_source_or_second_version_than_deny_toml_knows() {
    for (manifest, checks) in MANIFESTS.into_iter().zip([&["bans", "licenses", "sources"][..], &["sources"]]) {
        let Some(output) = cargo_deny(manifest, &[&["check"], checks].concat(), &[]) else { return };
        assert!(
            output.status.success(),
            "{manifest}: {}\nhint: a stale lock: cargo metadata --manifest-path {manifest}",
            said(&output)
        );
    }
}

#[test]
fn no_dependency_is_known_to_be_vulnerable_unmaintained_or_withdrawn() {
    let Some(fetched) = cargo_deny(MANIFESTS[0], &["fetch", "db"], &[]) else { return };
    if !fetched.status.success() {
        let reason = said(&fetched);
        return skipped(&format!("RustSec's advisories: {}", reason.trim().lines().last().unwrap_or_default()));
    }
    for manifest in MANIFESTS {
        let Some(output) = cargo_deny(manifest, &["check", "--disable-fetch", "advisories"], &[]) else { return };
        assert!(output.status.success(), "{manifest}: {}", said(&output));
    }
}

/// Checks with a deny.toml in which `from` is `to`; what it says.
fn with(check: &str, from: &str, to: &str, environment: &[(&str, &str)]) -> Option<String> {
    let text = std::fs::read_to_string(root().join("deny.toml")).expect("a readable file");
    assert!(text.contains(from), "deny.toml has no {from:?} any more");
    let place = tempfile::tempdir().expect("a place for the copy");
    let config = place.path().join("deny.toml");
    std::fs::write(&config, text.replacen(from, to, 1)).expect("a writable place");
    let config = config.to_str().expect("a path in UTF-8");
    let output = cargo_deny(MANIFESTS[0], &["--config", config, "check", check], environment)?;
    assert!(!output.status.success(), "{to:?} is not noticed: {}", said(&output));
    Some(said(&output))
}

#[test]
fn what_deny_toml_does_not_know_is_noticed() {
    for (check, from, to, found) in [
        ("licenses", "\"ISC\",", "", "error[rejected]"),
        ("licenses", "\"ISC\",", "\"ISC\", \"GPL-3.0\",", "error[license-not-encountered]"),
        ("bans", "name = \"getrandom\"", "name = \"none\"", "error[duplicate]"),
        ("bans", "name = \"tokio\"", "name = \"ring\"", "error[banned]"),
        ("sources", "unknown-git = ", "allow-registry = []\nunknown-git = ", "error[source-not-allowed]"),
    ] {
        let Some(said) = with(check, from, to, &[]) else { return };
        assert!(said.contains(found), "{to:?}: {said}");
    }
}

/// A repository with an advisory against one of our crates, and no other.
fn planted_advisory(place: &Path) {
    let file = place.join("crates/anyhow/RUSTSEC-2026-0000.md");
    std::fs::create_dir_all(file.parent().expect("it has a parent")).expect("a writable place");
    let text = "```toml\n[advisory]\nid = \"RUSTSEC-2026-0000\"\npackage = \"anyhow\"\ndate = \"2026-01-01\"\n\n\
                [versions]\npatched = [\">=99.0.0\"]\n```\n\n# Planted\n\nBy a test.\n";
    std::fs::write(file, text).expect("a writable place");
    for arguments in [
        &["init", "--quiet", "--initial-branch=main"][..],
        &["add", "."],
        &["-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "--quiet", "--message=a"],
    ] {
        let status = Command::new("git").args(arguments).current_dir(place).status().expect("git starts");
        assert!(status.success(), "git {arguments:?}");
    }
}

#[test]
fn an_advisory_against_a_dependency_is_noticed() {
    let place = tempfile::tempdir().expect("a place for the database");
    let repository = place.path().join("repository");
    planted_advisory(&repository);
    let key = format!("url.file://{}.insteadOf", repository.display());
    let to = format!("[advisories]\ndb-path = \"{}\"\n", place.path().join("db").display());
    let environment = [
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", &*key),
        ("GIT_CONFIG_VALUE_0", "https://github.com/RustSec/advisory-db"),
    ];
    let Some(said) = with("advisories", "[advisories]\n", &to, &environment) else { return };
    assert!(said.contains("error[vulnerability]") && said.contains("RUSTSEC-2026-0000"), "{said}");
}

/// Whether a line has the version of something that is fetched: `name==1.2`, `name@1.2.3`, `image@sha256:…`, `version=1.2.3`.
fn pins(line: &str) -> bool {
    let numbered = |text: &str| {
        let rest = text.trim_start_matches(|character: char| character.is_ascii_digit());
        rest.len() < text.len() && rest.starts_with('.')
    };
    let pinned = |sign: &str| {
        line.match_indices(sign).any(|(at, _)| {
            let before = line[..at].rsplit(|character: char| character.is_whitespace()).next().unwrap_or_default();
            let after = &line[at + sign.len()..];
            before.ends_with(|character: char| character.is_ascii_alphanumeric())
                && !before.contains("://")
                && (numbered(after) || after.starts_with("sha256:"))
        })
    };
    !line.trim_start().starts_with("//")
        && (pinned("==") || pinned("@") || line.strip_prefix("version=").is_some_and(numbered))
}

/// Whether Dependabot reads this file, beside manifests and locks, which pin in other forms.
fn read_by_dependabot(name: &str) -> bool {
    name.starts_with(".github/workflows/") || (name.starts_with(".ci/") && name.ends_with(".txt"))
}

/// The files that pin something that Dependabot does not read.
fn pinning() -> BTreeSet<String> {
    let tracked = Command::new("git").args(["ls-files", "-z"]).current_dir(root()).output().expect("git is installed");
    let names = String::from_utf8(tracked.stdout).expect("names in UTF-8");
    names
        .split_terminator('\0')
        .filter(|name| !name.ends_with(".md") && !name.ends_with(".lock") && *name != file!())
        .filter(|name| !read_by_dependabot(name))
        .filter(|name| std::fs::read_to_string(root().join(name)).is_ok_and(|text| text.lines().any(pins)))
        .map(str::to_owned)
        .collect()
}

/// The files that the runbook names for who makes a release to look at, or to leave alone.
fn known() -> BTreeSet<String> {
    let text = std::fs::read_to_string(root().join("docs/releasing.md")).expect("a readable file");
    let section = text.split("### What nobody proposes\n").nth(1).and_then(|rest| rest.split("\n## ").next());
    let rows = section.expect("the section is there").lines().filter(|line| line.starts_with('|')).skip(2);
    rows.filter_map(|row| row.split('|').nth(1))
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .map(str::to_owned)
        .collect()
}

#[test]
fn whatever_is_pinned_is_read_by_dependabot_or_stands_in_the_runbook() {
    let (pinning, known) = (pinning(), known());
    let forgotten: Vec<_> = pinning.difference(&known).collect();
    assert!(forgotten.is_empty(), "docs/releasing.md, \"What nobody proposes\", does not name {forgotten:?}");
    // These pin in forms of their own.
    let others = ["flake.nix", "rust-toolchain.toml", "cmd/release-helper/src/domain/provenance/trusted_root.json"];
    for name in known.difference(&pinning) {
        assert!(others.contains(&name.as_str()) && root().join(name).exists(), "{name} pins nothing");
    }
}

#[test]
fn a_pinned_version_is_noticed_wherever_it_stands() {
    for line in [
        "pip install lief==1.0.0",
        "npm(&[\"@octokit/rest@22.0.1\"])",
        "  \"debian:10@sha256:58ce\",",
        "version=2.35.2",
    ] {
        assert!(pins(line), "{line}");
    }
    for line in ["if a == 1.0 {", "https://me@127.0.0.1", "assert x==1", "--version=1.2.3", "// as in a@1.2.3"] {
        assert!(!pins(line), "{line}");
    }
}
