//! Git tags of the served repository, and the checks of its commits.

use serde::{Deserialize, Serialize};

use crate::plumbing::digest::sha256;

/// A git tag of the served repository.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Tag {
    /// `v1.2.3`
    pub name: String,
    /// The commit it means, 40 hexadecimal digits.
    pub commit: String,
    /// The message of an annotated tag.
    pub message: Option<String>,
}

impl Tag {
    /// A lightweight tag with a made-up commit.
    pub fn lightweight(name: &str) -> Self {
        Self { name: name.to_owned(), commit: sha256(name.as_bytes())[..40].to_owned(), message: None }
    }

    /// An annotated tag with a made-up commit.
    pub fn annotated(name: &str, message: &str) -> Self {
        Self { message: Some(message.to_owned()), ..Self::lightweight(name) }
    }

    /// What the reference points to: the tag object of an annotated tag, else the commit.
    pub(super) fn object(&self) -> String {
        match &self.message {
            Some(message) => sha256(format!("{}\0{message}", self.commit).as_bytes())[..40].to_owned(),
            None => self.commit.clone(),
        }
    }
}

/// A check that some workflow has made of a commit.
#[derive(Clone, Debug)]
pub struct Check {
    /// The commit, 40 hexadecimal digits.
    pub commit: String,
    /// The job's name.
    pub name: String,
    /// `success`, `failure` and so on; none while it runs.
    pub conclusion: Option<String>,
}

/// Whether `name` can be a tag: the rules of `git check-ref-format`.
pub(super) fn is_tag_name(name: &str) -> bool {
    let is_component = |part: &str| !part.is_empty() && !part.starts_with('.') && !part.ends_with(".lock");
    !name.starts_with('-')
        && !name.ends_with('.')
        && !name.contains("..")
        && !name.contains("@{")
        && !name.chars().any(|character| character.is_control() || " ~^:?*[\\".contains(character))
        && name.split('/').all(is_component)
}

/// Whether `text` is the full hash of a git object.
pub(super) fn is_hash(text: &str) -> bool {
    text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::is_tag_name;

    #[test]
    fn tag_names_are_those_that_git_takes() {
        for good in ["v1.2.3", "release/1.2", "v1.2.3-rc.1+build", "ünï"] {
            assert!(is_tag_name(good), "{good}");
        }
        for bad in
            ["", "a b", "a..b", "/a", "a/", "a//b", ".a", "a/.b", "a.lock", "a.", "a^", "a:b", "a@{1}", "-a", "a\n"]
        {
            assert!(!is_tag_name(bad), "{bad:?}");
        }
    }
}
