//! `preflight`: whether a tag can be released, before anything is built for it.

use std::path::PathBuf;

use anyhow::Result;

use crate::Verdict;
use crate::domain::releases::runner;
use crate::domain::source;
use crate::domain::version::Tag;
use crate::jobs::preflight::{ensure_checked, ensure_on_branch, preflight};
use crate::plumbing::error::hinted;
use crate::plumbing::output;

/// Check that the tree can be released as a tag; in a job, hand the checked tag and its version on as outputs
#[derive(clap::Args)]
pub struct Preflight {
    /// The release's tag, such as v1.2.3
    tag: String,
    /// Whether this is a dry run, whose tag is of the form v1.2.3-dry-run.1
    #[arg(long, value_name = "BOOL", action = clap::ArgAction::Set, default_value_t = false)]
    dry_run: bool,
    /// Accept a tree that states another version than the tag: its release must be rebuilt with the version injected
    #[arg(long, value_name = "BOOL", action = clap::ArgAction::Set, default_value_t = false)]
    allow_unstamped: bool,
    /// The branch that must have the commit, such as origin/main; not asked of a dry run
    #[arg(long, value_name = "BRANCH")]
    branch: Option<String>,
    /// The check that must have succeeded on the commit; not asked of a dry run
    #[arg(long, value_name = "NAME")]
    required_check: Option<String>,
    #[command(flatten)]
    remote: runner::Remote,
    /// The source tree [default: the one around the current directory]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

impl Preflight {
    pub fn run(&self) -> Result<Verdict> {
        let tag: Tag = self.tag.parse()?;
        if tag.is_dry_run() != self.dry_run {
            let what = if self.dry_run { "no tag of a dry run" } else { "the tag of a dry run" };
            return Err(hinted(
                format_args!("{tag} is {what}"),
                "a tag such as v1.2.3-dry-run.1 is for a dry run, and for nothing else",
            ));
        }
        let root = source::root(self.root.as_deref())?;
        let differing = preflight(&root, &tag)?;
        let stamped = differing.is_empty();
        if !(stamped || self.dry_run || self.allow_unstamped) {
            return Err(hinted(
                format_args!(
                    "{}: `nix build` of {tag} would give other bytes than the release",
                    differing.join(", and ")
                ),
                "delete the tag, have the workflow \"prepare\" state the version, and tag the merged commit; or allow such \
                 tags (--allow-unstamped true)",
            ));
        }
        for difference in differing {
            // The first is how a job shows a warning on the page of its run.
            let form = if std::env::var_os("GITHUB_ACTIONS").is_some() { "::warning::" } else { "warning: " };
            output::step(format_args!("{form}{difference}: whoever rebuilds {tag} must inject the version as well"));
        }
        if !self.dry_run {
            if let Some(branch) = &self.branch {
                ensure_on_branch(&root, branch)?;
            }
            if let Some(check) = &self.required_check {
                ensure_checked(&self.remote.client()?, &root, check)?;
            }
        }
        output::step(format_args!("{} can be released as {}", root.display(), tag));
        runner::output("tag", &tag.to_string())?;
        runner::output("version", &tag.version())?;
        runner::output("stamped", if stamped { "true" } else { "false" })?;
        Ok(Verdict::Yes)
    }
}
