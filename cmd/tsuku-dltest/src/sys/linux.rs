//! Linux, with any libc.

use core::ffi::{CStr, c_int};
use core::sync::atomic::{AtomicI32, Ordering};

use super::syscall::syscall;
use super::{Ending, Errno, Kind, List, Slots, Streams, kind_of, orphans, start as entry};
use crate::loader;

const AT_FDCWD: isize = -100;
const O_WRONLY: usize = 1;
const O_RDWR: usize = 2;
const O_NONBLOCK: usize = 0o4000;
const O_CLOEXEC: usize = 0o2_000_000;
const F_DUPFD_CLOEXEC: usize = 1030;
const PROT_READ_WRITE: usize = 3;
const MAP_SHARED_ANONYMOUS: usize = 0x21;
const MAP_PRIVATE_ANONYMOUS: usize = 0x22;
const MREMAP_MAYMOVE: usize = 1;
const CLOCK_MONOTONIC: usize = 1;
const SIGKILL: usize = 9;
const SIGPIPE: u32 = 13;
const SIGCHLD: u32 = 17;
const SIG_BLOCK: usize = 0;
const SIG_SETMASK: usize = 2;
const RLIMIT_CORE: usize = 4;
const PR_SET_PDEATHSIG: usize = 1;
const PR_SET_CHILD_SUBREAPER: usize = 36;
pub(super) const WNOHANG: usize = 1;
const WSTOPPED: usize = 2;
pub(super) const WEXITED: usize = 4;
const WNOWAIT: usize = 0x0100_0000;
const CLD_EXITED: i32 = 1;
const CLD_STOPPED: i32 = 5;
pub(super) const P_ALL: usize = 0;

unsafe extern "C" {
    /// The libc's own, and no bare system call: its threads and locks must know.
    pub(super) fn fork() -> c_int;
}

#[repr(C)]
struct Timespec {
    seconds: i64,
    nanoseconds: i64,
}

impl Timespec {
    fn new(nanoseconds: u64) -> Self {
        Self { seconds: (nanoseconds / 1_000_000_000) as i64, nanoseconds: (nanoseconds % 1_000_000_000) as i64 }
    }
}

/// The driver's process.
static DRIVER: AtomicI32 = AtomicI32::new(0);
/// The first child's process: no orphan has a lower number, as long as numbers do not begin again.
static FIRST: AtomicI32 = AtomicI32::new(0);
/// The caller's signal mask, which the children get back.
static MASK: [AtomicI32; 2] = [AtomicI32::new(0), AtomicI32::new(0)];

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

/// Sleeps until `fd` takes more.
pub(super) fn wait_until_writable(fd: i32) {
    // struct pollfd: the descriptor, POLLOUT, and room for the answer.
    let mut poll = [fd, 4];
    // SAFETY: one pollfd, no timeout, no mask.
    let _ = unsafe { syscall!(PPOLL, poll.as_mut_ptr(), 1, 0, 0, 0) };
}

fn close(fd: i32) {
    // SAFETY: takes no pointer; the callers own `fd`.
    let _ = unsafe { syscall!(CLOSE, fd) };
}

fn open(path: &CStr, flags: usize) -> Result<i32, Errno> {
    // SAFETY: a NUL-terminated path.
    unsafe { syscall!(OPENAT, AT_FDCWD, path.as_ptr(), flags, 0) }.map(|fd| fd as i32)
}

/// Monotonic nanoseconds.
pub(crate) fn now() -> u64 {
    let mut time = Timespec::new(0);
    // SAFETY: the kernel writes one timespec.
    let _ = unsafe { syscall!(CLOCK_GETTIME, CLOCK_MONOTONIC, &raw mut time) };
    time.seconds as u64 * 1_000_000_000 + time.nanoseconds as u64
}

/// How many processors this process may use.
pub(crate) fn processors() -> u32 {
    let mut set = [0_u64; 128];
    // SAFETY: the kernel writes within `set`.
    let _ = unsafe { syscall!(SCHED_GETAFFINITY, 0, size_of_val(&set), set.as_mut_ptr()) };
    set.iter().map(|word| word.count_ones()).sum::<u32>().clamp(1, crate::args::MAX_JOBS)
}

/// A number that a library cannot guess.
pub(super) fn key() -> u64 {
    entry::random() ^ now()
}

fn map(length: usize, flags: usize) -> Result<*mut u8, Errno> {
    // SAFETY: a new mapping wherever the kernel has room.
    unsafe { syscall!(MMAP, 0, length, PROT_READ_WRITE, flags, -1_isize, 0) }.map(|address| address as *mut u8)
}

/// Zeroed memory that children share.
pub(super) fn shared_memory(length: usize) -> Result<*mut u8, Errno> {
    map(length, MAP_SHARED_ANONYMOUS)
}

/// Gives whole pages of a mapping back.
pub(super) fn unmap(start: *mut u8, length: usize) {
    if length > 0 {
        // SAFETY: slots call this for pages they own and do not touch again.
        let _ = unsafe { syscall!(MUNMAP, start, length) };
    }
}

/// Reads standard input to its end.
pub(crate) fn read_stdin() -> Result<List, Errno> {
    let (mut used, mut size) = (0, 1 << 16);
    let mut start = map(size, MAP_PRIVATE_ANONYMOUS)?;
    loop {
        if used == size - 1 {
            // SAFETY: the mapping is ours; nothing points into it yet.
            start = unsafe { syscall!(MREMAP, start, size, size * 2, MREMAP_MAYMOVE) }? as *mut u8;
            size *= 2;
        }
        // SAFETY: the kernel writes behind what is used, and leaves the last byte zero.
        match unsafe { syscall!(READ, 0, start.add(used), size - 1 - used) } {
            // SAFETY: `used` bytes and a zero behind them, in a mapping that stays.
            Ok(0) => return Ok(unsafe { List::new(start, used) }),
            Ok(read) => used += read,
            Err(Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}

/// Makes this process the driver: its streams, its signals, its descendants.
pub(crate) fn take_over() -> Result<Streams, Errno> {
    // SAFETY: takes no pointer.
    let away = |fd: i32| unsafe { syscall!(FCNTL, fd, F_DUPFD_CLOEXEC, 3) }.map(|fd| fd as i32);
    let streams = Streams { out: away(1)?, err: away(2).unwrap_or(-1) };
    // Without /dev the root directory serves: it can be neither read nor written as a file.
    let nowhere = open(c"/dev/null", O_RDWR).or_else(|_| open(c"/", 0))?;
    for fd in 0..3 {
        if fd != nowhere {
            // SAFETY: takes no pointer.
            unsafe { syscall!(DUP3, nowhere, fd, 0) }?;
        }
    }
    if nowhere > 2 {
        close(nowhere);
    }
    let blocked: u64 = 1 << (SIGCHLD - 1) | 1 << (SIGPIPE - 1);
    let default = [0_usize; 4];
    let mut core_limit = [0_u64; 2];
    // SAFETY: structures of the sizes the kernel expects, on the stack.
    unsafe {
        DRIVER.store(syscall!(GETPID)? as i32, Ordering::Relaxed);
        // A caller that ignores SIGCHLD would have the kernel reap our children.
        syscall!(RT_SIGACTION, SIGCHLD, default.as_ptr(), 0, 8)?;
        syscall!(RT_SIGPROCMASK, SIG_BLOCK, &raw const blocked, MASK.as_ptr(), 8)?;
        // Crashing is an answer here, not worth a core dump each.
        if syscall!(GETRLIMIT, RLIMIT_CORE, core_limit.as_mut_ptr()).is_ok() {
            core_limit[0] = 0;
            let _ = syscall!(SETRLIMIT, RLIMIT_CORE, core_limit.as_ptr());
        }
        // What a library leaves behind comes to us, and we end it. Older kernels than 3.4 lack this.
        let _ = syscall!(PRCTL, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    }
    offer_to_the_oom_killer();
    Ok(streams)
}

/// A slot and the library whose result it takes.
type Work<'a> = (usize, &'a CStr);

/// Starts a child that loads the libraries of `work` and reports in their slots; its process.
pub(crate) fn start(slots: &Slots, work: &[Work<'_>], streams: &Streams, _timeout: u32) -> Result<i32, Errno> {
    // SAFETY: this process has one thread, so the child may do what it likes.
    let pid = unsafe { fork() };
    if pid == 0 {
        child(slots, work, streams);
    }
    if pid < 0 {
        return Err(Errno::AGAIN);
    }
    if FIRST.load(Ordering::Relaxed) == 0 {
        FIRST.store(pid, Ordering::Relaxed);
    }
    Ok(pid)
}

fn child(slots: &Slots, work: &[Work<'_>], streams: &Streams) -> ! {
    // SAFETY: numbers, and the mask as the kernel once gave it.
    unsafe {
        // A group of its own, to be killed as one; and if the driver is killed, so is this.
        let _ = syscall!(SETPGID, 0, 0);
        let _ = syscall!(PRCTL, PR_SET_PDEATHSIG, SIGKILL);
        if syscall!(GETPPID) != Ok(DRIVER.load(Ordering::Relaxed) as usize) {
            exit(0);
        }
        let _ = syscall!(RT_SIGPROCMASK, SIG_SETMASK, MASK.as_ptr(), 0, 8);
    }
    // No descendant may hold the caller's pipes open.
    close(streams.out);
    close(streams.err);
    match *work {
        [(slot, path)] => loader::load(path, &mut slots.only(slot)),
        _ => serve(slots, work),
    }
    exit(0)
}

/// Loads one library after the other, as long as each leaves as many behind as it found.
#[cfg(target_env = "gnu")]
fn serve(slots: &Slots, work: &[Work<'_>]) {
    let found = super::loaded_objects();
    for &(slot, path) in work {
        loader::load(path, &mut slots.slot(slot));
        if super::loaded_objects() != found {
            return;
        }
    }
}
#[cfg(not(target_env = "gnu"))]
fn serve(_: &Slots, _: &[Work<'_>]) {}

/// If memory runs out, a library that eats it shall die, not the caller. The children inherit this; the driver is not in
/// danger, for of processes that are offered alike the kernel takes the largest.
fn offer_to_the_oom_killer() {
    if let Ok(fd) = open(c"/proc/self/oom_score_adj", O_WRONLY) {
        let _ = write(fd, b"1000");
        close(fd);
    }
}

/// Sleeps until a child ends, but not longer than `nanoseconds`.
pub(crate) fn sleep(nanoseconds: u64) {
    let child: u64 = 1 << (SIGCHLD - 1);
    let time = Timespec::new(nanoseconds);
    // SAFETY: a signal set and a time, on the stack.
    let _ = unsafe { syscall!(RT_SIGTIMEDWAIT, &raw const child, 0, &raw const time, 8) };
}

/// A process that ended, with all of its group, or that stopped and ends now; `None` if none has.
pub(crate) fn next_ending() -> Option<(i32, Ending)> {
    // struct siginfo of SIGCHLD, as ints: signo, errno, code, padding, pid, uid, status.
    let mut info = [0_i32; 32];
    let options = WEXITED | WSTOPPED | WNOHANG | WNOWAIT;
    // SAFETY: room for a siginfo.
    unsafe { syscall!(WAITID, P_ALL, 0, info.as_mut_ptr(), options, 0) }.ok()?;
    let [_, _, code, _, pid, _, status, ..] = info;
    if pid == 0 {
        return None;
    }
    // As long as it is not reaped, nobody else can have its number.
    kill_group(pid);
    if code == CLD_STOPPED {
        kill(pid);
        return Some((pid, Ending::Stopped(status as u8)));
    }
    // SAFETY: no status is asked for.
    let _ = unsafe { syscall!(WAIT4, pid, 0, WNOHANG, 0) };
    Some((pid, if code == CLD_EXITED { Ending::Exit(status as u8) } else { Ending::Signal(status as u8) }))
}

fn kill_group(pid: i32) {
    // SAFETY: takes no pointer.
    let _ = unsafe { syscall!(KILL, -(pid as isize), SIGKILL) };
}

/// Kills a child of ours and its group.
pub(crate) fn kill(pid: i32) {
    kill_group(pid);
    // SAFETY: takes no pointer.
    let _ = unsafe { syscall!(KILL, pid, SIGKILL) };
}

/// Ends every process that a library left behind.
pub(crate) fn sweep() {
    orphans::sweep(FIRST.load(Ordering::Relaxed));
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
