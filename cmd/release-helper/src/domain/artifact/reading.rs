//! How the parsers read a file: no more of it than they need, and nothing that lies outside.

use anyhow::{Context, Result, ensure};

use crate::plumbing::bytes::Stream;

/// What a parser reads: what it has read before stays at hand.
pub(super) type Data<'a, 's> = &'a object::ReadCache<Stream<'s>>;

/// More than the headers, tables and names of any program take, in bytes: reading stops with an error.
pub(super) const MOST_READ: u64 = 128 << 20;

/// Fails unless `size` bytes at `offset` lie inside a file of `length` bytes.
pub(super) fn ensure_inside(offset: u64, size: u64, length: u64) -> Result<()> {
    let end = offset.checked_add(size).with_context(|| format!("begins at {offset:#x} and has no possible end"))?;
    ensure!(size == 0 || end <= length, "ends at byte {end}, beyond the end of the file at {length}");
    Ok(())
}
