//! Hashes, and the sweep that feeds pages to them on all processors in constant memory.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::{Result, bail};
use sha1::{Digest as _, Sha1};
use sha2::{Sha256, Sha384};

use super::source::Source;

/// A hash function of code signing, by its number in a CodeDirectory (xnu `cs_blobs.h`, `CS_HASHTYPE_…`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Sha1,
    Sha256,
    Sha256Truncated,
    Sha384,
}

impl Algorithm {
    /// The algorithm with the number `hash_type`.
    pub(super) fn of_type(hash_type: u8) -> Result<Self> {
        Ok(match hash_type {
            1 => Self::Sha1,
            2 => Self::Sha256,
            3 => Self::Sha256Truncated,
            4 => Self::Sha384,
            other => bail!("there is no hash type {other}"),
        })
    }

    /// Its number in a CodeDirectory.
    pub(super) fn hash_type(self) -> u8 {
        match self {
            Self::Sha1 => 1,
            Self::Sha256 => 2,
            Self::Sha256Truncated => 3,
            Self::Sha384 => 4,
        }
    }

    /// The size of one hash, in bytes.
    pub(super) fn size(self) -> usize {
        match self {
            Self::Sha1 | Self::Sha256Truncated => 20,
            Self::Sha256 => 32,
            Self::Sha384 => 48,
        }
    }

    /// The kernel uses the CodeDirectory of the highest rank (xnu `ubc_subr.c`, `hashPriorities`).
    pub(super) fn rank(self) -> u8 {
        match self {
            Self::Sha1 => 1,
            Self::Sha256Truncated => 2,
            Self::Sha256 => 3,
            Self::Sha384 => 4,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
            Self::Sha256Truncated => "sha256-truncated",
            Self::Sha384 => "sha384",
        }
    }

    /// Appends the hash of `bytes` to `hashes`.
    pub(super) fn append(self, bytes: &[u8], hashes: &mut Vec<u8>) {
        match self {
            Self::Sha1 => hashes.extend_from_slice(&Sha1::digest(bytes)),
            Self::Sha256 => hashes.extend_from_slice(&Sha256::digest(bytes)),
            Self::Sha256Truncated => hashes.extend_from_slice(&Sha256::digest(bytes)[..20]),
            Self::Sha384 => hashes.extend_from_slice(&Sha384::digest(bytes)),
        }
    }

    /// The hash of `bytes`.
    pub(super) fn digest(self, bytes: &[u8]) -> Vec<u8> {
        let mut hash = Vec::with_capacity(self.size());
        self.append(bytes, &mut hash);
        hash
    }

    /// The hash of `size` bytes of `source` from `offset` on; the caller has compared both with its size.
    pub(super) fn digest_range(self, source: &dyn Source, offset: u64, size: u64) -> Result<Vec<u8>> {
        fn stream<D: sha1::Digest>(source: &dyn Source, offset: u64, size: u64) -> Result<Vec<u8>> {
            let mut hasher = D::new();
            let mut buffer = vec![0; size.min(CHUNK as u64) as usize];
            let mut done = 0;
            while done < size {
                let part = &mut buffer[..(size - done).min(CHUNK as u64) as usize];
                source.read_at(offset + done, part)?;
                hasher.update(&part);
                done += part.len() as u64;
            }
            Ok(hasher.finalize().to_vec())
        }
        let mut hash = match self {
            Self::Sha1 => stream::<Sha1>(source, offset, size),
            Self::Sha256 | Self::Sha256Truncated => stream::<Sha256>(source, offset, size),
            Self::Sha384 => stream::<Sha384>(source, offset, size),
        }?;
        hash.truncate(self.size());
        Ok(hash)
    }
}

/// What one thread works on at a time: a multiple of every page size, small enough to stay in a core's cache.
pub(super) const CHUNK: usize = 256 << 10;

/// Below this many bytes starting a thread costs more than it saves.
const WORTH_A_THREAD: u64 = 1 << 20;

/// Calls `work` once for every [`CHUNK`] of `0..size`, with its offset and a buffer of its size that holds
/// whatever it held before. Stops early when `work` fails; of several failures the one at the lowest offset counts.
pub(super) fn sweep(size: u64, work: impl Fn(u64, &mut [u8]) -> Result<()> + Sync) -> Result<()> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    let threads = threads.min(size / WORTH_A_THREAD).clamp(1, 8);
    let next = AtomicU64::new(0);
    let failure: Mutex<Option<(u64, anyhow::Error)>> = Mutex::new(None);
    let worker = || {
        let mut buffer = vec![0; size.min(CHUNK as u64) as usize];
        loop {
            // Chunks are handed out in order, so all below a failure are already in somebody's hands.
            let offset = next.fetch_add(CHUNK as u64, Ordering::Relaxed);
            if offset >= size {
                return;
            }
            let part = &mut buffer[..(size - offset).min(CHUNK as u64) as usize];
            if let Err(error) = work(offset, part) {
                let mut failure = failure.lock().unwrap_or_else(PoisonError::into_inner);
                if failure.as_ref().is_none_or(|(earlier, _)| offset < *earlier) {
                    *failure = Some((offset, error));
                }
                next.store(size, Ordering::Relaxed);
                return;
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads {
            scope.spawn(worker);
        }
        worker();
    });
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some((_, error)) => Err(error),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_visits_every_chunk_once() {
        let size = 9 * CHUNK as u64 + 5;
        let seen = Mutex::new(Vec::new());
        sweep(size, |offset, part| {
            seen.lock().unwrap().push((offset, part.len()));
            Ok(())
        })
        .unwrap();
        let mut seen = seen.into_inner().unwrap();
        seen.sort_unstable();
        assert_eq!(seen.len(), 10);
        assert_eq!(seen[9], (9 * CHUNK as u64, 5));
        assert!(seen.windows(2).all(|pair| pair[0].0 + pair[0].1 as u64 == pair[1].0));
    }

    #[test]
    fn the_failure_at_the_lowest_offset_is_the_one_reported() {
        for _ in 0..50 {
            let error = sweep(64 * CHUNK as u64, |offset, _| match offset / CHUNK as u64 {
                chunk @ 3.. => bail!("{chunk}"),
                _ => Ok(()),
            });
            assert_eq!(error.unwrap_err().to_string(), "3");
        }
    }
}
