//! What this program takes of libSystem, as Apple's headers declare it. `libSystem.tbd` names it for the linker.

use core::ffi::{c_char, c_int, c_short, c_uint, c_void};

pub(super) const O_RDWR: c_int = 2;
pub(super) const O_NONBLOCK: c_int = 0x4;
pub(super) const O_CREAT: c_int = 0x200;
pub(super) const O_EXCL: c_int = 0x800;
pub(super) const O_CLOEXEC: c_int = 0x100_0000;
pub(super) const F_DUPFD_CLOEXEC: c_int = 67;
pub(super) const PROT_READ_WRITE: c_int = 3;
pub(super) const MAP_SHARED: c_int = 0x1;
pub(super) const MAP_PRIVATE_ANONYMOUS: c_int = 0x1002;
pub(super) const CLOCK_UPTIME_RAW: c_int = 8;
pub(super) const SC_NPROCESSORS_ONLN: c_int = 58;
pub(super) const SIGKILL: c_int = 9;
pub(super) const SIGPIPE: c_int = 13;
pub(super) const SIGALRM: c_int = 14;
pub(super) const SIGCHLD: c_int = 20;
pub(super) const SIGXFSZ: c_int = 25;
pub(super) const SIG_BLOCK: c_int = 1;
pub(super) const SIG_UNBLOCK: c_int = 2;
pub(super) const ITIMER_REAL: c_int = 0;
pub(super) const RLIMIT_CORE: c_int = 4;
pub(super) const P_ALL: c_int = 0;
pub(super) const WNOHANG: c_int = 0x01;
pub(super) const WUNTRACED: c_int = 0x02;
pub(super) const WEXITED: c_int = 0x04;
pub(super) const WSTOPPED: c_int = 0x08;
/// Tell, but do not take: the process keeps its number.
pub(super) const WNOWAIT: c_int = 0x20;
pub(super) const EVFILT_SIGNAL: i16 = -6;
pub(super) const EV_ADD: u16 = 1;
pub(super) const POSIX_SPAWN_SETPGROUP: c_short = 0x02;
pub(super) const POSIX_SPAWN_SETSIGMASK: c_short = 0x08;
/// Of all descriptors, the child gets those that the file actions name.
pub(super) const POSIX_SPAWN_CLOEXEC_DEFAULT: c_short = 0x4000;

#[repr(C)]
pub(super) struct Kevent {
    pub(super) ident: usize,
    pub(super) filter: i16,
    pub(super) flags: u16,
    pub(super) fflags: u32,
    pub(super) data: isize,
    pub(super) udata: *mut c_void,
}

#[repr(C)]
pub(super) struct Timespec {
    pub(super) seconds: i64,
    pub(super) nanoseconds: i64,
}

#[repr(C)]
pub(super) struct Timer {
    pub(super) interval: [i64; 2],
    /// Seconds, microseconds.
    pub(super) value: [i64; 2],
}

#[repr(C)]
pub(super) struct SigAction {
    pub(super) handler: *const c_void,
    pub(super) mask: u32,
    pub(super) flags: c_int,
}

/// `siginfo_t`, as far as `waitid` is asked.
#[repr(C, align(8))]
pub(super) struct SigInfo {
    pub(super) signal: c_int,
    pub(super) error: c_int,
    pub(super) code: c_int,
    pub(super) pid: c_int,
    pub(super) rest: [u64; 11],
}

pub(super) const CLD_STOPPED: c_int = 5;

/// `struct stat` with inodes of 64 bits.
#[repr(C)]
pub(super) struct Stat {
    pub(super) device: i32,
    pub(super) mode: u16,
    pub(super) links: u16,
    pub(super) inode: u64,
    pub(super) rest: [u64; 16],
}

/// `struct mach_header_64`, as far as it is read.
#[repr(C)]
pub(super) struct MachHeader {
    pub(super) magic: u32,
    pub(super) machine: [u32; 2],
    pub(super) file_type: u32,
}
pub(super) const MH_EXECUTE: u32 = 2;

// A development build; with the recipe the stub stands in link.toml.
#[cfg(not(link_recipe))]
#[link(name = "System")]
unsafe extern "C" {}

unsafe extern "C" {
    pub(super) fn _exit(status: c_int) -> !;
    pub(super) fn __error() -> *const c_int;
    pub(super) fn _NSGetEnviron() -> *const *const *const c_char;
    pub(super) fn _NSGetExecutablePath(buffer: *mut c_char, size: *mut u32) -> c_int;
    pub(super) fn write(fd: c_int, bytes: *const u8, length: usize) -> isize;
    pub(super) fn read(fd: c_int, bytes: *mut u8, length: usize) -> isize;
    pub(super) fn open(path: *const c_char, flags: c_int, ...) -> c_int;
    pub(super) fn close(fd: c_int) -> c_int;
    pub(super) fn dup2(from: c_int, to: c_int) -> c_int;
    pub(super) fn fcntl(fd: c_int, command: c_int, ...) -> c_int;
    pub(super) fn ftruncate(fd: c_int, length: i64) -> c_int;
    pub(super) fn shm_open(name: *const c_char, flags: c_int, ...) -> c_int;
    pub(super) fn shm_unlink(name: *const c_char) -> c_int;
    pub(super) fn mmap(
        at: *mut c_void,
        length: usize,
        protection: c_int,
        flags: c_int,
        fd: c_int,
        offset: i64,
    ) -> *mut c_void;
    pub(super) fn munmap(start: *mut c_void, length: usize) -> c_int;
    pub(super) fn poll(entries: *mut c_int, count: c_uint, milliseconds: c_int) -> c_int;
    pub(super) fn clock_gettime_nsec_np(clock: c_int) -> u64;
    pub(super) fn sysconf(name: c_int) -> isize;
    pub(super) fn sigaction(signal: c_int, new: *const SigAction, old: *mut SigAction) -> c_int;
    pub(super) fn sigprocmask(how: c_int, new: *const u32, old: *mut u32) -> c_int;
    pub(super) fn setitimer(which: c_int, new: *const Timer, old: *mut Timer) -> c_int;
    pub(super) fn setrlimit(resource: c_int, limit: *const [u64; 2]) -> c_int;
    pub(super) fn getpid() -> c_int;
    pub(super) fn kqueue() -> c_int;
    pub(super) fn kevent(
        queue: c_int,
        new: *const Kevent,
        news: c_int,
        out: *mut Kevent,
        outs: c_int,
        time: *const Timespec,
    ) -> c_int;
    pub(super) fn kill(pid: c_int, signal: c_int) -> c_int;
    pub(super) fn waitid(kind: c_int, id: c_uint, info: *mut SigInfo, options: c_int) -> c_int;
    pub(super) fn wait4(pid: c_int, status: *mut c_int, options: c_int, usage: *mut c_void) -> c_int;
    #[cfg_attr(target_arch = "x86_64", link_name = "stat$INODE64")]
    pub(super) fn stat(path: *const c_char, buffer: *mut Stat) -> c_int;
    pub(super) fn _dyld_image_count() -> u32;
    pub(super) fn _dyld_get_image_name(image: u32) -> *const c_char;
    pub(super) fn _dyld_get_image_header(image: u32) -> *const MachHeader;
    pub(super) fn _dyld_shared_cache_contains_path(path: *const c_char) -> bool;
    pub(super) fn posix_spawn(
        pid: *mut c_int,
        path: *const c_char,
        actions: *const Opaque,
        attributes: *const Opaque,
        argv: *const *const c_char,
        environment: *const *const c_char,
    ) -> c_int;
    pub(super) fn posix_spawn_file_actions_init(actions: *mut Opaque) -> c_int;
    pub(super) fn posix_spawn_file_actions_adddup2(actions: *mut Opaque, from: c_int, to: c_int) -> c_int;
    pub(super) fn posix_spawnattr_init(attributes: *mut Opaque) -> c_int;
    pub(super) fn posix_spawnattr_setflags(attributes: *mut Opaque, flags: c_short) -> c_int;
    pub(super) fn posix_spawnattr_setpgroup(attributes: *mut Opaque, group: c_int) -> c_int;
    pub(super) fn posix_spawnattr_setsigmask(attributes: *mut Opaque, mask: *const u32) -> c_int;
}

/// `posix_spawnattr_t` and `posix_spawn_file_actions_t`: pointers to what the system keeps.
pub(super) type Opaque = *mut c_void;
