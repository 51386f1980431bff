//! Linux, with any libc: files, memory and time.

use core::ffi::CStr;
use core::ptr::NonNull;
use core::slice;

use super::syscall::syscall;
use super::{Errno, Kind, List, kind_of, start as entry};

const AT_FDCWD: isize = -100;
pub(super) const O_WRONLY: usize = 1;
pub(super) const O_RDWR: usize = 2;
const O_NONBLOCK: usize = 0o4000;
const O_CLOEXEC: usize = 0o2_000_000;
const PROT_READ_WRITE: usize = 3;
const MAP_SHARED_ANONYMOUS: usize = 0x21;
const MAP_PRIVATE_ANONYMOUS: usize = 0x22;
const MREMAP_MAYMOVE: usize = 1;
const CLOCK_MONOTONIC: usize = 1;

#[repr(C)]
pub(super) struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

impl Timespec {
    pub(super) fn new(nanoseconds: u64) -> Self {
        Self { seconds: (nanoseconds / 1_000_000_000) as i64, nanoseconds: (nanoseconds % 1_000_000_000) as i64 }
    }
}

/// Ends the process at once.
pub(crate) fn exit(status: i32) -> ! {
    loop {
        // SAFETY: takes no pointer.
        let _ = unsafe { syscall!(EXIT_GROUP, status) };
    }
}

/// Writes some of `bytes`.
pub(crate) fn write(fd: i32, bytes: &[u8]) -> Result<usize, Errno> {
    // SAFETY: the kernel reads within `bytes`.
    unsafe { syscall!(WRITE, fd, bytes.as_ptr(), bytes.len()) }
}

/// What writing to a closed pipe or beyond a limit brings (SIGPIPE, SIGXFSZ), an error aside, does not come any more.
pub(crate) fn block_signals_of_writing() {
    let signals: u64 = 1 << (13 - 1) | 1 << (25 - 1);
    // SAFETY: a signal set on the stack; 0 is SIG_BLOCK.
    let _ = unsafe { syscall!(RT_SIGPROCMASK, 0, &raw const signals, 0, 8) };
}

/// Sleeps until `fd` takes more.
pub(super) fn wait_until_writable(fd: i32) {
    // struct pollfd: the descriptor, POLLOUT, and room for the answer.
    let mut poll = [fd, 4];
    // SAFETY: one pollfd, no timeout, no mask.
    let _ = unsafe { syscall!(PPOLL, poll.as_mut_ptr(), 1, 0, 0, 0) };
}

pub(super) fn close(fd: i32) {
    // SAFETY: takes no pointer; the callers own `fd`.
    let _ = unsafe { syscall!(CLOSE, fd) };
}

pub(super) fn open(path: &CStr, flags: usize) -> Result<i32, Errno> {
    // SAFETY: a NUL-terminated path.
    unsafe { syscall!(OPENAT, AT_FDCWD, path.as_ptr(), flags, 0) }.map(|fd| fd as i32)
}

/// Monotonic nanoseconds.
pub(crate) fn now() -> u64 {
    clock(CLOCK_MONOTONIC).unwrap_or(0)
}

/// Nanoseconds by any of the kernel's clocks.
pub(super) fn clock(clock: usize) -> Option<u64> {
    let mut time = Timespec::new(0);
    // SAFETY: the kernel writes one timespec.
    unsafe { syscall!(CLOCK_GETTIME, clock, &raw mut time) }.ok()?;
    Some(time.seconds as u64 * 1_000_000_000 + time.nanoseconds as u64)
}

/// How many processors this process may use.
pub(crate) fn processors() -> u32 {
    let mut set = [0_u64; 128];
    // SAFETY: the kernel writes within `set`.
    let _ = unsafe { syscall!(SCHED_GETAFFINITY, 0, size_of_val(&set), set.as_mut_ptr()) };
    set.iter().map(|word| word.count_ones()).sum::<u32>().clamp(1, crate::args::MAX_JOBS)
}

/// A number that a library cannot guess.
pub(crate) fn key() -> u64 {
    entry::random() ^ now()
}

fn map(length: usize, flags: usize) -> Result<NonNull<u8>, Errno> {
    // SAFETY: a new mapping wherever the kernel has room, which is never at 0.
    let start = unsafe { syscall!(MMAP, 0, length, PROT_READ_WRITE, flags, -1_isize, 0) }?;
    NonNull::new(start as *mut u8).ok_or(Errno::AGAIN)
}

/// Zeroed memory that children share.
pub(super) fn shared_memory(length: usize) -> Result<NonNull<u8>, Errno> {
    map(length, MAP_SHARED_ANONYMOUS)
}

/// Gives a mapping back.
pub(super) fn unmap(start: NonNull<u8>, length: usize) {
    // SAFETY: slots call this for memory they own and do not touch again.
    let _ = unsafe { syscall!(MUNMAP, start.as_ptr(), length) };
}

/// Bytes, as many as come.
pub(crate) struct Pile {
    start: NonNull<u8>,
    used: usize,
    size: usize,
}

impl Pile {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self { start: NonNull::dangling(), used: 0, size: 0 }
    }

    /// Room for a few more pages; the last byte of it is zero and stays so.
    fn room(&mut self) -> Result<&mut [u8], Errno> {
        const ENOUGH: usize = 1 << 15;
        if self.size - self.used < ENOUGH {
            let size = (self.size * 2).max(ENOUGH * 2);
            self.start = if self.size == 0 {
                map(size, MAP_PRIVATE_ANONYMOUS)?
            } else {
                // SAFETY: the mapping is ours, and by `self` nothing else points into it.
                let start = unsafe { syscall!(MREMAP, self.start.as_ptr(), self.size, size, MREMAP_MAYMOVE) }?;
                NonNull::new(start as *mut u8).ok_or(Errno::AGAIN)?
            };
            self.size = size;
        }
        // SAFETY: within the mapping, which is as long.
        Ok(unsafe { slice::from_raw_parts_mut(self.start.add(self.used).as_ptr(), self.size - self.used - 1) })
    }

    /// Appends `bytes`, which are no more than a frame.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        self.room()?[..bytes.len()].copy_from_slice(bytes);
        self.used += bytes.len();
        Ok(())
    }

    /// All of them.
    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: that many were written; a dangling pointer will do for none.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.used) }
    }

    /// Forgets them.
    pub(crate) fn clear(&mut self) {
        self.used = 0;
    }
}

/// Reads standard input to its end.
pub(crate) fn read_stdin() -> Result<List, Errno> {
    let mut pile = Pile::new();
    loop {
        let room = pile.room()?;
        // SAFETY: the kernel writes within the room.
        match unsafe { syscall!(READ, 0, room.as_mut_ptr(), room.len()) } {
            // SAFETY: `used` bytes and a zero behind them, in a mapping that stays.
            Ok(0) => return Ok(unsafe { List::new(pile.start.as_ptr(), pile.used) }),
            Ok(read) => pile.used += read,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// What stands at `path`.
pub(crate) fn kind(path: &CStr) -> Kind {
    // struct stat: st_mode is at 24 on x86_64 and at 16 on aarch64.
    let mut stat = [0_u32; 64];
    // SAFETY: more room than a stat takes.
    match unsafe { syscall!(NEWFSTATAT, AT_FDCWD, path.as_ptr(), stat.as_mut_ptr(), 0) } {
        Ok(_) => kind_of(stat[if cfg!(target_arch = "x86_64") { 6 } else { 4 }]),
        Err(_) => Kind::Other,
    }
}

/// The first bytes of the file at `path`; `None` if it cannot be read.
pub(crate) fn head<'a>(path: &CStr, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let fd = open(path, O_NONBLOCK | O_CLOEXEC).ok()?;
    // SAFETY: the kernel writes within `buffer`.
    let read = unsafe { syscall!(READ, fd, buffer.as_mut_ptr(), buffer.len()) };
    close(fd);
    buffer.get(..read.ok()?)
}
