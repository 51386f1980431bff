//! The version of a release: from the git tag into the source tree, before the build.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, ensure};
use toml_edit::{DocumentMut, Item, Value};

use crate::plumbing::error::{Hint, hinted};
use crate::plumbing::files;

/// The package that carries the version.
const PACKAGE: &str = "tsuku-dltest";
/// Where the version is declared, below the top of the tree.
const MANIFEST: &str = "cmd/tsuku-dltest/Cargo.toml";
/// Where cargo repeats it; `--locked` refuses a tree in which the two differ.
const LOCK: &str = "Cargo.lock";
/// Longer tags are refused: no release needs one, and the tag becomes part of file names and URLs.
const MAX_TAG_LENGTH: usize = 100;

/// A release's tag: `v` and a semantic version (<https://semver.org>), nothing else.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag {
    version: semver::Version,
}

impl Tag {
    /// The version the tag names, without the `v`.
    pub fn version(&self) -> String {
        self.version.to_string()
    }

    /// Whether the tag is a dry run's, such as `v1.0.0-dry-run.1`: it need not exist in the repository, and its draft
    /// is never published.
    pub fn is_dry_run(&self) -> bool {
        self.version.pre.split('.').next() == Some("dry-run")
    }

    /// Whether the tag names a version before a release, such as `v1.0.0-rc.1`.
    pub fn is_prerelease(&self) -> bool {
        !self.version.pre.is_empty()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.version)
    }
}

impl FromStr for Tag {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        const FORM: &str = "a release's tag is v and a semantic version, such as v1.2.3 or v1.2.3-rc.1";
        if text.len() > MAX_TAG_LENGTH {
            let message = format!("the tag has {} bytes, at most {MAX_TAG_LENGTH} are allowed", text.len());
            return Err(hinted(message, FORM));
        }
        let version = text.strip_prefix('v').context("it does not start with v");
        let version = version.and_then(|version| Ok(semver::Version::parse(version)?));
        Ok(Self { version: version.with_context(|| format!("{text:?} is not a release's tag")).hint(FORM)? })
    }
}

/// A file that states the version, and what it says now.
pub struct Statement {
    /// The file.
    pub path: PathBuf,
    /// The version in it.
    pub version: String,
}

/// What the tree at `root` says its version is, in each of the files that say it.
pub fn statements(root: &Path) -> Result<[Statement; 2]> {
    let read = |name: &str, edit: Editor| -> Result<Statement> {
        let path = root.join(name);
        let mut document = parse(&path)?;
        let version = version_of(&path, edit(&mut document))?.to_owned();
        Ok(Statement { path, version })
    };
    Ok([read(MANIFEST, in_manifest)?, read(LOCK, in_lock)?])
}

/// Writes the version of `tag` into the tree at `root`, comments and layout kept. Returns the files it changed;
/// a file that already states the version is not touched.
pub fn inject(root: &Path, tag: &Tag) -> Result<Vec<PathBuf>> {
    let version = tag.version();
    let mut changed = Vec::new();
    for (name, edit) in [(MANIFEST, in_manifest as Editor), (LOCK, in_lock)] {
        let path = root.join(name);
        let mut document = parse(&path)?;
        let item = edit(&mut document);
        if version_of(&path, item)? != version {
            set(edit(&mut document), &version);
            changed.push((path, document.to_string()));
        }
    }
    // Both files were read and understood before the first is written.
    changed.iter().try_for_each(|(path, text)| files::write(path, text.as_bytes()))?;
    Ok(changed.into_iter().map(|(path, _)| path).collect())
}

/// Finds the version in one of the files.
type Editor = fn(&mut DocumentMut) -> Option<&mut Item>;

fn in_manifest(document: &mut DocumentMut) -> Option<&mut Item> {
    document.get_mut("package")?.get_mut("version")
}

fn in_lock(document: &mut DocumentMut) -> Option<&mut Item> {
    let packages = document.get_mut("package")?.as_array_of_tables_mut()?;
    // A registry crate of that name would have a source.
    let ours = packages.iter_mut().find(|package| {
        package.get("name").and_then(Item::as_str) == Some(PACKAGE) && !package.contains_key("source")
    })?;
    ours.get_mut("version")
}

fn version_of<'a>(path: &Path, item: Option<&'a mut Item>) -> Result<&'a str> {
    let version = item.and_then(|item| item.as_str());
    version
        .with_context(|| format!("{} states no version of {PACKAGE}", path.display()))
        .hint("run this in a complete checkout of the repository, or restore the file with git")
}

fn set(item: Option<&mut Item>, version: &str) {
    if let Some(value) = item.and_then(Item::as_value_mut) {
        let decor = value.decor().clone();
        *value = Value::from(version);
        *value.decor_mut() = decor;
    }
}

fn parse(path: &Path) -> Result<DocumentMut> {
    let bytes = files::read(path).hint("run this in a checkout of the repository")?;
    ensure!(bytes.len() < 1 << 24, "{} is too large for what it should be", path.display());
    let text = String::from_utf8(bytes).with_context(|| format!("{} is not text", path.display()))?;
    text.parse().with_context(|| format!("{} is not TOML", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    const MANIFEST_TEXT: &str = "# why\n[package]\nname = \"tsuku-dltest\"\nversion = \"0.0.0\"   # from the tag\n";
    const LOCK_TEXT: &str = "version = 4\n\n[[package]]\nname = \"anyhow\"\nversion = \"1.0.0\"\nsource = \"registry\"\n\n\
                             [[package]]\nname = \"tsuku-dltest\"\nversion = \"0.0.0\"\n";

    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("cmd/tsuku-dltest")).unwrap();
        fs::write(root.path().join(MANIFEST), MANIFEST_TEXT).unwrap();
        fs::write(root.path().join(LOCK), LOCK_TEXT).unwrap();
        root
    }

    #[test]
    fn strict_semver_tags_are_accepted() {
        for text in ["v0.0.0", "v1.2.3", "v10.20.30-rc.1", "v1.0.0-alpha-a.b+build.5"] {
            assert_eq!(text.parse::<Tag>().unwrap().to_string(), text);
        }
        assert!("v1.0.0-rc.1".parse::<Tag>().unwrap().is_prerelease());
        assert!(!"v1.0.0".parse::<Tag>().unwrap().is_prerelease());
    }

    #[test]
    fn a_dry_run_is_told_by_its_tag() {
        for (tag, expected) in
            [("v1.0.0-dry-run", true), ("v1.0.0-dry-run.7", true), ("v1.0.0-dry", false), ("v1.0.0-rc.dry-run", false)]
        {
            assert_eq!(tag.parse::<Tag>().unwrap().is_dry_run(), expected, "{tag}");
        }
    }

    #[test]
    fn everything_else_is_refused_with_advice() {
        let long = format!("v1.2.3-{}", "a".repeat(300));
        for text in [
            "",
            "v",
            "1.2.3",
            "v1.2",
            "v1",
            "v01.2.3",
            "v1.2.3;rm",
            "1.2.3;rm",
            "v1.2.3 ",
            " v1.2.3",
            "v1.2.3\n",
            "V1.2.3",
            "v1.0.0$(touch pwned)",
            "v1.0.0\";echo",
            "v1.0.0-",
            "vv1.0.0",
            "../v1.0.0",
            "v1.2.3-é",
            "v99999999999999999999.0.0",
            &long,
        ] {
            let error = text.parse::<Tag>().expect_err(text);
            assert!(crate::plumbing::error::hint_of(&error).unwrap().contains("v1.2.3"), "{text}");
        }
    }

    #[test]
    fn injection_changes_the_version_and_nothing_else() {
        let root = tree();
        let changed = inject(root.path(), &"v1.2.3-rc.1".parse().unwrap()).unwrap();
        assert_eq!(changed.len(), 2);
        let read = |name| fs::read_to_string(root.path().join(name)).unwrap();
        assert_eq!(read(MANIFEST), MANIFEST_TEXT.replace("0.0.0", "1.2.3-rc.1"));
        assert_eq!(read(LOCK), LOCK_TEXT.replace("0.0.0", "1.2.3-rc.1"));
    }

    #[test]
    fn a_second_injection_touches_no_file() {
        let root = tree();
        let tag = "v1.2.3".parse().unwrap();
        inject(root.path(), &tag).unwrap();
        assert_eq!(inject(root.path(), &tag).unwrap(), Vec::<PathBuf>::new());
    }

    #[test]
    fn a_tree_that_lacks_a_statement_is_left_as_it_was() {
        let root = tree();
        fs::write(root.path().join(LOCK), "version = 4\n").unwrap();
        let error = inject(root.path(), &"v1.2.3".parse().unwrap()).unwrap_err();
        assert!(format!("{error:#}").ends_with("Cargo.lock states no version of tsuku-dltest"), "{error:#}");
        assert_eq!(fs::read_to_string(root.path().join(MANIFEST)).unwrap(), MANIFEST_TEXT);
    }
}
