//! The hash functions of code signing.

use anyhow::{Result, bail};
use sha1::{Digest as _, Sha1};
use sha2::{Sha256, Sha384};

use super::source::Source;
use crate::plumbing::bytes;

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

    /// The hash of all bytes of `source`.
    pub(super) fn digest_source(self, source: &dyn Source) -> Result<Vec<u8>> {
        fn stream<D: sha1::Digest>(source: &dyn Source) -> Result<Vec<u8>> {
            let mut hasher = D::new();
            bytes::pieces(source, |piece| {
                hasher.update(piece);
                true
            })?;
            Ok(hasher.finalize().to_vec())
        }
        let mut hash = match self {
            Self::Sha1 => stream::<Sha1>(source),
            Self::Sha256 | Self::Sha256Truncated => stream::<Sha256>(source),
            Self::Sha384 => stream::<Sha384>(source),
        }?;
        hash.truncate(self.size());
        Ok(hash)
    }
}
