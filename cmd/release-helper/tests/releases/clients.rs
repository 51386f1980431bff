//! Clients that others wrote, unchanged, against the server.

use std::path::{Path, PathBuf};
use std::process::Command;

use release_helper::server::{self, Plan};

use crate::common::{Place, REPOSITORY, TAG, token};
use crate::skipped::skipped;
use crate::tools;

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/releases/clients").join(name)
}

fn must_succeed(command: &mut Command) {
    let output = command.env("GITHUB_TOKEN", token()).env("NO_PROXY", "127.0.0.1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    println!("{}", text.trim());
}

#[test]
fn octokit_makes_and_publishes_a_release() {
    let modules = match tools::octokit() {
        Ok(modules) => modules,
        Err(reason) => return skipped(&reason),
    };
    let place = Place::new();
    let server = place.server(Plan::default());
    must_succeed(
        Command::new("node").arg(script("octokit.mjs")).args([server.url(), REPOSITORY, TAG]).current_dir(modules),
    );
    assert_eq!(place.leaks(), Vec::<String>::new(), "Octokit follows the redirect without the token");
}

#[test]
fn pygithub_makes_and_publishes_a_release() {
    let python = match tools::python() {
        Ok(python) => python,
        Err(reason) => return skipped(&reason),
    };
    let place = Place::new();
    // PyGithub follows redirects of downloads only within the API's own address.
    let server = server::start(server::Options { direct_downloads: true, ..place.options(Plan::default()) }).unwrap();
    let directory = place.directory.path();
    must_succeed(
        Command::new(python).arg(script("pygithub_release.py")).args([server.url(), REPOSITORY, TAG]).arg(directory),
    );
}
