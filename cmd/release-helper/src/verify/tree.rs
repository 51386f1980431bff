//! Which commit a tag means, and a clean copy of its tree.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::{Options, Published};
use crate::error::{Hint, hinted};
use crate::output;
use crate::process::Call;
use crate::source;

/// The sources of a release.
pub(super) struct Source {
    /// The commit, in full.
    pub(super) commit: String,
    /// What others say about the tag: who, and the commit.
    claims: Vec<(&'static str, String)>,
    tag: String,
    local: Option<PathBuf>,
    clone_url: Option<String>,
}

/// Finds the commit of the tag: the server says it, the local repository must agree, and so must the caller.
pub(super) fn find(options: &Options, published: &Published) -> Result<Source> {
    let tag = options.tag.to_string();
    let root = options.root.as_deref();
    let local_tag = root.and_then(|root| source::commit(root, &format!("refs/tags/{tag}")).ok());
    let expected = match (&options.commit, root) {
        (Some(revision), Some(root)) => Some(source::commit(root, revision)?),
        (Some(revision), None) => Some(revision.clone()),
        (None, _) => None,
    };
    let server = published.commit.clone();
    let commit = server.clone().or_else(|| local_tag.clone()).or_else(|| expected.clone()).ok_or_else(|| {
        hinted(
            format_args!("nothing here says which commit {tag} is"),
            "run this in a clone that has the tag (git fetch --tags), or name the commit with --commit",
        )
    })?;
    let claims = [("this repository", local_tag), ("--commit", expected)];
    let claims = claims.into_iter().filter_map(|(who, commit)| commit.map(|commit| (who, commit))).collect();
    let has = |root: &Path| source::commit(root, &commit).is_ok();
    let local = root.filter(|root| has(root)).map(Path::to_owned);
    Ok(Source { local, clone_url: published.clone_url.clone(), claims, tag, commit })
}

impl Source {
    /// What speaks against the commit: somebody says that the tag is another one. `server` is what the server says.
    pub(super) fn faults(&self, server: Option<&str>) -> Vec<String> {
        let server = server.map(|commit| ("the server", commit.to_owned()));
        let others = server.iter().chain(&self.claims).filter(|(_, commit)| *commit != self.commit);
        let tag = &self.tag;
        others
            .map(|(who, commit)| {
                format!("{tag} is {commit} by {who}, but {} was rebuilt: the tag was moved", self.commit)
            })
            .collect()
    }

    /// Writes the commit's tree into `tree`: from the local repository if it has the commit, else from a clone made
    /// in `clone`.
    pub(super) fn export(&self, clone: &Path, tree: &Path) -> Result<()> {
        if let Some(root) = &self.local {
            return source::export(root, &self.commit, tree);
        }
        let url = self.clone_url.as_deref().context("nothing here has the sources").hint(format!(
            "run this in a clone of the repository that has the commit {}: git fetch --tags",
            self.commit
        ))?;
        output::step(format_args!("cloning {url}"));
        let mut command = Command::new("git");
        // Whatever the user's own settings do to clones, and no question for a password.
        command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_CONFIG_GLOBAL", "/dev/null");
        command.args(["clone", "--quiet", "--no-checkout", "--depth=1", "--branch", &self.tag, "--", url]).arg(clone);
        Call::new(command)
            .hint(format!("run this in a clone of the repository that has the tag {}", self.tag))
            .read()?;
        let cloned = source::commit(clone, "HEAD")?;
        if cloned != self.commit {
            return Err(hinted(
                format_args!("{} is {cloned} in a clone of {url}, but {} by the API", self.tag, self.commit),
                "the tag is being moved, or one of the two lies: verify again, and if it stays so, do not trust it",
            ));
        }
        source::export(clone, &self.commit, tree)
    }
}
