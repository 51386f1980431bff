//! Which files of a commit are needed.

/// What the artifacts are built from. Nothing else of the repository can reach their bytes, and the Nix packages
/// take the same files (`nix/source.nix`).
pub(super) const ARTIFACT_SOURCES: [&str; 4] =
    ["Cargo.toml", "cmd/tsuku-dltest", "release.toml", "rust-toolchain.toml"];

/// What else is told of a source: its lock files go into the build record, a rival of `rust-toolchain.toml` is refused.
const NOTED: [&str; 3] = ["Cargo.lock", "flake.lock", "rust-toolchain"];

/// How much of a commit is needed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// What cargo builds the artifacts from, and their record.
    Program,
    /// All of it, for Nix. What is no regular file is left out, unless the program is made of it.
    All,
}

impl Part {
    /// Whether the program is made of what lies at `path`, or of something below it.
    pub(super) fn is_program(path: &str) -> bool {
        ARTIFACT_SOURCES.iter().chain(&NOTED).any(|source| is_within(path, source) || is_within(source, path))
    }
}

/// Whether `path` is `directory`, or lies in it.
fn is_within(path: &str, directory: &str) -> bool {
    path.strip_prefix(directory).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_within_a_directory_by_whole_names() {
        assert!(is_within("cmd/a/b", "cmd/a") && is_within("cmd/a", "cmd/a"));
        assert!(!is_within("cmd/a-b", "cmd/a") && !is_within("cmd", "cmd/a"));
        for path in ["cmd", "cmd/tsuku-dltest", "cmd/tsuku-dltest/src/main.rs", "Cargo.lock", "rust-toolchain"] {
            assert!(Part::is_program(path), "{path}");
        }
        for path in ["cmd/tsuku-dltest-x", "docs", "cargo.toml", "rust-toolchain.toml.x"] {
            assert!(!Part::is_program(path), "{path}");
        }
    }
}
