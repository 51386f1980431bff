//! Reading and writing files so that a failure names the file and loses nothing.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result};

use crate::error::Hint;
use crate::interrupt;

/// The whole content of the file at `path`.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Writes `content` to `path` through a temporary file in the same directory and a rename, so that `path` is
/// at any moment either what it was or complete. A file that was there keeps its permissions.
pub fn write(path: &Path, content: &[u8]) -> Result<()> {
    write_with_mode(path, current_mode(path), whole(path, content))
}

/// As [`write`], for a program: everybody may execute it.
pub fn write_executable(path: &Path, content: &[u8]) -> Result<()> {
    write_with_mode(path, 0o755, whole(path, content))
}

/// As [`write`], for content that does not fit into memory: `fill` writes it. If `fill` fails, `path` stays what it
/// was and the error of `fill` is given back.
pub fn write_with<T>(path: &Path, fill: impl FnOnce(&mut fs::File) -> Result<T>) -> Result<T> {
    write_with_mode(path, current_mode(path), fill)
}

fn whole<'a>(path: &'a Path, content: &'a [u8]) -> impl FnOnce(&mut fs::File) -> Result<()> + 'a {
    move |file| file.write_all(content).with_context(|| format!("cannot write {}", path.display())).hint(advice(path))
}

fn write_with_mode<T>(path: &Path, mode: u32, fill: impl FnOnce(&mut fs::File) -> Result<T>) -> Result<T> {
    let what = || format!("cannot write {}", path.display());
    let (mut file, _leftover) = temporary_beside(path).with_context(what).hint(advice(path))?;
    let value = fill(file.as_file_mut())?;
    let finish = || -> std::io::Result<()> {
        file.as_file().set_permissions(fs::Permissions::from_mode(mode))?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    finish().with_context(what).hint(advice(path))?;
    Ok(value)
}

/// A new file with a temporary name in the directory of `path`, to be filled and persisted there. It is removed when it
/// is dropped and when the user interrupts us.
pub fn temporary_beside(path: &Path) -> std::io::Result<(tempfile::NamedTempFile, interrupt::Leftover)> {
    let create = || tempfile::Builder::new().prefix(".tmp-").tempfile_in(directory_of(path));
    interrupt::leftover(create, |file| file.path())
}

fn current_mode(path: &Path) -> u32 {
    fs::metadata(path).map_or(0o644, |metadata| metadata.permissions().mode())
}

fn directory_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// What to check when `path` cannot be written.
pub fn advice(path: &Path) -> String {
    format!("check that {} exists, is writable and has free space", directory_of(path).display())
}

/// Creates the directory at `path` and its parents.
pub fn create_dir(path: &Path) -> Result<()> {
    fs::create_dir_all(path).with_context(|| format!("cannot create the directory {}", path.display())).hint(format!(
        "check that {} is writable, has free space and holds no file of that name",
        directory_of(path).display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn write_replaces_whole_files_and_leaves_no_temporary_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(read(&path).unwrap(), b"two");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_named_with_advice() {
        let error = write(Path::new("/nonexistent/file"), b"").unwrap_err();
        assert!(format!("{error:#}").starts_with("cannot write /nonexistent/file: "), "{error:#}");
        assert!(crate::error::hint_of(&error).unwrap().contains("/nonexistent"));
    }
}
