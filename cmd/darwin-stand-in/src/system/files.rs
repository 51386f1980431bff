//! Files and descriptors.

use std::ffi::{c_char, c_int, c_void};
use std::mem;

use super::errors::{checked, set};
use super::{OPEN_MAX, flags, host, is_short};
use crate::ending::unknown;

const O_CREAT: c_int = 0x200;
const O_EXCL: c_int = 0x800;
/// O_RDONLY, O_WRONLY and O_RDWR are no flags, and the same.
const ACCESS: c_int = 3;
const OPEN: [(c_int, c_int); 6] = [
    (0x4, libc::O_NONBLOCK),
    (O_CREAT, libc::O_CREAT),
    (0x400, libc::O_TRUNC),
    (O_EXCL, libc::O_EXCL),
    (0x10_0000, libc::O_DIRECTORY),
    (0x100_0000, libc::O_CLOEXEC),
];
/// Bytes of a name of shared memory with its NUL (`PSHMNAMLEN`).
const SHM_NAME: usize = 32;

fn open_flags(what: &str, given: c_int) -> c_int {
    if given & ACCESS == ACCESS {
        unknown(format_args!("{what} with access mode 3"));
    }
    flags(what, given & !ACCESS, &OPEN) | given & ACCESS
}

/// Permissions, which only count when something is created.
fn mode(what: &str, given: c_int, mode: u64) -> u32 {
    if given & O_CREAT == 0 {
        return 0;
    }
    let mode = mode as u32;
    // What is left on the stack may look like a mode; like a useful one it hardly does.
    if mode & !0o777 != 0 || mode & 0o600 != 0o600 {
        unknown(format_args!("{what} with mode {mode:#o}"));
    }
    mode
}

pub(super) unsafe extern "C" fn open(path: *const c_char, given: c_int, permissions: u64) -> c_int {
    let (host_flags, mode) = (open_flags("open", given), mode("open", given, permissions));
    if !is_short(path) {
        return -1;
    }
    checked(host!(libc::open(path, host_flags, mode)))
}

pub(super) unsafe extern "C" fn close(fd: c_int) -> c_int {
    checked(host!(libc::close(fd)))
}

pub(super) unsafe extern "C" fn read(fd: c_int, bytes: *mut c_void, length: usize) -> isize {
    checked(host!(libc::read(fd, bytes, length)))
}

pub(super) unsafe extern "C" fn write(fd: c_int, bytes: *const c_void, length: usize) -> isize {
    checked(host!(libc::write(fd, bytes, length)))
}

pub(super) unsafe extern "C" fn dup2(from: c_int, to: c_int) -> c_int {
    checked(host!(libc::dup2(from, to)))
}

pub(super) unsafe extern "C" fn fcntl(fd: c_int, command: c_int, argument: u64) -> c_int {
    const F_GETFD: c_int = 1;
    const F_DUPFD_CLOEXEC: c_int = 67;
    match command {
        F_GETFD => checked(host!(libc::fcntl(fd, libc::F_GETFD))),
        F_DUPFD_CLOEXEC if (0..OPEN_MAX).contains(&(argument as c_int)) => {
            checked(host!(libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, argument as c_int)))
        }
        _ => unknown(format_args!("fcntl command {command} with {argument:#x}")),
    }
}

pub(super) unsafe extern "C" fn lseek(fd: c_int, offset: i64, whence: c_int) -> i64 {
    if !(0..3).contains(&whence) {
        unknown(format_args!("lseek from {whence}"));
    }
    checked(host!(libc::lseek(fd, offset, whence)))
}

pub(super) unsafe extern "C" fn chdir(path: *const c_char) -> c_int {
    if is_short(path) { checked(host!(libc::chdir(path))) } else { -1 }
}

/// Darwin's `struct pollfd` is that of Linux, and so are its three oldest events.
pub(super) unsafe extern "C" fn poll(entries: *mut libc::pollfd, count: u32, milliseconds: c_int) -> c_int {
    for index in 0..count as usize {
        let events = host!((*entries.add(index)).events);
        if events & !7 != 0 {
            unknown(format_args!("poll for events {events:#x}"));
        }
    }
    checked(host!(libc::poll(entries, count.into(), milliseconds)))
}

/// Shared memory gets its size once.
pub(super) unsafe extern "C" fn ftruncate(fd: c_int, length: i64) -> c_int {
    if size(fd) != 0 {
        set(libc::EINVAL);
        return -1;
    }
    checked(host!(libc::ftruncate(fd, length)))
}

/// The size of an open file; 0 if it has none.
pub(super) fn size(fd: c_int) -> i64 {
    // SAFETY: a structure of numbers, filled in.
    let mut stat: libc::stat = unsafe { mem::zeroed() };
    host!(libc::fstat(fd, &raw mut stat));
    stat.st_size
}

pub(super) unsafe extern "C" fn shm_open(name: *const c_char, given: c_int, permissions: u64) -> c_int {
    let (host_flags, mode) = (open_flags("shm_open", given), mode("shm_open", given, permissions));
    if !shm_name(name) {
        return -1;
    }
    checked(host!(libc::shm_open(name, host_flags, mode as _)))
}

pub(super) unsafe extern "C" fn shm_unlink(name: *const c_char) -> c_int {
    if shm_name(name) { checked(host!(libc::shm_unlink(name))) } else { -1 }
}

fn shm_name(name: *const c_char) -> bool {
    let length = host!(libc::strnlen(name, SHM_NAME));
    if length == SHM_NAME {
        set(libc::ENAMETOOLONG);
    }
    length < SHM_NAME
}

/// `struct stat` with inodes of 64 bits (`sys/stat.h`).
#[repr(C)]
pub(super) struct Stat {
    dev: i32,
    mode: u16,
    nlink: u16,
    ino: u64,
    uid: u32,
    gid: u32,
    rdev: i32,
    /// Access, modification, change, birth.
    times: [[i64; 2]; 4],
    size: i64,
    blocks: i64,
    blksize: i32,
    flags: u32,
    generation: u32,
    spare: [i32; 5],
}

const _: () = assert!(size_of::<Stat>() == 144);

pub(super) unsafe extern "C" fn stat(path: *const c_char, result: *mut Stat) -> c_int {
    if !is_short(path) {
        return -1;
    }
    // SAFETY: a structure of numbers, filled in.
    let mut stat: libc::stat = unsafe { mem::zeroed() };
    if checked(host!(libc::stat(path, &raw mut stat))) < 0 {
        return -1;
    }
    let filled = Stat {
        dev: stat.st_dev as i32,
        // S_IFMT and permissions have been the same since Unix.
        mode: stat.st_mode as u16,
        nlink: stat.st_nlink as u16,
        ino: stat.st_ino,
        uid: stat.st_uid,
        gid: stat.st_gid,
        rdev: stat.st_rdev as i32,
        times: [
            [stat.st_atime, stat.st_atime_nsec],
            [stat.st_mtime, stat.st_mtime_nsec],
            [stat.st_ctime, stat.st_ctime_nsec],
            [stat.st_ctime, stat.st_ctime_nsec],
        ],
        size: stat.st_size,
        blocks: stat.st_blocks,
        blksize: stat.st_blksize as i32,
        flags: 0,
        generation: 0,
        spare: [0; 5],
    };
    host!(result.write(filled));
    0
}
