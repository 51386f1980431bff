//! What a job on a runner reads and writes: `GITHUB_*` variables, outputs, the summary.

use std::fs::OpenOptions;
use std::io::Write;

use anyhow::{Context, Result};

use super::Client;
use crate::error::Hint;

/// Which repository on which server; the token comes from `GITHUB_TOKEN` alone, so that no process list shows it.
#[derive(clap::Args, Debug)]
pub struct Remote {
    /// The repository, as in owner/name
    #[arg(long, value_name = "OWNER/NAME", env = "GITHUB_REPOSITORY")]
    repo: Option<String>,
    /// The REST API, as of `release-helper serve-releases` for a rehearsal
    #[arg(long, value_name = "URL", env = "GITHUB_API_URL", default_value = "https://api.github.com")]
    api_url: String,
}

impl Remote {
    /// A client for it, with the token from the environment.
    pub fn client(&self) -> Result<Client> {
        let repository = self
            .repo
            .as_deref()
            .context("no repository is given")
            .hint("give --repo owner/name or set GITHUB_REPOSITORY")?;
        let token = std::env::var("GITHUB_TOKEN").unwrap_or_default();
        Client::new(&self.api_url, repository, Some(&token))
    }
}

/// Sets an output of the job's step, where there is one (`GITHUB_OUTPUT`).
pub fn output(name: &str, value: &str) -> Result<()> {
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
