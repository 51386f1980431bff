//! What a job on a runner reads and writes: `GITHUB_*` variables, outputs, the summary.

use std::fs::OpenOptions;
use std::io::Write;

use anyhow::{Context, Result};

use super::address::{host, is_repository};
use super::client::Client;
use crate::plumbing::error::Hint;
use crate::plumbing::foreign;
use crate::plumbing::output::step;

/// Which repository on which server; the token comes from `GITHUB_TOKEN` alone, so that no process list shows it, and
/// goes to the server it is for alone: GitHub's, or the one that `GITHUB_API_URL` names, which a runner sets with it.
#[derive(clap::Args, Debug)]
pub struct Remote {
    /// The repository, as in owner/name
    #[arg(long, value_name = "OWNER/NAME", env = "GITHUB_REPOSITORY")]
    repo: Option<String>,
    /// The REST API, as of `release-helper serve-releases` for a rehearsal
    #[arg(long, value_name = "URL", env = API_URL, hide_env_values = true, default_value = GITHUB)]
    api_url: String,
}

/// Reads the name of a repository on a command line.
pub fn repository(text: &str) -> Result<String, String> {
    if is_repository(text) { Ok(text.to_owned()) } else { Err("a repository is owner/name".to_owned()) }
}

/// The variable that names the server which the token is for.
const API_URL: &str = "GITHUB_API_URL";
/// The server that it is for if nothing else is said.
const GITHUB: &str = "https://api.github.com";

impl Remote {
    /// The repository, if one is named.
    pub fn repository(&self) -> Option<&str> {
        self.repo.as_deref()
    }

    /// A client for it, with the token from the environment.
    pub fn client(&self) -> Result<Client> {
        let repository = self
            .repo
            .as_deref()
            .context("no repository is given")
            .hint("give --repo owner/name or set GITHUB_REPOSITORY")?;
        let token = std::env::var("GITHUB_TOKEN").ok().filter(|token| !token.trim().is_empty());
        let owner = std::env::var(API_URL).ok().filter(|url| !url.is_empty()).unwrap_or_else(|| GITHUB.to_owned());
        let client = Client::new(&self.api_url, repository, token.as_deref())?;
        if token.is_none() || client.is_own(&owner) {
            return Ok(client);
        }
        step(format_args!(
            "GITHUB_TOKEN stays here: it is for {}, not for {}",
            host(&owner).unwrap_or("another server"),
            client.host()
        ));
        Ok(client.without_token())
    }
}

/// Sets an output of the job's step, where there is one (`GITHUB_OUTPUT`).
pub fn output(name: &str, value: &str) -> Result<()> {
    let value = &foreign::text(value);
    let entry = if value.contains('\n') {
        // A delimiter that no line of the value can be.
        let mut delimiter = "end-of-value".to_owned();
        while value.lines().any(|line| line == delimiter) {
            delimiter.push('-');
        }
        format!("{name}<<{delimiter}\n{}\n{delimiter}\n", value.trim_end_matches('\n'))
    } else {
        format!("{name}={value}\n")
    };
    append("GITHUB_OUTPUT", &entry)
}

/// Adds to the summary of the job, where there is one (`GITHUB_STEP_SUMMARY`).
pub fn summary(markdown: &str) -> Result<()> {
    append("GITHUB_STEP_SUMMARY", markdown)
}

fn append(variable: &str, text: &str) -> Result<()> {
    let Some(path) = std::env::var_os(variable).filter(|path| !path.is_empty()) else { return Ok(()) };
    OpenOptions::new()
        .append(true)
        .create(true)
        .open(&path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write {variable} {}", path.display()))
}
