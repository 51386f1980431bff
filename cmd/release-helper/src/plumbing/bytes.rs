//! Random access to the bytes of a file, wherever they are. Nothing here holds a whole file in memory.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

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

/// How much is read at a time: a multiple of every page size, small enough to stay in a core's cache.
pub const CHUNK: u64 = 256 << 10;

/// Below this many bytes starting a thread costs more than it saves.
const WORTH_A_THREAD: u64 = 1 << 20;

/// Calls `work` once for every [`CHUNK`] of `0..size`, on all processors, with a state that each thread makes for itself,
/// until it says `false`; gives those states back. Stops early when `work` fails, too; of several failures the one at the
/// lowest offset counts.
pub fn sweep<State: Send>(
    size: u64,
    state: impl Fn() -> State + Sync,
    work: impl Fn(&mut State, Range<u64>) -> Result<bool> + Sync,
) -> Result<Vec<State>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let threads = threads.min(size / WORTH_A_THREAD).clamp(1, 8);
    let next = AtomicU64::new(0);
    let failure: Mutex<Option<(u64, anyhow::Error)>> = Mutex::new(None);
    let worker = || {
        let mut state = state();
        loop {
            // Chunks are handed out in order, so all below a failure are already in somebody's hands.
            let offset = next.fetch_add(CHUNK, Ordering::Relaxed);
            if offset >= size {
                return state;
            }
            let outcome = work(&mut state, offset..(offset + CHUNK).min(size));
            if !matches!(outcome, Ok(true)) {
                next.store(size, Ordering::Relaxed);
            }
            if let Err(error) = outcome {
                let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
                if failure.as_ref().is_none_or(|(earlier, _)| offset < *earlier) {
                    *failure = Some((offset, error));
                }
            }
        }
    };
    let states = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(worker)).collect();
        let mut states = vec![worker()];
        states.extend(
            others.into_iter().map(|other| other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))),
        );
        states
    });
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some((_, error)) => Err(error),
        None => Ok(states),
    }
}

/// Fills `buffer` with the bytes of `source` in `range` and up to `context` bytes before and behind it. Where in the buffer
/// the range is.
pub fn surrounded(
    source: &dyn Source,
    range: &Range<u64>,
    context: u64,
    buffer: &mut Vec<u8>,
) -> io::Result<Range<usize>> {
    let (first, last) = (range.start.saturating_sub(context), (range.end + context).min(source.size()));
    buffer.resize((last - first) as usize, 0);
    source.read_at(first, buffer)?;
    Ok((range.start - first) as usize..(range.end - first) as usize)
}

/// Calls `each` for all bytes of `source` in pieces, in order, until it says `false`.
pub fn pieces(source: &dyn Source, mut each: impl FnMut(&[u8]) -> bool) -> io::Result<()> {
    let size = source.size();
    let mut buffer = vec![0; CHUNK.min(size) as usize];
    for start in (0..size).step_by(CHUNK as usize) {
        let piece = &mut buffer[..(size - start).min(CHUNK) as usize];
        source.read_at(start, piece)?;
        if !each(piece) {
            break;
        }
    }
    Ok(())
}

/// Whether one source begins with all of the other.
pub fn agree(a: &dyn Source, b: &dyn Source) -> Result<bool> {
    let size = a.size().min(b.size());
    let buffers = || ([(); 2].map(|()| Vec::new()), true);
    let states = sweep(size, buffers, |(buffers, same), range| {
        let [bytes_a, bytes_b] = buffers;
        surrounded(a, &range, 0, bytes_a)?;
        surrounded(b, &range, 0, bytes_b)?;
        *same &= bytes_a == bytes_b;
        Ok(*same)
    })?;
    Ok(states.iter().all(|(_, same)| *same))
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
    fn a_sweep_visits_every_chunk_once_with_its_surroundings() {
        let content: Vec<u8> = (0..9 * CHUNK + 77).map(|index| (index % 251) as u8).collect();
        let states = sweep(content.len() as u64, Vec::new, |seen, range| {
            let mut buffer = Vec::new();
            let inner = surrounded(&content.as_slice(), &range, 10, &mut buffer)?;
            let first = range.start as usize - inner.start;
            assert_eq!(buffer, &content[first..first + buffer.len()]);
            assert!(inner.start == 10 || first == 0);
            assert!(buffer.len() - inner.end == 10 || first + buffer.len() > content.len() - 10);
            seen.push(range);
            Ok(true)
        });
        let mut seen: Vec<_> = states.unwrap().concat();
        seen.sort_by_key(|range| range.start);
        assert_eq!((seen[0].start, seen[9].end), (0, content.len() as u64));
        assert!(seen.len() == 10 && seen.windows(2).all(|pair| pair[0].end == pair[1].start));
        sweep(0, || (), |(), _| panic!("there is nothing")).unwrap();
    }

    #[test]
    fn the_failure_at_the_lowest_offset_is_the_one_reported() {
        for _ in 0..50 {
            let outcome = sweep(
                64 * CHUNK,
                || (),
                |(), range| match range.start / CHUNK {
                    chunk @ 3.. => anyhow::bail!("{chunk}"),
                    _ => Ok(true),
                },
            );
            assert_eq!(outcome.unwrap_err().to_string(), "3");
        }
    }

    #[test]
    fn a_difference_anywhere_is_found() {
        let content = vec![7; 9 * CHUNK as usize];
        assert!(agree(&content.as_slice(), &&content[1..]).unwrap());
        for at in [0, CHUNK as usize, content.len() - 1] {
            let mut other = content.clone();
            other[at] = 8;
            assert!(!agree(&content.as_slice(), &other.as_slice()).unwrap());
        }
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
