//! Random access to the bytes of a file, wherever they are. Nothing here holds a whole file in memory.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, ensure};

/// Bytes that can be read at any place, from several threads at once.
pub(super) trait Source: Sync {
    /// The number of bytes.
    fn size(&self) -> u64;

    /// Fills `buffer` from `offset` on; the caller has compared both with [`Self::size`].
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

impl Source for &[u8] {
    fn size(&self) -> u64 {
        self.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let bytes = usize::try_from(offset)
            .ok()
            .and_then(|start| self.get(start..start.checked_add(buffer.len())?))
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(bytes);
        Ok(())
    }
}

/// An open file, with the size it had when it was opened.
pub(super) struct FileSource<'a> {
    pub(super) file: &'a File,
    pub(super) size: u64,
}

impl Source for FileSource<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }
}

/// A part of another source: one slice of a fat file.
#[derive(Clone, Copy)]
pub(super) struct Window<'a> {
    source: &'a dyn Source,
    offset: u64,
    size: u64,
}

impl<'a> Window<'a> {
    /// The `size` bytes of `source` that start at `offset`; an error if they are not all there.
    pub(super) fn new(source: &'a dyn Source, offset: u64, size: u64) -> Result<Self> {
        let end = offset.checked_add(size);
        ensure!(
            end.is_some_and(|end| end <= source.size()),
            "the slice at {offset:#x} with {size} bytes reaches beyond the end of the file, which has {} bytes",
            source.size()
        );
        Ok(Self { source, offset, size })
    }

    /// A part of this part.
    pub(super) fn part(&self, offset: u64, size: u64) -> Result<Self> {
        ensure!(
            offset.checked_add(size).is_some_and(|end| end <= self.size),
            "{size} bytes at {offset:#x} reach beyond the end, {:#x}",
            self.size
        );
        Ok(Self { source: self.source, offset: self.offset + offset, size })
    }

    /// Where in the underlying source it starts.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The bytes in `offset..offset + size`. The caller bounds `size`: it is allocated.
    pub(super) fn read(&self, offset: u64, size: usize) -> Result<Vec<u8>> {
        let part = self.part(offset, size as u64)?;
        let mut bytes = vec![0; size];
        part.read_at(0, &mut bytes)?;
        Ok(bytes)
    }
}

impl Source for Window<'_> {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.source.read_at(self.offset + offset, buffer)
    }
}

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
