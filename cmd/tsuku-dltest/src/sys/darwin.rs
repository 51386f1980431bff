//! macOS. A process that has forked and not executed may not use its frameworks, so each child is this program again,
//! started in the role of the loader, with its slot on descriptor 3.

use core::ffi::{CStr, c_char, c_int, c_short, c_uint, c_void};
use core::ptr;
use core::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use super::slots::{SIZE, Slot};
use super::{Arguments, Ending, Errno, Kind, List, Slots, Streams, kind_of};
use crate::loader;

const O_RDWR: c_int = 2;
const O_NONBLOCK: c_int = 0x4;
const O_CREAT: c_int = 0x200;
const O_EXCL: c_int = 0x800;
const O_CLOEXEC: c_int = 0x100_0000;
const F_DUPFD_CLOEXEC: c_int = 67;
const PROT_READ_WRITE: c_int = 3;
const MAP_SHARED: c_int = 0x1;
const MAP_PRIVATE_ANONYMOUS: c_int = 0x1002;
const CLOCK_UPTIME_RAW: c_int = 8;
const SC_NPROCESSORS_ONLN: c_int = 58;
const SIGKILL: c_int = 9;
const SIGPIPE: c_int = 13;
const SIGCHLD: c_int = 20;
const SIG_BLOCK: c_int = 1;
const ITIMER_REAL: c_int = 0;
const WNOHANG: c_int = 1;
const WUNTRACED: c_int = 2;
const EVFILT_SIGNAL: i16 = -6;
const EV_ADD: u16 = 1;
const POSIX_SPAWN_SETPGROUP: c_short = 0x02;
const POSIX_SPAWN_SETSIGMASK: c_short = 0x08;
/// Of all descriptors, the child gets those that the file actions name.
const POSIX_SPAWN_CLOEXEC_DEFAULT: c_short = 0x4000;

/// `argv[0]` of a child; it also tells what it is in a list of processes.
const ROLE: &CStr = c"tsuku-dltest: loader";
/// Where a child finds its slot.
const SLOTS: c_int = 3;

#[repr(C)]
struct Kevent {
    ident: usize,
    filter: i16,
    flags: u16,
    fflags: u32,
    data: isize,
    udata: *mut c_void,
}

#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

#[repr(C)]
struct Timer {
    interval: [i64; 2],
    /// Seconds, microseconds.
    value: [i64; 2],
}

#[repr(C)]
struct SigAction {
    handler: *const c_void,
    mask: u32,
    flags: c_int,
}

// A development build; with the recipe the stub stands in link.toml.
#[cfg(not(link_recipe))]
#[link(name = "System")]
unsafe extern "C" {}

unsafe extern "C" {
    fn _exit(status: c_int) -> !;
    fn __error() -> *const c_int;
    fn _NSGetEnviron() -> *const *const *const c_char;
    fn _NSGetExecutablePath(buffer: *mut c_char, size: *mut u32) -> c_int;
    #[link_name = "write"]
    fn libc_write(fd: c_int, bytes: *const u8, length: usize) -> isize;
    fn read(fd: c_int, bytes: *mut u8, length: usize) -> isize;
    #[link_name = "open"]
    fn libc_open(path: *const c_char, flags: c_int, ...) -> c_int;
    #[link_name = "close"]
    fn libc_close(fd: c_int) -> c_int;
    fn dup2(from: c_int, to: c_int) -> c_int;
    fn fcntl(fd: c_int, command: c_int, ...) -> c_int;
    fn ftruncate(fd: c_int, length: i64) -> c_int;
    fn shm_open(name: *const c_char, flags: c_int, ...) -> c_int;
    fn shm_unlink(name: *const c_char) -> c_int;
    fn mmap(at: *mut c_void, length: usize, protection: c_int, flags: c_int, fd: c_int, offset: i64) -> *mut c_void;
    fn munmap(start: *mut c_void, length: usize) -> c_int;
    fn poll(entries: *mut c_int, count: c_uint, milliseconds: c_int) -> c_int;
    fn clock_gettime_nsec_np(clock: c_int) -> u64;
    fn sysconf(name: c_int) -> isize;
    fn sigaction(signal: c_int, new: *const SigAction, old: *mut SigAction) -> c_int;
    fn sigprocmask(how: c_int, new: *const u32, old: *mut u32) -> c_int;
    fn setitimer(which: c_int, new: *const Timer, old: *mut Timer) -> c_int;
    fn getpid() -> c_int;
    fn kqueue() -> c_int;
    fn kevent(
        queue: c_int,
        new: *const Kevent,
        news: c_int,
        out: *mut Kevent,
        outs: c_int,
        time: *const Timespec,
    ) -> c_int;
    #[link_name = "kill"]
    fn libc_kill(pid: c_int, signal: c_int) -> c_int;
    fn wait4(pid: c_int, status: *mut c_int, options: c_int, usage: *mut c_void) -> c_int;
    #[cfg_attr(target_arch = "x86_64", link_name = "stat$INODE64")]
    fn stat(path: *const c_char, buffer: *mut u16) -> c_int;
    fn posix_spawn(
        pid: *mut c_int,
        path: *const c_char,
        actions: *const Opaque,
        attributes: *const Opaque,
        argv: *const *const c_char,
        environment: *const *const c_char,
    ) -> c_int;
    fn posix_spawn_file_actions_init(actions: *mut Opaque) -> c_int;
    fn posix_spawn_file_actions_adddup2(actions: *mut Opaque, from: c_int, to: c_int) -> c_int;
    fn posix_spawnattr_init(attributes: *mut Opaque) -> c_int;
    fn posix_spawnattr_setflags(attributes: *mut Opaque, flags: c_short) -> c_int;
    fn posix_spawnattr_setpgroup(attributes: *mut Opaque, group: c_int) -> c_int;
    fn posix_spawnattr_setsigmask(attributes: *mut Opaque, mask: *const u32) -> c_int;
}

/// `posix_spawnattr_t` and `posix_spawn_file_actions_t`: pointers to what the system keeps.
type Opaque = *mut c_void;

/// The shared memory's descriptor, the queue of events, the caller's signal mask.
static MEMORY: AtomicI32 = AtomicI32::new(-1);
static QUEUE: AtomicI32 = AtomicI32::new(-1);
static MASK: AtomicU32 = AtomicU32::new(0);

/// Where dyld begins (`LC_MAIN`).
#[unsafe(no_mangle)]
unsafe extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    // SAFETY: the argument vector of the process.
    let mut arguments = unsafe { Arguments::new(argv) };
    // SAFETY: as above; there is a first one if argc says so.
    if argc == 4 && unsafe { CStr::from_ptr(*argv) } == ROLE {
        let mut number = || arguments.next().and_then(|text| text.to_str().ok()?.parse::<u32>().ok());
        if let (Some(slot), Some(timeout), Some(path)) = (number(), number(), arguments.next()) {
            child(slot, timeout, path);
        }
        exit(crate::NO_ANSWER)
    }
    exit(crate::run(arguments))
}

fn child(slot: u32, timeout: u32, path: &CStr) {
    let offset = i64::from(slot) * SIZE as i64;
    // SAFETY: a new mapping of what the driver put on this descriptor, checked before use.
    let memory = unsafe { mmap(ptr::null_mut(), SIZE, PROT_READ_WRITE, MAP_SHARED, SLOTS, offset) };
    if memory as isize == -1 {
        return;
    }
    close(SLOTS);
    // macOS cannot tie a child to its driver; if that one is killed, this ends the child soon after its time.
    let seconds = i64::from(timeout) / 1000 + 2;
    let timer = Timer { interval: [0, 0], value: [seconds, 0] };
    // SAFETY: a timer on the stack.
    unsafe { setitimer(ITIMER_REAL, &raw const timer, ptr::null_mut()) };
    loader::load(path, &mut Slot::armed(memory.cast()));
    exit(0)
}

fn last_error() -> Errno {
    // SAFETY: the thread's errno.
    Errno(unsafe { *__error() })
}

fn checked(result: c_int) -> Result<c_int, Errno> {
    if result < 0 { Err(last_error()) } else { Ok(result) }
}

/// Ends the process at once.
pub(crate) fn exit(status: i32) -> ! {
    // SAFETY: always allowed.
    unsafe { _exit(status) }
}

/// Writes some of `bytes`.
pub(crate) fn write(fd: i32, bytes: &[u8]) -> Result<usize, Errno> {
    // SAFETY: reads within `bytes`.
    usize::try_from(unsafe { libc_write(fd, bytes.as_ptr(), bytes.len()) }).map_err(|_| last_error())
}

/// Sleeps until `fd` takes more.
pub(super) fn wait_until_writable(fd: i32) {
    // struct pollfd: the descriptor, POLLOUT, and room for the answer.
    let mut entry = [fd, 4];
    // SAFETY: one pollfd, no timeout.
    unsafe { poll(entry.as_mut_ptr(), 1, -1) };
}

fn close(fd: c_int) {
    // SAFETY: the callers own `fd`.
    unsafe { libc_close(fd) };
}

fn open(path: &CStr, flags: c_int) -> Result<c_int, Errno> {
    // SAFETY: a NUL-terminated path.
    checked(unsafe { libc_open(path.as_ptr(), flags) })
}

/// Monotonic nanoseconds.
pub(crate) fn now() -> u64 {
    // SAFETY: always allowed.
    unsafe { clock_gettime_nsec_np(CLOCK_UPTIME_RAW) }
}

/// How many processors are online.
pub(crate) fn processors() -> u32 {
    // SAFETY: always allowed.
    unsafe { sysconf(SC_NPROCESSORS_ONLN) }.clamp(1, crate::args::MAX_JOBS as isize) as u32
}

/// A number that a library cannot easily guess: the time, and where the system put this program.
pub(super) fn key() -> u64 {
    now().wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ ptr::from_ref(&MEMORY) as u64
}

fn map(length: usize, flags: c_int, fd: c_int) -> Result<*mut u8, Errno> {
    // SAFETY: a new mapping wherever the kernel has room.
    let start = unsafe { mmap(ptr::null_mut(), length, PROT_READ_WRITE, flags, fd, 0) };
    if start as isize == -1 { Err(last_error()) } else { Ok(start.cast()) }
}

/// Zeroed memory that children share, through an object without a name.
pub(super) fn shared_memory(length: usize) -> Result<*mut u8, Errno> {
    // "/tsuku-" and the process in hexadecimal digits.
    let mut name = *b"/tsuku-00000000\0";
    // SAFETY: always allowed.
    let pid = unsafe { getpid() };
    for (at, digit) in name[7..15].iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[pid as usize >> (28 - 4 * at) & 15];
    }
    // SAFETY: a NUL-terminated name; of an object left by a killed process of the same number, the name is free again.
    let fd = unsafe {
        shm_unlink(name.as_ptr().cast());
        let fd = checked(shm_open(name.as_ptr().cast(), O_RDWR | O_CREAT | O_EXCL, 0o600 as c_int))?;
        shm_unlink(name.as_ptr().cast());
        checked(ftruncate(fd, length as i64))?;
        // Away from 0, 1 and 2, which may have been closed.
        let away = checked(fcntl(fd, F_DUPFD_CLOEXEC, SLOTS + 1))?;
        close(fd);
        away
    };
    MEMORY.store(fd, Ordering::Relaxed);
    map(length, MAP_SHARED, fd)
}

/// Reads standard input to its end.
pub(crate) fn read_stdin() -> Result<List, Errno> {
    let (mut used, mut size) = (0, 1 << 16);
    let mut start = map(size, MAP_PRIVATE_ANONYMOUS, -1)?;
    loop {
        if used == size - 1 {
            let larger = map(size * 2, MAP_PRIVATE_ANONYMOUS, -1)?;
            // SAFETY: both mappings are ours and large enough; the old one is not used again.
            unsafe {
                ptr::copy_nonoverlapping(start, larger, used);
                munmap(start.cast(), size);
            }
            (start, size) = (larger, size * 2);
        }
        // SAFETY: writes behind what is used, and leaves the last byte zero.
        match unsafe { read(0, start.add(used), size - 1 - used) } {
            // SAFETY: `used` bytes and a zero behind them, in a mapping that stays.
            0 => return Ok(unsafe { List::new(start, used) }),
            read if read > 0 => used += read as usize,
            _ if last_error() == Errno::INTR => {}
            _ => return Err(last_error()),
        }
    }
}

/// Makes this process the driver: its streams and its signals.
pub(crate) fn take_over() -> Result<Streams, Errno> {
    // SAFETY: takes no pointer.
    let away = |fd: c_int| checked(unsafe { fcntl(fd, F_DUPFD_CLOEXEC, SLOTS + 1) });
    let streams = Streams { out: away(1)?, err: away(2).unwrap_or(-1) };
    let nowhere = open(c"/dev/null", O_RDWR).or_else(|_| open(c"/", 0))?;
    for fd in 0..3 {
        // SAFETY: takes no pointer.
        checked(unsafe { dup2(nowhere, fd) })?;
    }
    if nowhere > 2 {
        close(nowhere);
    }
    let blocked: u32 = 1 << (SIGCHLD - 1) | 1 << (SIGPIPE - 1);
    let default = SigAction { handler: ptr::null(), mask: 0, flags: 0 };
    let ended = Kevent {
        ident: SIGCHLD as usize,
        filter: EVFILT_SIGNAL,
        flags: EV_ADD,
        fflags: 0,
        data: 0,
        udata: ptr::null_mut(),
    };
    // SAFETY: structures on the stack, as the system declares them.
    unsafe {
        // A caller that ignores SIGCHLD would have the kernel reap our children.
        sigaction(SIGCHLD, &raw const default, ptr::null_mut());
        sigprocmask(SIG_BLOCK, &raw const blocked, MASK.as_ptr());
        let queue = checked(kqueue())?;
        checked(kevent(queue, &raw const ended, 1, ptr::null_mut(), 0, ptr::null()))?;
        QUEUE.store(queue, Ordering::Relaxed);
    }
    Ok(streams)
}

/// Starts a child that loads the one library of `work` and reports in its slot; its process.
pub(crate) fn start(_: &Slots, work: &[(usize, &CStr)], _: &Streams, timeout: u32) -> Result<i32, Errno> {
    let &[(slot, path)] = work else { return Err(Errno(22)) };
    let mut program = [0 as c_char; 4096];
    let mut size = size_of_val(&program) as u32;
    let (mut actions, mut attributes): (Opaque, Opaque) = (ptr::null_mut(), ptr::null_mut());
    let (slot, timeout) = (decimal(slot as u32), decimal(timeout));
    let argv = [ROLE.as_ptr(), slot.as_ptr().cast(), timeout.as_ptr().cast(), path.as_ptr(), ptr::null()];
    let mask = MASK.load(Ordering::Relaxed);
    let flags = POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_CLOEXEC_DEFAULT;
    let mut pid = 0;
    // SAFETY: objects made by their init functions, vectors that end with null pointers, strings that end with NUL.
    // They are few, and not freed: the process lives no longer than they are needed.
    let error = unsafe {
        if _NSGetExecutablePath(program.as_mut_ptr(), &raw mut size) != 0 {
            return Err(Errno(63)); // ENAMETOOLONG
        }
        posix_spawn_file_actions_init(&raw mut actions);
        for fd in 0..3 {
            posix_spawn_file_actions_adddup2(&raw mut actions, fd, fd);
        }
        posix_spawn_file_actions_adddup2(&raw mut actions, MEMORY.load(Ordering::Relaxed), SLOTS);
        posix_spawnattr_init(&raw mut attributes);
        posix_spawnattr_setflags(&raw mut attributes, flags);
        posix_spawnattr_setpgroup(&raw mut attributes, 0);
        posix_spawnattr_setsigmask(&raw mut attributes, &raw const mask);
        let environment = *_NSGetEnviron();
        let (actions, attributes) = (&raw const actions, &raw const attributes);
        posix_spawn(&raw mut pid, program.as_ptr(), actions, attributes, argv.as_ptr(), environment)
    };
    if error == 0 { Ok(pid) } else { Err(Errno(error)) }
}

/// `number` as a C string.
fn decimal(number: u32) -> [u8; 11] {
    struct Text([u8; 11], usize);
    impl crate::json::Sink for Text {
        fn put(&mut self, bytes: &[u8]) {
            self.0[self.1..self.1 + bytes.len()].copy_from_slice(bytes);
            self.1 += bytes.len();
        }
    }
    let mut text = Text([0; 11], 0);
    crate::json::decimal(&mut text, number);
    text.0
}

/// Sleeps until a child ends, but not longer than `nanoseconds`.
pub(crate) fn sleep(nanoseconds: u64) {
    let time =
        Timespec { seconds: (nanoseconds / 1_000_000_000) as i64, nanoseconds: (nanoseconds % 1_000_000_000) as i64 };
    let mut event = Kevent { ident: 0, filter: 0, flags: 0, fflags: 0, data: 0, udata: ptr::null_mut() };
    // SAFETY: room for one event.
    unsafe { kevent(QUEUE.load(Ordering::Relaxed), ptr::null(), 0, &raw mut event, 1, &raw const time) };
}

/// A process that ended, with all of its group; `None` if none has.
pub(crate) fn next_ending() -> Option<(i32, Ending)> {
    loop {
        let mut status = 0;
        // SAFETY: room for a status.
        let pid = unsafe { wait4(-1, &raw mut status, WNOHANG | WUNTRACED, ptr::null_mut()) };
        if pid <= 0 {
            return None;
        }
        kill_group(pid);
        if let Some(ending) = ending_of(status) {
            return Some((pid, ending));
        }
    }
}

/// By a status from `wait4`; `None` for one that says that a process goes on.
fn ending_of(status: c_int) -> Option<Ending> {
    let (low, high) = ((status & 0x7f) as u8, (status >> 8 & 0xff) as u8);
    match low {
        0 => Some(Ending::Exit(high)),
        0x7f if status >> 16 == 0 => Some(Ending::Stopped(high)),
        0x7f => None,
        signal => Some(Ending::Signal(signal)),
    }
}

fn kill_group(pid: i32) {
    // SAFETY: takes no pointer.
    unsafe { libc_kill(-pid, SIGKILL) };
}

/// Kills a child of ours and its group.
pub(crate) fn kill(pid: i32) {
    kill_group(pid);
    // SAFETY: takes no pointer.
    unsafe { libc_kill(pid, SIGKILL) };
}

/// macOS has no way to find a process that left its group and lost its parent.
pub(crate) fn sweep() {}

/// What stands at `path`.
pub(crate) fn kind(path: &CStr) -> Kind {
    // struct stat (64-bit inodes): st_mode is the third 16-bit unit, behind st_dev.
    let mut buffer = [0_u16; 128];
    // SAFETY: more room than a stat takes.
    if unsafe { stat(path.as_ptr(), buffer.as_mut_ptr()) } == 0 { kind_of(buffer[2].into()) } else { Kind::Other }
}

/// The first bytes of the file at `path`; `None` if it cannot be read.
pub(crate) fn head<'a>(path: &CStr, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let fd = open(path, O_NONBLOCK | O_CLOEXEC).ok()?;
    // SAFETY: writes within `buffer`.
    let read = unsafe { read(fd, buffer.as_mut_ptr(), buffer.len()) };
    close(fd);
    buffer.get(..usize::try_from(read).ok()?)
}
