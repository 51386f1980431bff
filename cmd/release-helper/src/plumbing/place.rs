//! Where work in progress may lie: below directories that no other user can change.

use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use crate::plumbing::error::Hint;

/// A directory's sticky bit: what lies in it can be renamed and removed by its owner only.
const STICKY: u32 = 0o1000;

/// How far the directories above a place can be trusted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Trust {
    /// Others can add files beside the place, but neither rename nor replace it: `/tmp`.
    Shared,
    /// Nobody but this user and root can change any of them.
    Own,
}

/// The directory for work in progress: `TMPDIR` if it is set, else the user's cache directory, else the system's place
/// for temporary files.
pub fn find() -> Result<PathBuf> {
    const HINT: &str = "set TMPDIR to a directory of yours, whose parents no other user can write";
    if std::env::var_os("TMPDIR").is_some_and(|value| !value.is_empty()) {
        let place = std::env::temp_dir();
        trust(&place).with_context(|| format!("TMPDIR is {}", place.display())).hint(HINT)?;
        return Ok(place);
    }
    if let Some(cache) = cache().filter(|cache| trust(cache).is_ok_and(|trust| trust == Trust::Own)) {
        return Ok(cache);
    }
    let place = std::env::temp_dir();
    trust(&place).hint(HINT)?;
    Ok(place)
}

/// Our own folder in the user's cache directory, made if it is not there.
fn cache() -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let parent = set("XDG_CACHE_HOME").or_else(|| Some(set("HOME")?.join(".cache")))?;
    let cache = parent.join("tsuku-dltest");
    let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&cache);
    made.ok().map(|()| cache)
}

/// How far `place` can be trusted, by its own and all its parents' owners and modes. Fails if another user could
/// replace something of it.
fn trust(place: &Path) -> Result<Trust> {
    let place = place.canonicalize().with_context(|| format!("cannot find {}", place.display()))?;
    let me = rustix::process::geteuid().as_raw();
    let look = |path: &Path| path.metadata().with_context(|| format!("cannot look at {}", path.display()));
    // In a user namespace root may have another number; whoever owns `/` is trusted anyway.
    let owners = [me, 0, look(Path::new("/"))?.uid()];
    let mut trust = Trust::Own;
    for directory in place.ancestors() {
        let metadata = look(directory)?;
        ensure!(metadata.is_dir(), "{} is no directory", directory.display());
        ensure!(
            owners.contains(&metadata.uid()),
            "{} belongs to another user (number {})",
            directory.display(),
            metadata.uid()
        );
        // A group of the user's own number is that user's alone, by the convention of most distributions.
        let by_group = metadata.mode() & 0o020 != 0 && metadata.gid() != metadata.uid();
        if by_group || metadata.mode() & 0o002 != 0 {
            if metadata.mode() & STICKY == 0 {
                bail!("{} can be changed by other users", directory.display());
            }
            trust = Trust::Shared;
        }
    }
    Ok(trust)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn directory(mode: u32) -> (tempfile::TempDir, PathBuf) {
        let above = tempfile::tempdir().unwrap();
        fs::set_permissions(above.path(), Permissions::from_mode(mode)).unwrap();
        let place = above.path().join("place");
        fs::create_dir(&place).unwrap();
        (above, place)
    }

    #[test]
    fn a_place_that_others_could_replace_is_refused() {
        let (_above, place) = directory(0o777);
        assert!(format!("{:#}", trust(&place).err().unwrap()).contains("can be changed by other users"));
    }

    #[test]
    fn a_sticky_directory_above_is_shared_and_no_more() {
        let (_above, place) = directory(0o1777);
        assert!(trust(&place).unwrap() == Trust::Shared);
    }

    #[test]
    fn a_scratch_directory_is_for_its_owner_alone() {
        let scratch = crate::plumbing::interrupt::Scratch::new().unwrap();
        assert_eq!(fs::metadata(scratch.path()).unwrap().mode() & 0o7777, 0o700);
    }
}
