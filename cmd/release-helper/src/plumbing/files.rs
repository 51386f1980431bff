//! Reading and writing files so that a failure names the file and loses nothing.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result};

use crate::plumbing::bytes::FileSource;
use crate::plumbing::error::Hint;
use crate::plumbing::interrupt;

/// The whole content of the file at `path`.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The content of the file at `path`, which others may have put there: it must be a regular file of at most `limit`
/// bytes.
pub fn read_regular(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let read = || -> std::io::Result<Option<Vec<u8>>> {
        let (file, metadata) = open(path)?;
        if !metadata.is_file() {
            return Ok(None);
        }
        let mut bytes = Vec::new();
        // One byte more than allowed is enough to know that it is too long.
        file.take(limit.saturating_add(1)).read_to_end(&mut bytes)?;
        Ok((bytes.len() as u64 <= limit).then_some(bytes))
    };
    let bytes = read().with_context(|| format!("cannot read {}", path.display()))?;
    bytes.with_context(|| format!("{} is no regular file of at most {limit} bytes", path.display()))
}

/// Opens what is at `path` for reading, so that a pipe or a device can't keep us waiting.
pub fn open(path: &Path) -> std::io::Result<(fs::File, fs::Metadata)> {
    let nonblocking = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    let file = fs::File::options().read(true).custom_flags(nonblocking).open(path)?;
    let metadata = file.metadata()?;
    Ok((file, metadata))
}

/// A regular file, open for reading.
pub struct Regular {
    file: fs::File,
    size: u64,
}

impl Regular {
    /// Opens the file at `path`.
    pub fn open(path: &Path) -> Result<Self> {
        let (file, metadata) = open(path).with_context(|| format!("cannot read {}", path.display()))?;
        anyhow::ensure!(metadata.is_file(), "cannot read {}: not a regular file", path.display());
        Ok(Self { size: metadata.len(), file })
    }

    /// Its bytes.
    pub fn source(&self) -> FileSource<'_> {
        FileSource { file: &self.file, size: self.size }
    }
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
    ensure_replaceable(path)?;
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

/// Fails if something other than a regular file is at `path`, which a rename would replace.
pub fn ensure_replaceable(path: &Path) -> Result<()> {
    match fs::symlink_metadata(path) {
        Ok(metadata) if !metadata.is_file() => {
            let kind = if metadata.is_symlink() { "a symbolic link" } else { "no regular file" };
            Err(anyhow::anyhow!("{} is {kind}, and is left as it is", path.display()))
                .hint("name the file itself, or one that is not there yet")
        }
        _ => Ok(()),
    }
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
    let create = || fs::create_dir_all(path);
    interrupt::before(create).with_context(|| format!("cannot create the directory {}", path.display())).hint(format!(
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
    fn only_a_regular_file_is_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let [target, link, pipe, socket] = ["target", "link", "pipe", "socket"].map(|name| directory.path().join(name));
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        fs::write(&target, "kept").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        for path in [&link, &pipe, &socket, directory.path()] {
            let error = write(path, b"new").unwrap_err();
            assert!(format!("{error:#}").contains("is left as it is"), "{error:#}");
        }
        assert_eq!(read(&target).unwrap(), b"kept");
        assert!(link.is_symlink() && !pipe.is_file() && !socket.is_file());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 4);
    }

    #[test]
    fn only_a_regular_file_of_a_size_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let [file, link, pipe] = ["file", "link", "pipe"].map(|name| directory.path().join(name));
        fs::write(&file, "four").unwrap();
        std::os::unix::fs::symlink(&file, &link).unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert_eq!(read_regular(&link, 4).unwrap(), b"four");
        for path in [&pipe, Path::new("/dev/zero"), directory.path()] {
            let error = read_regular(path, 4).unwrap_err();
            assert!(format!("{error:#}").contains("is no regular file"), "{error:#}");
        }
        assert!(read_regular(&file, 3).is_err() && read_regular(&directory.path().join("none"), 3).is_err());
    }

    #[test]
    fn a_directory_that_cannot_be_written_is_named_with_advice() {
        let error = write(Path::new("/nonexistent/file"), b"").unwrap_err();
        assert!(format!("{error:#}").starts_with("cannot write /nonexistent/file: "), "{error:#}");
        assert!(crate::plumbing::error::hint_of(&error).unwrap().contains("/nonexistent"));
    }
}
