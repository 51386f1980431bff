//! `serve-releases`: a release server for rehearsals.

use std::path::PathBuf;

use anyhow::Result;

use crate::Verdict;
use crate::domain::server::{self, Options, Plan, Tag};
use crate::domain::source;
use crate::plumbing::output::{print, step};

const FAULTS_HELP: &str = "\
A faults file names traps by operation and count, or draws them at random from a seed:

  [[fault]]
  operation = \"upload-release-asset\"   # GitHub's operation ids; any operation if left out
  kind = \"lost-answer\"
  skip = 1                             # so many requests pass before
  count = 2                            # so many fail
  seconds = 5                          # for lag and for limits

  [random]
  seed = 7
  rate = 0.2                           # the share of requests that fail
  kinds = [\"lag\", \"cut-after\"]         # any kind if left out

Kinds: server-error bad-gateway unavailable request-timeout lost-answer cut-before cut-after cut-middle stall starter
secondary-limit too-many-requests primary-limit forbidden unauthorized not-found lag null-digest html corrupt echo-token half-json";

/// Serves GitHub's REST API of releases from a directory, with a page for the browser. Prints its address for
/// GITHUB_API_URL.
#[derive(clap::Args)]
#[command(after_help = FAULTS_HELP)]
pub struct ServeReleases {
    /// Where the releases are kept; a kill at any moment loses no acknowledged write
    #[arg(long, value_name = "DIR", default_value = "releases")]
    directory: PathBuf,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:0")]
    listen: String,
    /// The repository that is served
    #[arg(long, value_name = "OWNER/NAME", env = "GITHUB_REPOSITORY", default_value = server::REPOSITORY)]
    repo: String,
    /// A tag of the repository; with =MESSAGE an annotated one
    #[arg(long = "tag", value_name = "TAG[=MESSAGE]")]
    tags: Vec<String>,
    /// Lock releases when they are published
    #[arg(long)]
    immutable: bool,
    /// Serve the bytes of assets without a redirect to another host
    #[arg(long)]
    direct_downloads: bool,
    /// Serve over TLS too, with a certificate made for it; the lines that make gh use it are printed
    #[arg(long)]
    tls: bool,
    /// The git repository whose files are served as archives of the source
    #[arg(long, value_name = "DIR")]
    source: Option<PathBuf>,
    /// What goes wrong, and when
    #[arg(long, value_name = "FILE")]
    faults: Option<PathBuf>,
}

impl ServeReleases {
    pub fn run(&self) -> Result<Verdict> {
        let head = self.source.as_deref().map(|source| source::commit(source, "HEAD")).transpose()?;
        let tags = self.tags.iter().map(|tag| {
            let tag = match tag.split_once('=') {
                Some((name, message)) => Tag::annotated(name, message),
                None => Tag::lightweight(tag),
            };
            // What the source's tag of that name means, else its newest commit; without a source it is made up.
            let known = self.source.as_deref().and_then(|source| source::commit(source, &tag.name).ok());
            let commit = known.or(head.clone()).unwrap_or(tag.commit);
            Tag { commit, ..tag }
        });
        let given = std::env::var("GITHUB_TOKEN").ok().filter(|token| !token.is_empty());
        let token = given.clone().map_or_else(server::secret, Ok)?;
        let running = server::start(Options {
            address: self.listen.clone(),
            repository: self.repo.clone(),
            token: Some(token.clone()),
            tags: tags.collect(),
            head: head.clone(),
            source: self.source.clone(),
            tls: self.tls,
            immutable: self.immutable,
            direct_downloads: self.direct_downloads,
            faults: self.faults.as_deref().map(Plan::read).transpose()?.unwrap_or_default(),
            ..Options::new(&self.directory)
        })?;
        step(format_args!("serving {} from {}; look at {}", self.repo, self.directory.display(), running.page()));
        if given.is_none() {
            step(format_args!("GITHUB_TOKEN is not set; this one may write here: {token}"));
        }
        if let Some(lines) = running.lines_for_gh(if given.is_some() { "$GITHUB_TOKEN" } else { &token }) {
            step(lines);
        }
        print(format_args!("{}\n", running.url()))?;
        running.wait();
        Ok(Verdict::Yes)
    }
}
