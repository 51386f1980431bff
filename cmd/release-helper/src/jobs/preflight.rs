//! What can be known about a release before anything is built for it.

use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::domain::contract::{self, Contract};
use crate::domain::releases::Client;
use crate::domain::source;
use crate::domain::version::{self, Tag};
use crate::plumbing::error::Hint;
use crate::plumbing::files;
use crate::plumbing::interrupt::Scratch;

/// Checks that the tree at `root` can be released as `tag`; says in which files it states another version.
pub fn preflight(root: &Path, tag: &Tag) -> Result<Vec<String>> {
    let contract = Contract::of_tree(root)?;
    let embedded = Contract::embedded()?;
    ensure!(
        contract.platforms().map(|platform| &platform.name).eq(embedded.platforms().map(|platform| &platform.name)),
        "this helper was compiled with another {} than {} holds",
        contract::FILE,
        root.display()
    );
    injects(root, tag).hint("the build would fail at the same place: fix the tree, then tag the new commit")?;
    let differing = version::statements(root)?.into_iter().filter(|statement| statement.version != tag.version());
    Ok(differing
        .map(|statement| {
            let file = statement.path.strip_prefix(root).unwrap_or(&statement.path).display().to_string();
            format!("the tagged tree's {file} says version {}", statement.version)
        })
        .collect())
}

/// Demands that `branch` has the checkout's commit: a tag can be pushed while the branch is refused.
pub fn ensure_on_branch(root: &Path, branch: &str) -> Result<()> {
    let commit = source::commit(root, "HEAD")?;
    let tip = source::commit(root, branch)
        .with_context(|| format!("the checkout has no branch {branch}"))
        .hint("fetch it; in a workflow, actions/checkout does with fetch-depth: 0")?;
    if source::has_ancestor(root, &tip, &commit)? {
        return Ok(());
    }
    Err(anyhow::anyhow!(
        "the commit {commit} is not on {branch}: nobody has reviewed it there, and no ci has run on it"
    ))
    .hint("delete the tag, merge the commit, and push branch and tag with `git push --atomic`")
}

/// Demands that a workflow's check called `name` has succeeded on the checkout's commit.
pub fn ensure_checked(client: &Client, root: &Path, name: &str) -> Result<()> {
    let commit = source::commit(root, "HEAD")?;
    let runs = client.check_runs(&commit, name).with_context(|| format!("cannot ask for the check {name}"))?;
    let conclusions: Vec<&str> = runs.iter().map(|run| run.conclusion.as_deref().unwrap_or("still running")).collect();
    let told = match conclusions[..] {
        [] => "has not run".to_owned(),
        _ if conclusions.iter().all(|conclusion| *conclusion == "success") => return Ok(()),
        _ => format!("is {}", conclusions.join(", ")),
    };
    Err(anyhow::anyhow!("the check {name} of the commit {commit} {told}")).hint(
        "wait until it has succeeded, then choose \"Re-run failed jobs\"; if it failed, fix the tree and tag anew",
    )
}

/// Injects the version into copies of the files that state it.
fn injects(root: &Path, tag: &Tag) -> Result<()> {
    let scratch = Scratch::new()?;
    for statement in version::statements(root)? {
        let name = statement.path.strip_prefix(root).context("a file of the tree lies below its top")?;
        let copy = scratch.path().join(name);
        files::create_dir(copy.parent().unwrap_or(scratch.path()))?;
        files::write(&copy, &files::read(&statement.path)?)?;
    }
    version::inject(scratch.path(), tag)?;
    for statement in version::statements(scratch.path())? {
        ensure!(statement.version == tag.version(), "the version cannot be injected into {}", statement.path.display());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    fn tree() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
    }

    #[test]
    fn a_tree_of_another_version_is_told_for_each_file() {
        let warnings = preflight(&tree(), &"v98.76.54".parse().unwrap()).unwrap();
        assert_eq!(warnings.len(), 2);
        assert!(warnings[0].starts_with("the tagged tree's cmd/tsuku-dltest/Cargo.toml says version "), "{warnings:?}");
    }

    #[test]
    fn a_tree_of_the_same_version_has_nothing_to_tell() {
        let [manifest, _] = version::statements(&tree()).unwrap();
        let tag = format!("v{}", manifest.version).parse().unwrap();
        assert_eq!(preflight(&tree(), &tag).unwrap(), Vec::<String>::new());
    }

    #[test]
    fn a_tree_without_a_version_is_refused_with_advice() {
        let scratch = tempfile::tempdir().unwrap();
        files::write(&scratch.path().join(contract::FILE), &files::read(&tree().join(contract::FILE)).unwrap())
            .unwrap();
        let error = preflight(scratch.path(), &"v1.2.3".parse().unwrap()).unwrap_err();
        assert!(crate::plumbing::error::hint_of(&error).is_some(), "{error:#}");
    }
}
