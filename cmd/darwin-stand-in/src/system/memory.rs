//! Memory.

use std::ffi::{c_char, c_int, c_void};

use super::errors::{checked, set};
use super::{files, host};
use crate::ending::unknown;

const READ_WRITE: c_int = 3;
const MAP_SHARED: c_int = 0x1;
const MAP_PRIVATE: c_int = 0x2;
const MAP_ANON: c_int = 0x1000;
/// The kernel's pages: 16 KiB on Apple's own machines, and under Rosetta on them.
const PAGE: i64 = 0x4000;

pub(super) unsafe extern "C" fn mmap(
    at: *mut c_void,
    length: usize,
    protection: c_int,
    flags: c_int,
    fd: c_int,
    offset: i64,
) -> *mut c_void {
    if !at.is_null() || protection != READ_WRITE {
        unknown(format_args!("mmap at {at:?} with protection {protection:#x}"));
    }
    let host_flags = match flags {
        _ if flags == MAP_PRIVATE | MAP_ANON && fd == -1 && offset == 0 => libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
        MAP_SHARED if fd >= 0 => libc::MAP_SHARED,
        _ => unknown(format_args!("mmap with flags {flags:#x}, descriptor {fd}, offset {offset}")),
    };
    // An object of shared memory is mapped within its size, and by whole pages.
    if fd >= 0 && (offset % PAGE != 0 || offset < 0 || offset + length as i64 > files::size(fd)) || length == 0 {
        set(libc::EINVAL);
        return libc::MAP_FAILED;
    }
    let start = host!(libc::mmap(at, length, protection, host_flags, fd, offset));
    if start == libc::MAP_FAILED {
        checked(-1);
    }
    start
}

pub(super) unsafe extern "C" fn munmap(start: *mut c_void, length: usize) -> c_int {
    checked(host!(libc::munmap(start, length)))
}

pub(super) unsafe extern "C" fn malloc(size: usize) -> *mut c_void {
    host!(libc::malloc(size))
}

pub(super) unsafe extern "C" fn memcpy(to: *mut c_void, from: *const c_void, length: usize) -> *mut c_void {
    host!(libc::memcpy(to, from, length))
}

pub(super) unsafe extern "C" fn memmove(to: *mut c_void, from: *const c_void, length: usize) -> *mut c_void {
    host!(libc::memmove(to, from, length))
}

pub(super) unsafe extern "C" fn memset(to: *mut c_void, byte: c_int, length: usize) -> *mut c_void {
    host!(libc::memset(to, byte, length))
}

pub(super) unsafe extern "C" fn memcmp(one: *const c_void, other: *const c_void, length: usize) -> c_int {
    host!(libc::memcmp(one, other, length))
}

pub(super) unsafe extern "C" fn bzero(to: *mut c_void, length: usize) {
    host!(libc::memset(to, 0, length));
}

/// Fills memory with sixteen bytes, again and again; the last time with as many of them as there is room for.
pub(super) unsafe extern "C" fn memset_pattern16(to: *mut u8, pattern: *const u8, length: usize) {
    for at in 0..length {
        host!(to.add(at).write(*pattern.add(at % 16)));
    }
}

pub(super) unsafe extern "C" fn strlen(text: *const c_char) -> usize {
    host!(libc::strlen(text))
}
