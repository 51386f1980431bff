//! This helper's own Nix expressions and pins. A stranger's could bring a compiler, or the very bytes: they are not evaluated.

use std::path::Path;

use anyhow::{Context, Result};

use crate::plumbing::files;

/// Every file that decides how Nix builds the artifacts, from the top of the repository.
const FILES: [(&str, &str); 16] = [
    ("flake.nix", include_str!("../../../../../flake.nix")),
    ("flake.lock", include_str!("../../../../../flake.lock")),
    ("nix/apps.nix", include_str!("../../../../../nix/apps.nix")),
    ("nix/checks.nix", include_str!("../../../../../nix/checks.nix")),
    ("nix/default.nix", include_str!("../../../../../nix/default.nix")),
    ("nix/dltest.nix", include_str!("../../../../../nix/dltest.nix")),
    ("nix/overlay.nix", include_str!("../../../../../nix/overlay.nix")),
    ("nix/packages.nix", include_str!("../../../../../nix/packages.nix")),
    ("nix/platforms.nix", include_str!("../../../../../nix/platforms.nix")),
    ("nix/program.nix", include_str!("../../../../../nix/program.nix")),
    ("nix/recipe.nix", include_str!("../../../../../nix/recipe.nix")),
    ("nix/release-helper.nix", include_str!("../../../../../nix/release-helper.nix")),
    ("nix/second-builder.nix", include_str!("../../../../../nix/second-builder.nix")),
    ("nix/shell.nix", include_str!("../../../../../nix/shell.nix")),
    ("nix/source.nix", include_str!("../../../../../nix/source.nix")),
    ("nix/toolchain.nix", include_str!("../../../../../nix/toolchain.nix")),
];

/// Replaces the Nix expressions and pins in the source tree at `tree` by this helper's own.
pub fn put(tree: &Path) -> Result<()> {
    let theirs = tree.join("nix");
    if theirs.exists() {
        std::fs::remove_dir_all(&theirs).with_context(|| format!("cannot remove {}", theirs.display()))?;
    }
    for (name, text) in FILES {
        let path = tree.join(name);
        files::create_dir(path.parent().unwrap_or(tree))?;
        files::write(&path, text.as_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn they_are_all_of_the_repositorys() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let entries = root.join("nix").read_dir().unwrap().map(|entry| entry.unwrap().path());
        let expressions = entries.filter(|path| path.extension().is_some_and(|extension| extension == "nix"));
        let mut there: BTreeSet<PathBuf> =
            expressions.map(|path| path.strip_prefix(&root).unwrap().to_owned()).collect();
        there.extend([PathBuf::from("flake.nix"), PathBuf::from("flake.lock")]);
        let own: BTreeSet<PathBuf> = FILES.iter().map(|(name, _)| PathBuf::from(name)).collect();
        assert_eq!(own, there);
    }

    #[test]
    fn those_of_a_tag_are_replaced() {
        let tree = tempfile::tempdir().unwrap();
        for name in ["flake.nix", "flake.lock", "nix/evil.nix", "nix/toolchain.nix"] {
            let path = tree.path().join(name);
            files::create_dir(path.parent().unwrap()).unwrap();
            files::write(&path, b"evil").unwrap();
        }
        put(tree.path()).unwrap();
        assert!(!tree.path().join("nix/evil.nix").exists());
        for (name, text) in FILES {
            assert_eq!(std::fs::read_to_string(tree.path().join(name)).unwrap(), text);
        }
    }
}
