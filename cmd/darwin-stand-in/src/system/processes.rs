//! Processes: their ends, numbers and limits, and the clock.

use std::ffi::{CStr, c_char, c_int, c_uint, c_void};
use std::mem;
use std::ptr;

use super::errors::{checked, set};
use super::{environ, flags, host, signals};
use crate::ending::unknown;
use crate::start;

pub(super) unsafe extern "C" fn _exit(status: c_int) -> ! {
    host!(libc::_exit(status))
}

pub(super) unsafe extern "C" fn exit(status: c_int) -> ! {
    super::exit(status)
}

pub(super) unsafe extern "C" fn abort() -> ! {
    host!(libc::abort())
}

pub(super) unsafe extern "C" fn getpid() -> c_int {
    host!(libc::getpid())
}

pub(super) unsafe extern "C" fn getppid() -> c_int {
    host!(libc::getppid())
}

pub(super) unsafe extern "C" fn fork() -> c_int {
    checked(host!(libc::fork()))
}

pub(super) unsafe extern "C" fn setsid() -> c_int {
    checked(host!(libc::setsid()))
}

pub(super) unsafe extern "C" fn sleep(seconds: c_uint) -> c_uint {
    host!(libc::sleep(seconds))
}

pub(super) unsafe extern "C" fn pause() -> c_int {
    checked(host!(libc::pause()))
}

const WNOHANG: c_int = 0x1;
const WUNTRACED: c_int = 0x2;
const WEXITED: c_int = 0x4;
const WSTOPPED: c_int = 0x8;
const WNOWAIT: c_int = 0x20;

pub(super) unsafe extern "C" fn wait4(pid: c_int, status: *mut c_int, options: c_int, usage: *mut c_void) -> c_int {
    let options = flags("wait4", options, &[(WNOHANG, libc::WNOHANG), (WUNTRACED, libc::WUNTRACED)]);
    if !usage.is_null() {
        unknown(format_args!("wait4 that asks for usage"));
    }
    let mut linux = 0;
    let waited = checked(host!(libc::wait4(pid, &raw mut linux, options, ptr::null_mut())));
    if waited > 0 {
        let darwin = match (libc::WIFSTOPPED(linux), libc::WIFSIGNALED(linux)) {
            (true, _) => signals::to_darwin(libc::WSTOPSIG(linux)) << 8 | 0x7f,
            (_, true) => signals::to_darwin(libc::WTERMSIG(linux)) | linux & 0x80,
            _ => linux,
        };
        host!(status.write(darwin));
    }
    waited
}

/// `siginfo_t` (`sys/signal.h`).
#[repr(C)]
pub(super) struct SigInfo {
    signal: c_int,
    error: c_int,
    code: c_int,
    pid: c_int,
    uid: c_uint,
    status: c_int,
    address: *mut c_void,
    value: *mut c_void,
    band: i64,
    spare: [u64; 7],
}

const _: () = assert!(size_of::<SigInfo>() == 104);

pub(super) unsafe extern "C" fn waitid(kind: c_int, id: c_uint, info: *mut SigInfo, options: c_int) -> c_int {
    const SIGCHLD: c_int = 20;
    let table =
        [(WNOHANG, libc::WNOHANG), (WEXITED, libc::WEXITED), (WSTOPPED, libc::WSTOPPED), (WNOWAIT, libc::WNOWAIT)];
    let options = flags("waitid", options, &table);
    // P_ALL, P_PID, P_PGID.
    if !(0..3).contains(&kind) {
        unknown(format_args!("waitid for kind {kind}"));
    }
    // SAFETY: a structure of numbers, filled in.
    let mut linux: libc::siginfo_t = unsafe { mem::zeroed() };
    if checked(host!(libc::waitid(kind as _, id, &raw mut linux, options))) < 0 {
        return -1;
    }
    let pid = host!(linux.si_pid());
    if pid == 0 {
        // XNU leaves the structure as it is, unlike Linux.
        return 0;
    }
    let by_signal = linux.si_code != libc::CLD_EXITED;
    let status = host!(linux.si_status());
    let filled = SigInfo {
        signal: SIGCHLD,
        error: 0,
        // CLD_EXITED, CLD_KILLED, CLD_DUMPED and CLD_STOPPED are the same.
        code: linux.si_code,
        pid,
        uid: 0,
        status: if by_signal { signals::to_darwin(status) } else { status },
        address: ptr::null_mut(),
        value: ptr::null_mut(),
        band: 0,
        spare: [0; 7],
    };
    host!(info.write(filled));
    0
}

/// From 0 on, Linux' number of each of Darwin's limits (`sys/resource.h`). `None` for one that macOS does not enforce, or
/// in another way than Linux, where it would hit this program.
const LIMITS: [Option<c_int>; 9] = [
    Some(libc::RLIMIT_CPU as c_int),
    Some(libc::RLIMIT_FSIZE as c_int),
    None, // data
    None, // stack
    Some(libc::RLIMIT_CORE as c_int),
    None, // address space
    Some(libc::RLIMIT_MEMLOCK as c_int),
    Some(libc::RLIMIT_NPROC as c_int),
    Some(libc::RLIMIT_NOFILE as c_int),
];

fn limit(resource: c_int) -> Option<Option<c_int>> {
    let limit = usize::try_from(resource).ok().and_then(|resource| LIMITS.get(resource).copied());
    if limit.is_none() {
        set(libc::EINVAL);
    }
    limit
}

pub(super) unsafe extern "C" fn getrlimit(resource: c_int, values: *mut libc::rlimit) -> c_int {
    match limit(resource) {
        Some(Some(linux)) => checked(host!(libc::getrlimit(linux as _, values))),
        Some(None) => unknown(format_args!("getrlimit of {resource}")),
        None => -1,
    }
}

pub(super) unsafe extern "C" fn setrlimit(resource: c_int, values: *const libc::rlimit) -> c_int {
    match limit(resource) {
        Some(Some(linux)) => checked(host!(libc::setrlimit(linux as _, values))),
        Some(None) => 0,
        None => -1,
    }
}

pub(super) unsafe extern "C" fn sysconf(name: c_int) -> isize {
    const SC_NPROCESSORS_ONLN: c_int = 58;
    if name != SC_NPROCESSORS_ONLN {
        unknown(format_args!("sysconf {name}"));
    }
    host!(libc::sysconf(libc::_SC_NPROCESSORS_ONLN) as isize)
}

pub(super) unsafe extern "C" fn clock_gettime_nsec_np(clock: c_int) -> u64 {
    const CLOCK_UPTIME_RAW: c_int = 8;
    if clock != CLOCK_UPTIME_RAW {
        unknown(format_args!("clock {clock}"));
    }
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    host!(libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time));
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

type Thread = extern "C" fn(*mut c_void) -> *mut c_void;

pub(super) unsafe extern "C" fn pthread_create(
    thread: *mut libc::pthread_t,
    attributes: *const c_void,
    begin: Thread,
    argument: *mut c_void,
) -> c_int {
    if !attributes.is_null() {
        unknown(format_args!("attributes of a thread"));
    }
    host!(libc::pthread_create(thread, ptr::null(), begin, argument))
}

pub(super) unsafe extern "C" fn setenv(name: *const c_char, value: *const c_char, overwrite: c_int) -> c_int {
    checked(host!(libc::setenv(name, value, overwrite)))
}

#[expect(non_snake_case, reason = "it is called so")]
pub(super) unsafe extern "C" fn _NSGetEnviron() -> *const *const *const c_char {
    environ()
}

#[expect(non_snake_case, reason = "it is called so")]
pub(super) unsafe extern "C" fn _NSGetExecutablePath(buffer: *mut c_char, size: *mut u32) -> c_int {
    let path: &CStr = &start::options().program;
    let bytes = path.to_bytes_with_nul();
    let room = host!(size.read());
    host!(size.write(bytes.len() as u32));
    if (room as usize) < bytes.len() {
        return -1;
    }
    host!(buffer.cast::<u8>().copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()));
    0
}
