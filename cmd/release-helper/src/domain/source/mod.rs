//! Source trees: where the checkout is, whether it is clean, and clean copies of it.

mod git;
mod objects;
mod part;
pub mod recipe;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::domain::contract;
use crate::plumbing::error::{Hint, hinted};
use crate::plumbing::files;

use git::git;
pub use git::{commit, fetch, has_ancestor, is_hash};
use part::ARTIFACT_SOURCES;
pub use part::Part;

/// The top of the source tree: `given`, or the closest directory above the current one that has a contract.
pub fn root(given: Option<&Path>) -> Result<PathBuf> {
    let start = match given {
        Some(path) => path.to_owned(),
        None => std::env::current_dir().context("cannot tell the current directory")?,
    };
    let start = start.canonicalize().with_context(|| format!("cannot find {}", start.display()))?;
    let holds_contract = |directory: &&Path| directory.join(contract::FILE).is_file();
    let root = match given {
        Some(_) => Some(start.as_path()).filter(holds_contract),
        None => start.ancestors().find(holds_contract),
    };
    Ok(root
        .with_context(|| {
            format!("no {} in {}{}", contract::FILE, start.display(), if given.is_none() { " or above it" } else { "" })
        })
        .hint("run this in a checkout of the repository, or name one with --root")?
        .to_owned())
}

/// The commit whose files, but for those at `injected`, are the ones of the checkout at `root`; none if there is no such.
pub fn commit_but_for(root: &Path, injected: &[PathBuf]) -> Result<Option<String>> {
    let changes = git(root).args(["status", "--porcelain", "-z", "--no-renames"]).read()?;
    // An entry is two letters, a space and the name.
    let names = changes.split(|&byte| byte == 0).filter_map(|entry| std::str::from_utf8(entry).ok()?.get(3..));
    let is_injected = |name: &str| injected.contains(&root.join(name));
    if names.into_iter().all(is_injected) { commit(root, "HEAD").map(Some) } else { Ok(None) }
}

/// Fails unless `root` is a git checkout without uncommitted changes.
pub fn ensure_clean(root: &Path) -> Result<()> {
    let changes = git(root)
        .args(["status", "--porcelain"])
        .hint("a release is made of a commit: run this in a git checkout of the repository")
        .read()?;
    let changes = String::from_utf8_lossy(&changes).into_owned();
    let count = changes.lines().count();
    if let Some(first) = changes.lines().next() {
        return Err(hinted(
            format_args!("{} has {count} uncommitted change(s), the first is: {}", root.display(), first.trim()),
            "a release is made of a commit: commit or stash them, or pass --allow-dirty to use the files as they are",
        ));
    }
    Ok(())
}

/// Writes `part` of the tree of `commit` into the new directory `destination`: exactly the bytes that the commit's name
/// stands for. The checkout and its index stay as they are.
pub fn export(root: &Path, commit: &str, part: Part, destination: &Path) -> Result<()> {
    objects::write(&objects::read(root, commit, part)?, destination)
}

/// Copies the files of the checkout at `root` that git tracks, as they are on the disk, into `destination`.
pub fn copy_tracked(root: &Path, destination: &Path) -> Result<()> {
    let list = git(root).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]).read()?;
    for name in list.split(|&byte| byte == 0).filter(|name| !name.is_empty()) {
        let name = std::str::from_utf8(name).context("a tracked file's name is not UTF-8")?;
        // A file that was deleted but is still in the index is simply not there.
        let Ok(metadata) = root.join(name).symlink_metadata() else { continue };
        if metadata.is_file() || Part::is_program(name) {
            copy(&root.join(name), &destination.join(name))?;
        }
    }
    Ok(())
}

/// Copies what the artifacts are built from out of the tree at `root` into `destination`, with a `Cargo.lock` that
/// names just the program: a build of it needs no registry, and no other package can change its bytes.
pub fn stage(root: &Path, destination: &Path) -> Result<()> {
    for name in ARTIFACT_SOURCES {
        copy(&root.join(name), &destination.join(name))?;
    }
    let [manifest, _] = crate::domain::version::statements(root)?;
    let lock = format!("version = 4\n\n[[package]]\nname = \"tsuku-dltest\"\nversion = \"{}\"\n", manifest.version);
    files::write(&destination.join("Cargo.lock"), lock.as_bytes())
}

/// Copies a file, or a directory with all that is in it.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    let parent = to.parent().context("a file to copy needs a directory")?;
    let kind = from.symlink_metadata().with_context(|| format!("cannot read {}", from.display()))?.file_type();
    if kind.is_dir() {
        files::create_dir(to)?;
        let entries = from.read_dir().with_context(|| format!("cannot list {}", from.display()))?;
        for entry in entries {
            let name = entry.with_context(|| format!("cannot list {}", from.display()))?.file_name();
            copy(&from.join(&name), &to.join(&name))?;
        }
        return Ok(());
    }
    if !kind.is_file() {
        bail!("{} is no regular file: the program is made of such alone", from.display());
    }
    files::create_dir(parent)?;
    std::fs::copy(from, to).with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

/// The files of `commit` in the repository at `root`, as an archive of git's: `zip` or `tar.gz`. All paths in it begin
/// with `prefix`.
pub fn archive(root: &Path, commit: &str, format: &str, prefix: &str) -> Result<Vec<u8>> {
    git(root)
        .args(["archive", &format!("--format={format}"), &format!("--prefix={prefix}/"), "--end-of-options", commit])
        .read()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn run(root: &Path, arguments: &[&str]) {
        let own = ["user.name=t", "user.email=t@example.org", "commit.gpgSign=false", "tag.gpgSign=false"];
        git(root).args(own.iter().flat_map(|setting| ["-c", setting])).args(arguments).read().unwrap();
    }

    /// A repository with two commits, each with a tag of its name.
    fn repository() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        run(root, &["init", "--quiet"]);
        for name in ["first", "second"] {
            files::write(&root.join("file"), name.as_bytes()).unwrap();
            files::write_executable(&root.join("tool"), name.as_bytes()).unwrap();
            run(root, &["add", "--all"]);
            run(root, &["commit", "--quiet", "--no-verify", "-m", name]);
            run(root, &["tag", name]);
        }
        directory
    }

    #[test]
    fn the_name_of_an_object_is_40_or_64_small_hexadecimal_digits() {
        for name in ["0123456789abcdef0123456789abcdef01234567".to_owned(), "f".repeat(64)] {
            assert!(is_hash(&name), "{name}");
        }
        for name in ["a".repeat(39), "a".repeat(41), "a".repeat(63), "A".repeat(40), "g".repeat(40), String::new()] {
            assert!(!is_hash(&name), "{name}");
        }
    }

    #[test]
    fn the_top_of_the_tree_is_the_one_named_or_lies_above() {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
        assert_eq!(root(None).unwrap(), top);
        assert_eq!(root(Some(&top)).unwrap(), top);
        let error = format!("{:#}", root(Some(&top.join("cmd"))).unwrap_err());
        assert!(error.contains("no release.toml in") && !error.contains("above"), "{error}");
    }

    #[test]
    fn a_commit_is_an_ancestor_of_itself_and_of_what_came_after_it() {
        let repository = repository();
        let root = repository.path();
        assert!(has_ancestor(root, "second", "first").unwrap() && has_ancestor(root, "first", "first").unwrap());
        assert!(!has_ancestor(root, "first", "second").unwrap());
    }

    #[test]
    fn a_checkout_is_its_commit_unless_a_file_that_was_not_injected_is_another() {
        let repository = repository();
        let root = repository.path();
        let head = commit(root, "second").unwrap();
        assert_eq!(commit_but_for(root, &[]).unwrap(), Some(head.clone()));
        ensure_clean(root).unwrap();
        files::write(&root.join("file"), b"injected").unwrap();
        assert_eq!(commit_but_for(root, &[root.join("file")]).unwrap(), Some(head));
        assert_eq!(commit_but_for(root, &[root.join("tool")]).unwrap(), None);
        let error = format!("{:#}", ensure_clean(root).unwrap_err());
        assert!(error.contains("has 1 uncommitted change(s), the first is: M file"), "{error}");
        files::write(&root.join("new"), b"not tracked").unwrap();
        assert_eq!(commit_but_for(root, &[root.join("file")]).unwrap(), None);
    }

    #[test]
    fn an_export_has_the_files_of_the_commit_and_their_modes() {
        let repository = repository();
        let exported = repository.path().join("exported");
        let first = commit(repository.path(), "first").unwrap();
        export(repository.path(), &first, Part::All, &exported).unwrap();
        for (name, executable) in [("file", false), ("tool", true)] {
            assert_eq!(files::read(&exported.join(name)).unwrap(), b"first");
            let mode = exported.join(name).metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o100 != 0, executable, "{name} has the mode {mode:o}");
        }
        let program = repository.path().join("program");
        export(repository.path(), &first, Part::Program, &program).unwrap();
        assert_eq!(program.read_dir().unwrap().count(), 0);
    }

    #[test]
    fn an_archive_has_the_files_of_the_commit_below_the_prefix() {
        let repository = repository();
        let bytes = archive(repository.path(), "first", "zip", "name-1.2.3").unwrap();
        let has = |text: &str| bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(bytes.starts_with(b"PK") && has("name-1.2.3/file") && has("first"));
    }

    #[test]
    fn a_copy_has_what_is_tracked_or_new_and_neither_what_is_ignored_nor_a_link() {
        let repository = repository();
        let root = repository.path();
        files::write(&root.join(".gitignore"), b"ignored\n").unwrap();
        files::write(&root.join("ignored"), b"").unwrap();
        files::write(&root.join("new"), b"new").unwrap();
        std::os::unix::fs::symlink("file", root.join("link")).unwrap();
        std::fs::remove_file(root.join("tool")).unwrap();
        let copied = tempfile::tempdir().unwrap();
        copy_tracked(root, copied.path()).unwrap();
        let mut names: Vec<_> = copied.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [".gitignore", "file", "new"]);
        // The program is made of regular files: a link in it is no matter of taste.
        std::os::unix::fs::symlink("file", root.join("release.toml")).unwrap();
        let error = format!("{:#}", copy_tracked(root, copied.path()).unwrap_err());
        assert!(error.contains("release.toml is no regular file"), "{error}");
    }
}
