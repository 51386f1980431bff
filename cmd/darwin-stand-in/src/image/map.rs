//! Segments to memory and back.

use std::ops::Range;
use std::ptr;

use object::LittleEndian as Little;
use object::macho;

use super::file::{File, PAGE};
use crate::ending::unknown;

/// A slide is a multiple of this, on every machine.
const ALIGNMENT: u64 = 0x4000;

/// Maps a file anywhere, writable; the slide. The segments lie to each other as they say.
pub(super) fn map(file: &File) -> Result<u64, String> {
    let (first, last) = (&file.segments[0], file.segments.last().expect("there is one"));
    let span = (last.address - first.address + last.size).next_multiple_of(ALIGNMENT);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    let length = (span + ALIGNMENT) as usize;
    // SAFETY: a new mapping, wherever there is room.
    let start = unsafe { libc::mmap(ptr::null_mut(), length, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0) };
    if start == libc::MAP_FAILED {
        return Err("cannot be mapped: not enough memory".to_owned());
    }
    let start = (start as u64).next_multiple_of(ALIGNMENT);
    let slide = start.wrapping_sub(first.address);
    for segment in &file.segments {
        let bytes = &file.bytes[segment.bytes.clone()];
        // SAFETY: the mapping spans all segments, and no content is longer than its segment.
        unsafe {
            let target = (segment.address + slide) as *mut u8;
            target.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
        }
    }
    Ok(slide)
}

/// Adds the slide to every pointer that the file names.
pub(super) fn rebase(file: &File, slide: u64) -> Result<(), String> {
    let rebases = file.info.rebases(Little, file.bytes.as_slice(), 8).map_err(|error| error.to_string())?;
    for rebase in rebases {
        let rebase = rebase.map_err(|error| error.to_string())?;
        if rebase.kind != macho::REBASE_TYPE_POINTER {
            unknown(format_args!("rebase of type {}", rebase.kind.0));
        }
        let pointer = place(file, slide, rebase.segment_index, rebase.segment_offset)?;
        // SAFETY: within a mapped, writable segment.
        unsafe { pointer.write_unaligned(pointer.read_unaligned() + slide) };
    }
    Ok(())
}

/// Where a pointer stands that a rebase or bind names.
pub(super) fn place(file: &File, slide: u64, segment: u8, offset: u64) -> Result<*mut u64, String> {
    // Segments are counted with __PAGEZERO.
    let before = usize::from(file.kind == macho::MH_EXECUTE);
    let segment = usize::from(segment).checked_sub(before).and_then(|index| file.segments.get(index));
    match segment {
        Some(segment) if offset.checked_add(8).is_some_and(|end| end <= segment.size) => {
            Ok((segment.address + offset + slide) as *mut u64)
        }
        _ => Err("a rebase or bind outside of its segment".to_owned()),
    }
}

/// Gives every segment the protection that it asks for, and makes code visible to the processor.
pub(super) fn protect(file: &File, slide: u64) {
    for segment in &file.segments {
        let (start, size) = (segment.address + slide, segment.size.next_multiple_of(PAGE));
        // SAFETY: pages of our own mapping.
        let result = unsafe { libc::mprotect(start as *mut _, size as usize, segment.protection as i32) };
        if result != 0 {
            unknown(format_args!("protection {} of a segment", segment.protection));
        }
        if segment.protection as i32 & libc::PROT_EXEC != 0 {
            synchronize(start..start + size);
        }
    }
}

/// Removes what was mapped.
pub(super) fn unmap(range: Range<u64>) {
    // SAFETY: our own mapping, of an image that nobody uses any more.
    unsafe { libc::munmap(range.start as *mut _, (range.end - range.start) as usize) };
}

/// On arm64, instructions that were written as data have to be made known.
fn synchronize(range: Range<u64>) {
    #[cfg(target_arch = "aarch64")]
    // SAFETY: cache maintenance of mapped, readable memory; 4 bytes is the smallest line there may be.
    unsafe {
        use std::arch::asm;
        for line in range.clone().step_by(4) {
            asm!("dc cvau, {}", in(reg) line);
        }
        asm!("dsb ish");
        for line in range.step_by(4) {
            asm!("ic ivau, {}", in(reg) line);
        }
        asm!("dsb ish", "isb");
    }
    #[cfg(not(target_arch = "aarch64"))]
    let _ = range;
}
