//! Signing files where they are: a temporary file beside them, then a rename.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use anyhow::{Context, Result, ensure};
use rustix::fs::XattrFlags;

use super::form::Signing;
use super::plan::Plan;
use super::report::Report;
use super::source::{Comparison, FileSink, FileSource, Sink};
use super::verify;
use crate::plumbing::error::Hint;
use crate::plumbing::files;

/// Whether [`sign_file`] and [`unsign_file`] had something to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The file is already what it should be.
    Unchanged,
    /// The file was changed, or would have been without `dry_run`.
    Changed,
}

/// Signs the file at `input` and puts the result at `output`, which may be the same. A file at `output` is at any
/// moment what it was or complete; its mode and extended attributes are those of `input`. With `dry_run` nothing
/// is written.
pub fn sign_file(input: &Path, output: &Path, signing: &Signing, dry_run: bool) -> Result<Outcome> {
    let name = input.file_name().map(|name| name.to_string_lossy().into_owned());
    rewrite(input, output, dry_run, |source| Plan::sign(source, signing, name.as_deref()))
        .with_context(|| format!("cannot sign {}", input.display()))
}

/// Removes the signatures of the file at `input` and puts the result at `output`, as [`sign_file`] does.
pub fn unsign_file(input: &Path, output: &Path, dry_run: bool) -> Result<Outcome> {
    rewrite(input, output, dry_run, |source| Plan::unsign(source))
        .with_context(|| format!("cannot remove the signature of {}", input.display()))
}

/// Verifies every signature of the file at `path`. An error means that it could not be read.
pub fn verify_file(path: &Path) -> Result<Report> {
    let read = || {
        let input = Input::open(path)?;
        verify::verify(&input.source())
    };
    read().with_context(|| format!("cannot read {}", path.display()))
}

/// An open file.
struct Input {
    file: File,
    metadata: fs::Metadata,
}

impl Input {
    fn open(path: &Path) -> Result<Self> {
        let (file, metadata) = files::open(path)?;
        ensure!(metadata.is_file(), "not a regular file");
        Ok(Self { file, metadata })
    }

    fn source(&self) -> FileSource<'_> {
        FileSource { file: &self.file, size: self.metadata.len() }
    }
}

fn rewrite(
    input: &Path,
    output: &Path,
    dry_run: bool,
    plan: impl FnOnce(&FileSource<'_>) -> Result<Plan>,
) -> Result<Outcome> {
    let original = Input::open(input)?;
    let source = original.source();
    let plan = plan(&source)?;
    let outcome = difference(&plan, &source)?;
    // A rename would replace a symbolic link, not what it points to.
    let output = fs::canonicalize(output).unwrap_or_else(|_| output.to_owned());
    files::ensure_replaceable(&output)?;
    let in_place = fs::metadata(&output)
        .is_ok_and(|existing| (existing.dev(), existing.ino()) == (original.metadata.dev(), original.metadata.ino()));
    if !dry_run && (outcome != Outcome::Unchanged || !in_place) {
        write(&plan, &original, &output).hint(files::advice(&output))?;
    }
    Ok(outcome)
}

/// Whether the plan would change anything. It stops at the first difference, so it costs little unless there is none.
fn difference(plan: &Plan, source: &FileSource<'_>) -> Result<Outcome> {
    let comparison = Comparison::new(source);
    plan.write(source, &comparison)?;
    let same = plan.size == source.size && !comparison.is_settled();
    Ok(if same { Outcome::Unchanged } else { Outcome::Changed })
}

fn write(plan: &Plan, original: &Input, output: &Path) -> Result<()> {
    let (temporary, _leftover) = files::temporary_beside(output)?;
    let file = temporary.as_file();
    let cloned = clone_into(&original.file, file);
    if !cloned {
        reserve(file, plan.size)?;
    }
    file.set_len(plan.size)?;
    plan.write(&original.source(), &FileSink { file, cloned })?;
    keep_attributes(original, file).context("cannot keep the file's attributes")?;
    temporary.persist(output)?;
    Ok(())
}

/// Lets `to` share the blocks of `from`, where the file system can (btrfs, xfs, bcachefs), so that only what
/// changes is written. Whether it could.
#[cfg(target_os = "linux")]
fn clone_into(from: &File, to: &File) -> bool {
    rustix::fs::ioctl_ficlone(to, from).is_ok()
}

/// Elsewhere a file can only be cloned into one that does not exist yet.
#[cfg(not(target_os = "linux"))]
fn clone_into(_: &File, _: &File) -> bool {
    false
}

/// Allocates the blocks of a file. A full disk is noticed before anything is written, and ext4 has nothing left to
/// allocate and flush when the file is renamed over another, which takes as long as all the hashing. Like a linker's
/// result, and unlike what `files::write` writes, the file reaches the disk when the system sees fit.
#[cfg(target_os = "linux")]
fn reserve(file: &File, size: u64) -> io::Result<()> {
    match rustix::fs::fallocate(file, rustix::fs::FallocateFlags::empty(), 0, size) {
        Err(rustix::io::Errno::NOSPC) => Err(rustix::io::Errno::NOSPC.into()),
        // Not every file system can.
        _ => Ok(()),
    }
}

#[cfg(not(target_os = "linux"))]
fn reserve(_: &File, _: u64) -> io::Result<()> {
    Ok(())
}

/// Gives `to` the owner, the extended attributes and the mode of the original.
fn keep_attributes(original: &Input, to: &File) -> Result<()> {
    let from = &original.metadata;
    let own = to.metadata()?;
    if (own.uid(), own.gid()) != (from.uid(), from.gid()) {
        // Only root may give files away; for others the file stays theirs.
        let _ = std::os::unix::fs::fchown(to, Some(from.uid()), Some(from.gid()));
    }
    for name in attribute_names(&original.file)? {
        let size = rustix::fs::fgetxattr_query(&original.file, name.as_str())?;
        let mut value = vec![0; size];
        let size = rustix::fs::fgetxattr(&original.file, name.as_str(), value.as_mut_slice())?;
        match rustix::fs::fsetxattr(to, name.as_str(), &value[..size], XattrFlags::empty()) {
            // What the system guards (security.*) it also sets by itself.
            Err(error) if name.starts_with("user.") || error != rustix::io::Errno::PERM => return Err(error.into()),
            _ => {}
        }
    }
    // Last: giving a file away clears its setuid bit.
    to.set_permissions(Permissions::from_mode(from.mode() & 0o7777))?;
    Ok(())
}

/// The names of a file's extended attributes.
fn attribute_names(file: &File) -> Result<Vec<String>> {
    let size = match rustix::fs::flistxattr_query(file) {
        Err(rustix::io::Errno::NOTSUP) => return Ok(Vec::new()),
        size => size?,
    };
    let mut names = vec![0; size];
    let size = if size > 0 { rustix::fs::flistxattr(file, names.as_mut_slice())? } else { 0 };
    let names = names[..size].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.map(|name| String::from_utf8(name.to_vec()).map_err(io::Error::other)).collect::<io::Result<_>>()?)
}
