//! Repositories whose tag is honest but for one thing.

use std::fs;
use std::path::{Path, PathBuf};

use release_helper::domain::source;
use release_helper::jobs::verify::Rebuilt;

use crate::common::*;

/// A repository with the tag, and what holds the program.
pub struct Tagged {
    directory: tempfile::TempDir,
    pub commit: String,
}

impl Tagged {
    /// The program as it is here, after `change` did something to its files.
    pub fn new(change: impl FnOnce(&Path)) -> Self {
        let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("repository");
        source::stage(&checkout, &root).unwrap();
        change(&root);
        git(&root, &["init", "--quiet"]);
        git(&root, &["add", "--all", "--force"]);
        git(&root, &["commit", "--quiet", "--no-verify", "-m", "all"]);
        git(&root, &["tag", TAG]);
        let commit = git(&root, &["rev-parse", "HEAD"]);
        Self { directory, commit }
    }

    /// As [`Tagged::new`], with `from` replaced by `to` in one file.
    pub fn edited(file: &str, from: &str, to: &str) -> Self {
        Self::new(|root| edit(root, file, from, to))
    }

    /// As [`Tagged::new`], with one more file.
    pub fn with_file(file: &str, text: &str) -> Self {
        Self::new(|root| put(root, file, text))
    }

    pub fn root(&self) -> PathBuf {
        self.directory.path().join("repository")
    }

    /// A file beside the repository, which nothing may touch.
    pub fn outside(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Rebuilds one platform of it.
    pub fn rebuild(&self) -> anyhow::Result<Rebuilt> {
        Rebuilt::new(&options(&self.root(), &["linux-amd64"]), &empty())
    }

    /// Why it is not built.
    pub fn refusal(&self) -> String {
        self.rebuild().err().map(|error| format!("{error:#}")).expect("it was built")
    }

    /// Makes the tag mean a commit whose top is the tree called `tree`.
    pub fn retag(&mut self, tree: &str) {
        self.commit = git(&self.root(), &["commit-tree", "-m", "crafted", tree]);
        git(&self.root(), &["tag", "--force", TAG, &self.commit]);
    }
}

/// Writes `text` to `file`, and its directories.
pub fn put(root: &Path, file: &str, text: &str) {
    let path = root.join(file);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// Replaces `from` by `to` in `file`.
pub fn edit(root: &Path, file: &str, from: &str, to: &str) {
    let text = fs::read_to_string(root.join(file)).unwrap();
    assert!(text.contains(from), "{file} has no {from:?}");
    fs::write(root.join(file), text.replacen(from, to, 1)).unwrap();
}
