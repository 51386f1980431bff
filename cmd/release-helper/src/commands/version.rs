//! `version inject` and `version check`: the tag's version and the source tree's.

use std::path::PathBuf;

use anyhow::Result;

use crate::Verdict;
use crate::domain::source;
use crate::domain::version::{self, Tag};
use crate::plumbing::output;

#[derive(clap::Subcommand)]
pub enum Version {
    /// Write the tag's version into cmd/tsuku-dltest/Cargo.toml and Cargo.lock
    Inject(Arguments),
    /// Compare the tag's version with the one in the source tree; exit 1 if they differ
    Check(Arguments),
}

#[derive(clap::Args)]
pub struct Arguments {
    /// The release's tag, such as v1.2.3
    tag: String,
    /// The source tree [default: the one around the current directory]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
}

impl Version {
    pub fn run(self) -> Result<Verdict> {
        let (Self::Inject(arguments) | Self::Check(arguments)) = &self;
        let tag: Tag = arguments.tag.parse()?;
        let root = source::root(arguments.root.as_deref())?;
        match &self {
            Self::Inject(_) => {
                let changed = version::inject(&root, &tag)?;
                for path in &changed {
                    output::step(format_args!("{}: version {}", path.display(), tag.version()));
                }
                if changed.is_empty() {
                    output::step(format_args!("the tree already states version {}", tag.version()));
                }
                Ok(Verdict::Yes)
            }
            Self::Check(_) => {
                let differing: Vec<_> = version::statements(&root)?
                    .into_iter()
                    .filter(|statement| statement.version != tag.version())
                    .collect();
                for statement in &differing {
                    output::step(format_args!(
                        "{}: version {}, not {}",
                        statement.path.display(),
                        statement.version,
                        tag.version()
                    ));
                }
                Ok(Verdict::from_bool(differing.is_empty()))
            }
        }
    }
}
