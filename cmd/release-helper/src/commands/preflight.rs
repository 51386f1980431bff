//! `preflight`: whether a tag can be released, before anything is built for it.

use std::path::PathBuf;

use anyhow::Result;

use crate::Verdict;
use crate::error::hinted;
use crate::output;
use crate::preflight::preflight;
use crate::releases::runner;
use crate::source;
use crate::version::Tag;

/// Check that the tree can be released as a tag; in a job, hand the checked tag and its version on as outputs
#[derive(clap::Args)]
pub struct Preflight {
    /// The release's tag, such as v1.2.3
    tag: String,
    /// Whether this is a dry run, whose tag is of the form v1.2.3-dry-run.1
    #[arg(long, value_name = "BOOL", action = clap::ArgAction::Set, default_value_t = false)]
    dry_run: bool,
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
        for warning in preflight(&root, &tag)? {
            // The first is how a job shows a warning on the page of its run.
            let form = if std::env::var_os("GITHUB_ACTIONS").is_some() { "::warning::" } else { "warning: " };
            output::step(format_args!("{form}{warning}"));
        }
        output::step(format_args!("{} can be released as {}", root.display(), tag));
        runner::output("tag", &tag.to_string())?;
        runner::output("version", &tag.version())?;
        Ok(Verdict::Yes)
    }
}
