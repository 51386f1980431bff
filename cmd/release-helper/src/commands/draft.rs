//! `draft`: the draft release of a tag.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::output::{print, print_json, step};
use crate::releases::{self, State, runner};
use crate::version::Tag;
use crate::{Verdict, files};

/// Prints the release's number; in a job it is also the output `release_id`.
#[derive(clap::Args)]
pub struct Draft {
    /// The tag, which must exist on the server, such as v1.2.3
    tag: String,
    /// Notes for the release [default: the message of the annotated tag, else made from the history]
    #[arg(long, value_name = "FILE")]
    notes: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    remote: runner::Remote,
}

impl Draft {
    pub fn run(&self) -> Result<Verdict> {
        let tag: Tag = self.tag.parse()?;
        let client = self.remote.client()?;
        let notes = match &self.notes {
            None => None,
            Some(path) => {
                Some(String::from_utf8(files::read(path)?).with_context(|| format!("{} is not text", path.display()))?)
            }
        };
        let draft = releases::draft(&client, &tag.to_string(), notes.as_deref())?;
        let what = match draft.state {
            State::Created => "made a draft",
            State::Found => "found the draft",
            State::Published => "found it published",
        };
        step(format_args!("{what} for {}: release {} ({} requests)", draft.tag, draft.id, client.requests()));
        runner::output("release_id", &draft.id.to_string())?;
        runner::output("published", if draft.state == State::Published { "true" } else { "false" })?;
        runner::summary(&format!("Release {} for `{}`: {what}.\n\n", draft.id, draft.tag))?;
        if self.json {
            print_json(&serde_json::json!({
                "release_id": draft.id, "tag": draft.tag, "url": draft.url,
                "created": draft.state == State::Created, "published": draft.state == State::Published,
            }))?;
        } else {
            print(format_args!("{}\n", draft.id))?;
        }
        Ok(Verdict::Yes)
    }
}
