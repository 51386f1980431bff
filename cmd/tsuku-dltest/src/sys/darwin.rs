//! macOS. A process that has forked and not executed may not use its frameworks, so each child is this program again,
//! started in the role of the loader, with its slot on descriptor 3.

mod images;
mod libsystem;

use core::ffi::{CStr, c_char, c_int};
use core::ptr::{self, NonNull};
use core::sync::atomic::{AtomicI32, AtomicPtr, Ordering};

use super::slots::{SIZE, Slot};
use super::{Arguments, Ending, Errno, Kind, List, kind_of};
pub(crate) use images::Asked;
use libsystem::{self as c, Kevent, SigAction, SigInfo, Timer, Timespec};

/// `argv[0]` of a child; it also tells what it is in a list of processes.
const ROLE: &CStr = c"tsuku-dltest: loader";
/// Where a child finds its slot.
const SLOT: c_int = 3;

/// Longer paths are refused by the system, whatever they lead to (`PATH_MAX`).
const LONGEST_PATH: usize = 1024;

/// The descriptor of the newest slot's memory, and the queue of events.
static MEMORY: AtomicI32 = AtomicI32::new(-1);
static QUEUE: AtomicI32 = AtomicI32::new(-1);
/// How every child is started; made once, because the system keeps some kilobytes for each.
static ACTIONS: AtomicPtr<core::ffi::c_void> = AtomicPtr::new(ptr::null_mut());
static ATTRIBUTES: AtomicPtr<core::ffi::c_void> = AtomicPtr::new(ptr::null_mut());

/// Where dyld begins (`LC_MAIN`).
#[unsafe(no_mangle)]
unsafe extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    // SAFETY: the argument vector of the process.
    let mut arguments = unsafe { Arguments::new(argv) };
    // SAFETY: as above; there is a first one if argc says so.
    if argc == 4 && unsafe { CStr::from_ptr(*argv) } == ROLE {
        // The file of this program may have been replaced since the driver was started from it.
        let same = arguments.next().is_some_and(|version| version == crate::VERSION);
        let timeout = arguments.next().and_then(|text| text.to_str().ok()?.parse::<u32>().ok());
        if let (true, Some(timeout), Some(path)) = (same, timeout, arguments.next()) {
            child(timeout, path);
        }
        exit(crate::NO_ANSWER)
    }
    exit(crate::run(arguments))
}

fn child(timeout: u32, path: &CStr) {
    let Ok(memory) = map(SIZE, c::MAP_SHARED, SLOT) else { return };
    close(SLOT);
    // macOS cannot tie a child to its driver; if that one is killed, this ends the child soon after its time, even if
    // the caller has the signal blocked or ignored.
    let seconds = i64::from(timeout) / 1000 + 2;
    let timer = Timer { interval: [0, 0], value: [seconds, 0] };
    let alarm: u32 = 1 << (c::SIGALRM - 1);
    default(c::SIGALRM);
    // SAFETY: a mask and a timer on the stack.
    unsafe {
        c::sigprocmask(c::SIG_UNBLOCK, &raw const alarm, ptr::null_mut());
        c::setitimer(c::ITIMER_REAL, &raw const timer, ptr::null_mut());
    }
    crate::load(path, &mut Slot::armed(memory));
    exit(0)
}

/// Gives a signal the effect it has by default, which a caller may have changed to none.
fn default(signal: c_int) {
    let default = SigAction { handler: ptr::null(), mask: 0, flags: 0 };
    // SAFETY: a structure on the stack, as the system declares it.
    unsafe { c::sigaction(signal, &raw const default, ptr::null_mut()) };
}

fn last_error() -> Errno {
    // SAFETY: the thread's errno.
    Errno(unsafe { *c::__error() })
}

fn checked(result: c_int) -> Result<c_int, Errno> {
    if result < 0 { Err(last_error()) } else { Ok(result) }
}

/// Ends the process at once.
pub(crate) fn exit(status: i32) -> ! {
    // SAFETY: always allowed.
    unsafe { c::_exit(status) }
}

/// Writes some of `bytes`.
pub(crate) fn write(fd: i32, bytes: &[u8]) -> Result<usize, Errno> {
    // SAFETY: reads within `bytes`.
    usize::try_from(unsafe { c::write(fd, bytes.as_ptr(), bytes.len()) }).map_err(|_| last_error())
}

/// What writing to a closed pipe or beyond a limit brings.
const OF_WRITING: u32 = 1 << (c::SIGPIPE - 1) | 1 << (c::SIGXFSZ - 1);

/// Such signals, which an error tells of as well, do not come any more.
pub(crate) fn block_signals_of_writing() {
    let signals = OF_WRITING;
    // SAFETY: a mask on the stack.
    unsafe { c::sigprocmask(c::SIG_BLOCK, &raw const signals, ptr::null_mut()) };
}

/// Sleeps until `fd` takes more.
pub(super) fn wait_until_writable(fd: i32) {
    // struct pollfd: the descriptor, POLLOUT, and room for the answer.
    let mut entry = [fd, 4];
    // SAFETY: one pollfd, no timeout.
    unsafe { c::poll(entry.as_mut_ptr(), 1, -1) };
}

fn close(fd: c_int) {
    // SAFETY: the callers own `fd`.
    unsafe { c::close(fd) };
}

fn open(path: &CStr, flags: c_int) -> Result<c_int, Errno> {
    // SAFETY: a NUL-terminated path.
    checked(unsafe { c::open(path.as_ptr(), flags) })
}

/// Monotonic nanoseconds.
pub(crate) fn now() -> u64 {
    // SAFETY: always allowed.
    unsafe { c::clock_gettime_nsec_np(c::CLOCK_UPTIME_RAW) }
}

/// How many processors are online.
pub(crate) fn processors() -> u32 {
    // SAFETY: always allowed.
    unsafe { c::sysconf(c::SC_NPROCESSORS_ONLN) }.clamp(1, crate::args::MAX_JOBS as isize) as u32
}

/// A number that a library cannot easily guess: the time, and where the system put this program.
pub(crate) fn key() -> u64 {
    now().wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ ptr::from_ref(&MEMORY) as u64
}

fn map(length: usize, flags: c_int, fd: c_int) -> Result<NonNull<u8>, Errno> {
    // SAFETY: a new mapping wherever the kernel has room.
    let start = unsafe { c::mmap(ptr::null_mut(), length, c::PROT_READ_WRITE, flags, fd, 0) };
    NonNull::new(start.cast()).filter(|_| start as isize != -1).ok_or_else(last_error)
}

/// Zeroed memory that the next child shares, through an object without a name.
pub(super) fn shared_memory(length: usize) -> Result<NonNull<u8>, Errno> {
    // "/tsuku-" and the process in hexadecimal digits. No process has a number so high that the first digit is taken.
    let mut name = *b"/tsuku-00000000\0";
    // SAFETY: always allowed.
    let pid = unsafe { c::getpid() };
    for (at, digit) in name[7..15].iter_mut().enumerate() {
        *digit = b"0123456789abcdef"[pid as usize >> (28 - 4 * at) & 15];
    }
    let fd = loop {
        // SAFETY: a NUL-terminated name. One that a killed process of the same number left is free again then; one of
        // another user is not.
        let opened = checked(unsafe {
            c::shm_unlink(name.as_ptr().cast());
            c::shm_open(name.as_ptr().cast(), c::O_RDWR | c::O_CREAT | c::O_EXCL, 0o600 as c_int)
        });
        match opened {
            Err(Errno::EXIST) if name[7] < b'9' => name[7] += 1,
            opened => break opened?,
        }
    };
    // SAFETY: a NUL-terminated name and a descriptor of ours.
    let sized = checked(unsafe {
        c::shm_unlink(name.as_ptr().cast());
        c::ftruncate(fd, length as i64)
    });
    // SAFETY: takes no pointer. The descriptor is the one that `prepare` names.
    let memory = sized.and_then(|_| checked(unsafe { c::dup2(fd, MEMORY.load(Ordering::Relaxed)) }));
    close(fd);
    map(length, c::MAP_SHARED, memory?)
}

/// Gives a mapping back.
pub(super) fn unmap(start: NonNull<u8>, length: usize) {
    // SAFETY: slots call this for memory they own and do not touch again.
    unsafe { c::munmap(start.as_ptr().cast(), length) };
}

/// Reads standard input to its end.
pub(crate) fn read_stdin() -> Result<List, Errno> {
    let (mut used, mut size) = (0, 1 << 16);
    let mut start = map(size, c::MAP_PRIVATE_ANONYMOUS, -1)?;
    loop {
        if used == size - 1 {
            let larger = map(size * 2, c::MAP_PRIVATE_ANONYMOUS, -1)?;
            // SAFETY: both mappings are ours and large enough; the old one is not used again.
            unsafe {
                ptr::copy_nonoverlapping(start.as_ptr(), larger.as_ptr(), used);
            }
            unmap(start, size);
            (start, size) = (larger, size * 2);
        }
        // SAFETY: writes behind what is used, and leaves the last byte zero.
        match unsafe { c::read(0, start.add(used).as_ptr(), size - 1 - used) } {
            // SAFETY: `used` bytes and a zero behind them, in a mapping that stays.
            0 => return Ok(unsafe { List::new(start.as_ptr(), used) }),
            read if read > 0 => used += read as usize,
            _ if last_error() == Errno::INTR => {}
            _ => return Err(last_error()),
        }
    }
}

/// Makes this process the driver: its streams and its signals. Where standard output and standard error are afterwards.
pub(crate) fn take_over() -> Result<(i32, i32), Errno> {
    // SAFETY: takes no pointer.
    let away = |fd: c_int| checked(unsafe { c::fcntl(fd, c::F_DUPFD_CLOEXEC, SLOT + 1) });
    // A caller may have closed the latter.
    let (out, error) = (away(1)?, away(2).unwrap_or(-1));
    let nowhere = open(c"/dev/null", c::O_RDWR).or_else(|_| open(c"/", 0))?;
    for fd in 0..3 {
        // SAFETY: takes no pointer.
        checked(unsafe { c::dup2(nowhere, fd) })?;
    }
    // Kept for the memory.
    MEMORY.store(away(nowhere)?, Ordering::Relaxed);
    if nowhere > 2 {
        close(nowhere);
    }
    let blocked = 1 << (c::SIGCHLD - 1) | OF_WRITING;
    let mut mask = 0;
    let ended = Kevent {
        ident: c::SIGCHLD as usize,
        filter: c::EVFILT_SIGNAL,
        flags: c::EV_ADD,
        fflags: 0,
        data: 0,
        udata: ptr::null_mut(),
    };
    // A caller that ignores SIGCHLD would have the kernel reap our children.
    default(c::SIGCHLD);
    // SAFETY: structures on the stack, as the system declares them.
    unsafe {
        // Crashing is an answer here, not worth a core dump each.
        c::setrlimit(c::RLIMIT_CORE, &[0, 0]);
        c::sigprocmask(c::SIG_BLOCK, &raw const blocked, &raw mut mask);
        let queue = checked(c::kqueue())?;
        checked(c::kevent(queue, &raw const ended, 1, ptr::null_mut(), 0, ptr::null()))?;
        QUEUE.store(queue, Ordering::Relaxed);
    }
    prepare(mask)?;
    Ok((out, error))
}

/// Says how children are started: with the streams, the slot and no other descriptor, in a group of their own, with the
/// caller's signal `mask`.
fn prepare(mask: u32) -> Result<(), Errno> {
    // Unlike other functions, these return the error.
    let checked = |error: c_int| if error == 0 { Ok(()) } else { Err(Errno(error)) };
    let (actions, attributes) = (ACTIONS.as_ptr(), ATTRIBUTES.as_ptr());
    let flags = c::POSIX_SPAWN_SETPGROUP | c::POSIX_SPAWN_SETSIGMASK | c::POSIX_SPAWN_CLOEXEC_DEFAULT;
    // SAFETY: objects made by their init functions, in variables that nobody else uses yet.
    unsafe {
        checked(c::posix_spawn_file_actions_init(actions))?;
        for fd in 0..3 {
            checked(c::posix_spawn_file_actions_adddup2(actions, fd, fd))?;
        }
        checked(c::posix_spawn_file_actions_adddup2(actions, MEMORY.load(Ordering::Relaxed), SLOT))?;
        checked(c::posix_spawnattr_init(attributes))?;
        checked(c::posix_spawnattr_setflags(attributes, flags))?;
        checked(c::posix_spawnattr_setpgroup(attributes, 0))?;
        checked(c::posix_spawnattr_setsigmask(attributes, &raw const mask))
    }
}

/// Starts a child that loads the one library of `work` and reports in its slot; its process.
pub(crate) fn start(work: &[Option<(Slot, &CStr)>], timeout: u32) -> Result<i32, Errno> {
    // The slot's memory is the newest.
    let &[Some((_, path))] = work else { return Err(Errno(22)) };
    // More than this, arguments may not hold; and so much is as impossible to load as all of it.
    let mut cut = [0; LONGEST_PATH + 1];
    let bytes = path.to_bytes();
    let path = if bytes.len() < cut.len() {
        path
    } else {
        cut[..LONGEST_PATH].copy_from_slice(&bytes[..LONGEST_PATH]);
        CStr::from_bytes_until_nul(&cut).unwrap_or(path)
    };
    let mut program = [0 as c_char; 4096];
    let mut size = size_of_val(&program) as u32;
    let timeout = decimal(timeout);
    let argv = [ROLE.as_ptr(), crate::VERSION.as_ptr(), timeout.as_ptr().cast(), path.as_ptr(), ptr::null()];
    let mut pid = 0;
    // SAFETY: objects made by `prepare`, vectors that end with null pointers, strings that end with NUL.
    let error = unsafe {
        if c::_NSGetExecutablePath(program.as_mut_ptr(), &raw mut size) != 0 {
            return Err(Errno(63)); // ENAMETOOLONG
        }
        let environment = *c::_NSGetEnviron();
        let (actions, attributes) = (ACTIONS.as_ptr(), ATTRIBUTES.as_ptr());
        c::posix_spawn(&raw mut pid, program.as_ptr(), actions, attributes, argv.as_ptr(), environment)
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

/// Not told there: whoever runs, runs.
pub(crate) fn processor_time_asleep(_: i32) -> Option<u64> {
    None
}

/// Sleeps until a child ends, but not longer than `nanoseconds`.
pub(crate) fn sleep(nanoseconds: u64) {
    let time =
        Timespec { seconds: (nanoseconds / 1_000_000_000) as i64, nanoseconds: (nanoseconds % 1_000_000_000) as i64 };
    let mut event = Kevent { ident: 0, filter: 0, flags: 0, fflags: 0, data: 0, udata: ptr::null_mut() };
    // SAFETY: room for one event.
    unsafe { c::kevent(QUEUE.load(Ordering::Relaxed), ptr::null(), 0, &raw mut event, 1, &raw const time) };
}

/// A process that ended, with all of its group; `None` if none has.
pub(crate) fn next_ending() -> Option<(i32, Ending)> {
    loop {
        let mut info = SigInfo { signal: 0, error: 0, code: 0, pid: 0, rest: [0; 11] };
        let options = c::WEXITED | c::WSTOPPED | c::WNOHANG | c::WNOWAIT;
        // SAFETY: room for what is told of one process; nothing is written if there is none.
        let result = unsafe { c::waitid(c::P_ALL, 0, &raw mut info, options) };
        if result != 0 || info.pid <= 0 {
            return None;
        }
        // Before it is taken: as long as it is a zombie, its number and so its group's belongs to no other.
        if info.code != c::CLD_STOPPED {
            kill_group(info.pid);
        }
        let mut status = 0;
        // SAFETY: room for a status.
        let pid = unsafe { c::wait4(info.pid, &raw mut status, c::WNOHANG | c::WUNTRACED, ptr::null_mut()) };
        if pid <= 0 {
            return None;
        }
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
    unsafe { c::kill(-pid, c::SIGKILL) };
}

/// Kills a child of ours and its group.
pub(crate) fn kill(pid: i32) {
    kill_group(pid);
    // SAFETY: takes no pointer.
    unsafe { c::kill(pid, c::SIGKILL) };
}

/// macOS has no way to find a process that left its group and lost its parent.
pub(crate) fn sweep() {}

/// What stands at `path`.
pub(crate) fn kind(path: &CStr) -> Kind {
    images::stat(path).map_or(Kind::Other, |stat| kind_of(stat.mode.into()))
}

/// The first bytes of the file at `path`; `None` if it cannot be read.
pub(crate) fn head<'a>(path: &CStr, buffer: &'a mut [u8]) -> Option<&'a [u8]> {
    let fd = open(path, c::O_NONBLOCK | c::O_CLOEXEC).ok()?;
    // SAFETY: writes within `buffer`.
    let read = unsafe { c::read(fd, buffer.as_mut_ptr(), buffer.len()) };
    close(fd);
    buffer.get(..usize::try_from(read).ok()?)
}
