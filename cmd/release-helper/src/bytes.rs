//! Random access to the bytes of a file, wherever they are. Nothing here holds a whole file in memory.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

use anyhow::{Result, ensure};

/// Bytes that can be read at any place, from several threads at once.
pub trait Source: Sync {
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
pub struct FileSource<'a> {
    /// The file.
    pub file: &'a File,
    /// Its size in bytes.
    pub size: u64,
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
pub struct Window<'a> {
    source: &'a dyn Source,
    offset: u64,
    size: u64,
}

impl<'a> Window<'a> {
    /// All of `source`.
    pub fn whole(source: &'a dyn Source) -> Self {
        Self { source, offset: 0, size: source.size() }
    }

    /// The `size` bytes of `source` that start at `offset`; an error if they are not all there.
    pub fn new(source: &'a dyn Source, offset: u64, size: u64) -> Result<Self> {
        let end = offset.checked_add(size);
        ensure!(
            end.is_some_and(|end| end <= source.size()),
            "the slice at {offset:#x} with {size} bytes reaches beyond the end of the file, which has {} bytes",
            source.size()
        );
        Ok(Self { source, offset, size })
    }

    /// Its first bytes, `most` or as many as there are.
    pub fn head(&self, most: u64) -> Result<Vec<u8>> {
        self.read(0, most.min(self.size) as usize)
    }

    /// A part without bytes.
    pub fn empty(&self) -> Self {
        Self { size: 0, ..*self }
    }

    /// A part of this part.
    pub fn part(&self, offset: u64, size: u64) -> Result<Self> {
        ensure!(
            offset.checked_add(size).is_some_and(|end| end <= self.size),
            "{size} bytes at {offset:#x} reach beyond the end, {:#x}",
            self.size
        );
        Ok(Self { source: self.source, offset: self.offset + offset, size })
    }

    /// Where in the underlying source it starts.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The bytes in `offset..offset + size`. The caller bounds `size`: it is allocated.
    pub fn read(&self, offset: u64, size: usize) -> Result<Vec<u8>> {
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

/// How much is read at a time.
const CHUNK: u64 = 256 << 10;

/// Calls `each` for all bytes of `source` in pieces, until it says `false`. It gets the piece with up to `context` bytes
/// before and behind it, where in them the piece is, and the offset of the first of them in the source.
pub fn pieces(
    source: &dyn Source,
    context: u64,
    mut each: impl FnMut(&[u8], Range<usize>, u64) -> bool,
) -> io::Result<()> {
    let size = source.size();
    let mut buffer = vec![0; (CHUNK + 2 * context).min(size) as usize];
    for start in (0..size).step_by(CHUNK as usize) {
        let end = (start + CHUNK).min(size);
        let (first, last) = (start.saturating_sub(context), (end + context).min(size));
        let bytes = &mut buffer[..(last - first) as usize];
        source.read_at(first, bytes)?;
        if !each(bytes, (start - first) as usize..(end - first) as usize, first) {
            break;
        }
    }
    Ok(())
}

/// Calls `each` for the bytes that two sources have at the same offsets, in pieces, with the offset, until it says
/// `false`. What one has beyond the other's end is left out.
pub fn pairs(a: &dyn Source, b: &dyn Source, mut each: impl FnMut(&[u8], &[u8], u64) -> bool) -> io::Result<()> {
    let size = a.size().min(b.size());
    let mut buffers = [(); 2].map(|()| vec![0; CHUNK.min(size) as usize]);
    for start in (0..size).step_by(CHUNK as usize) {
        let length = (size - start).min(CHUNK) as usize;
        let [bytes_a, bytes_b] = &mut buffers;
        let (bytes_a, bytes_b) = (&mut bytes_a[..length], &mut bytes_b[..length]);
        a.read_at(start, bytes_a)?;
        b.read_at(start, bytes_b)?;
        if !each(bytes_a, bytes_b, start) {
            break;
        }
    }
    Ok(())
}

/// Whether one source begins with all of the other.
pub fn agree(a: &dyn Source, b: &dyn Source) -> io::Result<bool> {
    let mut same = true;
    pairs(a, b, |bytes_a, bytes_b, _| {
        same = bytes_a == bytes_b;
        same
    })?;
    Ok(same)
}

/// A source as a stream, which says no more than `budget` bytes: a damaged file may ask for the same ones for ever.
pub struct Stream<'a> {
    source: &'a dyn Source,
    position: u64,
    budget: u64,
}

impl<'a> Stream<'a> {
    /// `source` from its beginning.
    pub fn new(source: &'a dyn Source, budget: u64) -> Self {
        Self { source, position: 0, budget }
    }
}

impl io::Read for Stream<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let size = self.source.size().saturating_sub(self.position).min(buffer.len() as u64);
        self.budget = self.budget.checked_sub(size).ok_or(io::ErrorKind::QuotaExceeded)?;
        self.source.read_at(self.position, &mut buffer[..size as usize])?;
        self.position += size;
        Ok(size as usize)
    }
}

impl io::Seek for Stream<'_> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let position = match to {
            io::SeekFrom::Start(offset) => Some(offset),
            io::SeekFrom::End(offset) => self.source.size().checked_add_signed(offset),
            io::SeekFrom::Current(offset) => self.position.checked_add_signed(offset),
        };
        self.position = position.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_every_byte_once_and_have_their_surroundings() {
        let content: Vec<u8> = (0..2 * CHUNK + 77).map(|index| (index % 251) as u8).collect();
        let mut seen = Vec::new();
        pieces(&content.as_slice(), 10, |bytes, inner, first| {
            let start = first as usize;
            assert_eq!(bytes, &content[start..start + bytes.len()]);
            assert!(inner.start == 10 || first == 0);
            assert!(bytes.len() - inner.end == 10 || start + bytes.len() > content.len() - 10);
            seen.extend_from_slice(&bytes[inner]);
            true
        })
        .unwrap();
        assert_eq!(seen, content);
        pieces(&&b""[..], 10, |_, _, _| panic!("there is nothing")).unwrap();
    }

    #[test]
    fn a_stream_ends_with_its_budget() {
        let content = [7; 100];
        let content = content.as_slice();
        let mut stream = Stream::new(&content, 150);
        let mut buffer = [0; 100];
        io::Read::read_exact(&mut stream, &mut buffer).unwrap();
        io::Seek::rewind(&mut stream).unwrap();
        assert!(io::Read::read_exact(&mut stream, &mut buffer).is_err());
    }
}
