//! Which commit a tag means, who says so, and a clean copy of its tree.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::options::Options;
use super::published::Published;
use crate::domain::source::{self, Part};
use crate::plumbing::error::{Hint, hinted};
use crate::plumbing::output;

/// The sources of a release.
pub(super) struct Source {
    /// The commit, in full.
    pub(super) commit: String,
    /// What is said about the tag: by whom, and the commit.
    claims: Vec<(&'static str, String)>,
    tag: String,
    /// A local repository that has the commit.
    local: Option<PathBuf>,
    /// The repository that the user named.
    remote: Option<String>,
}

const SERVER: &str = "the server";

/// Finds the commit of the tag: the named repository says it, the local one must agree, and so must the caller.
pub(super) fn find(options: &Options, published: &Published) -> Result<Source> {
    let tag = options.tag.to_string();
    let root = options.root.as_deref();
    let in_local = |revision: &str| root.and_then(|root| source::commit(root, revision).ok());
    let local_tag = in_local(&format!("refs/tags/{tag}"));
    let expected = match &options.commit {
        Some(hash) if source::is_hash(hash) => Some(hash.clone()),
        Some(revision) => Some(
            in_local(revision)
                .with_context(|| format!("nothing here knows the revision {revision}"))
                .hint("give --commit as 40 hexadecimal digits, or run this in a clone that has it")?,
        ),
        None => None,
    };
    let server = published.commit.clone();
    let commit = server.clone().or_else(|| local_tag.clone()).or_else(|| expected.clone()).ok_or_else(|| {
        hinted(
            format_args!("nothing here says which commit {tag} is"),
            "run this in a clone that has the tag (git fetch --tags), or name the commit with --commit",
        )
    })?;
    let claims = [(SERVER, server), ("this repository", local_tag), ("--commit", expected)];
    let claims = claims.into_iter().filter_map(|(who, commit)| commit.map(|commit| (who, commit))).collect();
    let local = root.filter(|_| in_local(&commit).is_some_and(|found| found == commit)).map(Path::to_owned);
    Ok(Source { commit, claims, tag, local, remote: published.repository.clone() })
}

impl Source {
    /// Who says that the tag means the commit.
    pub(super) fn witnesses(&self) -> Vec<String> {
        let agreeing = self.claims.iter().filter(|(_, commit)| *commit == self.commit);
        agreeing.map(|(who, _)| (*who).to_owned()).collect()
    }

    /// What speaks against the commit: somebody says that the tag is another one. `server` is what the server says.
    pub(super) fn faults(&self, server: Option<&str>) -> Vec<String> {
        // The release may be another one than the commit was looked up for.
        let server = server.map(|commit| (SERVER, commit.to_owned()));
        let claims = server.iter().chain(self.claims.iter().filter(|(who, _)| *who != SERVER));
        let tag = &self.tag;
        claims
            .filter(|(_, commit)| *commit != self.commit)
            .map(|(who, commit)| {
                format!("{tag} is {commit} by {who}, but {} was rebuilt: the tag was moved", self.commit)
            })
            .collect()
    }

    /// Writes `part` of the commit's tree into `tree`: from the local repository if it has the commit, else from the
    /// named one, fetched into `clone`.
    pub(super) fn export(&self, part: Part, clone: &Path, tree: &Path) -> Result<()> {
        if let Some(root) = &self.local {
            return source::export(root, &self.commit, part, tree);
        }
        let url = self.remote.as_deref().context("nothing here has the sources").hint(format!(
            "run this in a clone of the repository that has the commit {}: git fetch --tags",
            self.commit
        ))?;
        output::step(format_args!("fetching {} from {url}", self.tag));
        let fetched = source::fetch(url, &self.tag, clone)?;
        if fetched != self.commit {
            return Err(hinted(
                format_args!("{} is {fetched} in a clone of {url}, but {} by the API", self.tag, self.commit),
                "the tag is being moved, or one of the two lies: verify again, and if it stays so, do not trust it",
            ));
        }
        source::export(clone, &self.commit, part, tree)
    }
}
