//! `draft`: the draft release of a tag.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::Verdict;
use crate::domain::releases::{self, State, runner};
use crate::domain::version::Tag;
use crate::plumbing::files;
use crate::plumbing::output::{print, print_json, step};

/// Prints the release's number; in a job it is also the output `release_id`.
#[derive(clap::Args)]
pub struct Draft {
    /// The tag, which must exist on the server, such as v1.2.3
    tag: String,
    /// Notes for the release [default: the message of the annotated tag, else made from the history]
    #[arg(long, value_name = "FILE")]
    notes: Option<PathBuf>,
    /// The commit that the tag must mean on the server
    #[arg(long, value_name = "SHA")]
    commit: Option<String>,
    /// Whether the tagged tree states the tag's version: if not, the notes say how to rebuild it
    #[arg(long, value_name = "BOOL", action = clap::ArgAction::Set, default_value_t = true)]
    stamped: bool,
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
        if let Some(commit) = self.commit.as_deref().filter(|_| !tag.is_dry_run()) {
            releases::ensure_tag(&client, &tag.to_string(), commit)?;
        }
        let addition = if self.stamped { String::new() } else { how_to_rebuild(client.repository(), &tag) };
        let notes = releases::Notes { given: notes.as_deref(), addition: &addition };
        let draft = releases::draft(&client, &tag.to_string(), &notes)?;
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

/// What the notes of a release say whose tree states another version than its tag.
fn how_to_rebuild(repository: &str, tag: &Tag) -> String {
    format!(
        "\n\nThe tagged tree does not state this version: `nix build` of the tag gives other bytes. To rebuild these, have \
         the version injected: `nix run github:{repository}/{tag}#build -- {tag}`, or `cargo release-helper verify {tag}`."
    )
}
