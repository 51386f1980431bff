//! Where the bytes of a result go, and those of a file come from ([`crate::plumbing::bytes`]).

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

pub(super) use crate::plumbing::bytes::{FileSource, Source, Window};

/// Where the bytes of a result go, in any order, from several threads at once.
pub(super) trait Sink: Sync {
    /// Puts `bytes` at `offset`.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Whether the result already holds, at the same offsets, what the input holds (a cloned file):
    /// bytes that are neither changed nor moved need not be written.
    fn holds_input(&self) -> bool {
        false
    }

    /// Whether nothing that is still to come can matter.
    fn is_settled(&self) -> bool {
        false
    }
}

/// A result in memory.
impl Sink for Mutex<Vec<u8>> {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut content = self.lock().unwrap_or_else(PoisonError::into_inner);
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        content
            .get_mut(start..start.saturating_add(bytes.len()))
            .ok_or(io::ErrorKind::UnexpectedEof)?
            .copy_from_slice(bytes);
        Ok(())
    }
}

/// A result in a file.
pub(super) struct FileSink<'a> {
    pub(super) file: &'a File,
    pub(super) cloned: bool,
}

impl Sink for FileSink<'_> {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn holds_input(&self) -> bool {
        self.cloned
    }
}

/// Compares a result with what is there instead of writing it.
pub(super) struct Comparison<'a> {
    existing: &'a dyn Source,
    differs: AtomicBool,
}

impl<'a> Comparison<'a> {
    pub(super) fn new(existing: &'a dyn Source) -> Self {
        Self { existing, differs: AtomicBool::new(false) }
    }
}

impl Sink for Comparison<'_> {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let end = offset.checked_add(bytes.len() as u64);
        let same = end.is_some_and(|end| end <= self.existing.size()) && {
            let mut existing = vec![0; bytes.len()];
            self.existing.read_at(offset, &mut existing)?;
            existing == bytes
        };
        self.differs.fetch_or(!same, Ordering::Relaxed);
        Ok(())
    }

    fn holds_input(&self) -> bool {
        true
    }

    fn is_settled(&self) -> bool {
        self.differs.load(Ordering::Relaxed)
    }
}
