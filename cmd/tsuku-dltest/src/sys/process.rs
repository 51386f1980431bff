//! Linux: the processes, who dies with whom, and who may be signalled.
//!
//! ```text
//! launcher        what the caller started. Waits for its one child and signals nobody: it may have children that the
//!   |             caller made before it executed this program
//! supervisor      in a session of its own; gets what a killed driver leaves behind (subreaper)
//!   |
//! driver          gets what the libraries leave behind (subreaper)
//!   |
//! children        one for each library, each in a process group of its own
//! ```
//!
//! The supervisor and the driver signal nobody but children of theirs that they have not reaped, and those children's
//! groups. Both processes began by a fork, without any child: so whatever is their child was made by them or by a
//! descendant. As long as it is not reaped, nobody else has its number. A group cannot hold strangers: a process joins
//! groups of its own session only, and in the supervisor's session, or in one that a descendant began, there are only
//! descendants.
//!
//! Each dies with the one above it, but the supervisor and the driver take their own descendants along first. Nobody but
//! the kernel and who may kill anything can keep them from it: all signals are blocked there, and no library can look into
//! them or stop them as a debugger does (they are not dumpable, and `CAP_SYS_PTRACE` is given up).

use core::ffi::{CStr, c_int};
use core::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use super::linux::{O_RDWR, O_WRONLY, Timespec, clock, close, exit, open, write};
use super::slots::SIZE;
use super::syscall::syscall;
use super::{Ending, Errno, Slot, orphans};
use crate::json::{self, Sink};
use crate::load;

const SIGKILL: usize = 9;
const SIGTERM: usize = 15;
const SIGCHLD: usize = 17;
const SIGCONT: usize = 18;
const SIG_SETMASK: usize = 2;
const RLIMIT_CORE: usize = 4;
const PR_SET_PDEATHSIG: usize = 1;
const PR_GET_DUMPABLE: usize = 3;
const PR_SET_DUMPABLE: usize = 4;
const PR_SET_CHILD_SUBREAPER: usize = 36;
const MADV_DONTFORK: usize = 10;
pub(super) const WNOHANG: usize = 1;
const WSTOPPED: usize = 2;
const WEXITED: usize = 4;
const WNOWAIT: usize = 0x0100_0000;
const CLD_EXITED: i32 = 1;
const CLD_STOPPED: i32 = 5;
const P_ALL: usize = 0;
const P_PID: usize = 1;
const F_GETFD: usize = 1;
const CAPABILITY_VERSION_3: u32 = 0x2008_0522;
const CAP_SYS_PTRACE: u32 = 19;

unsafe extern "C" {
    /// The libc's own, and no bare system call: its threads and locks must know.
    pub(super) fn fork() -> c_int;
}

/// This process, and the one above it.
static OWN: AtomicI32 = AtomicI32::new(0);
static PARENT: AtomicI32 = AtomicI32::new(0);
/// The caller's signal mask, which the children get back, and whether they are dumpable.
static MASK: [AtomicU32; 2] = [AtomicU32::new(0), AtomicU32::new(0)];
static DUMPABLE: AtomicU32 = AtomicU32::new(0);

pub(super) fn own_number() -> i32 {
    // SAFETY: takes no pointer.
    unsafe { syscall!(GETPID) }.map_or(0, |pid| pid as i32)
}

fn control(option: usize, value: usize) -> Result<usize, Errno> {
    // SAFETY: no option used here takes a pointer.
    unsafe { syscall!(PRCTL, option, value, 0, 0, 0) }
}

/// Fails without standard output. Whatever else of 0, 1 and 2 is closed leads nowhere afterwards.
pub(crate) fn check_streams() -> Result<(), Errno> {
    // SAFETY: takes no pointer.
    unsafe { syscall!(FCNTL, 1, F_GETFD) }?;
    loop {
        let fd = open_nowhere()?;
        if fd > 2 {
            close(fd);
            return Ok(());
        }
    }
}

fn open_nowhere() -> Result<i32, Errno> {
    // Without /dev the root directory serves: it can be neither read nor written as a file.
    open(c"/dev/null", O_RDWR).or_else(|_| open(c"/", 0))
}

/// Forks; `None` in the child, which is told when its parent dies.
pub(crate) fn descend() -> Result<Option<i32>, Errno> {
    let parent = own_number();
    let default = [0_usize; 4];
    // A caller that ignores SIGCHLD would have the kernel reap our children.
    // SAFETY: a sigaction on the stack.
    unsafe { syscall!(RT_SIGACTION, SIGCHLD, default.as_ptr(), 0, 8) }?;
    // SAFETY: this process has one thread, so the child may do what it likes.
    let pid = unsafe { fork() };
    if pid != 0 {
        return if pid > 0 { Ok(Some(pid)) } else { Err(Errno::AGAIN) };
    }
    PARENT.store(parent, Ordering::Relaxed);
    OWN.store(own_number(), Ordering::Relaxed);
    let _ = control(PR_SET_PDEATHSIG, SIGTERM);
    end_if_abandoned();
    // Older kernels than 3.4 lack this.
    let _ = control(PR_SET_CHILD_SUBREAPER, 1);
    Ok(None)
}

/// Ends with all descendants if the process above is gone.
pub(super) fn end_if_abandoned() {
    // SAFETY: takes no pointer.
    if unsafe { syscall!(GETPPID) } != Ok(PARENT.load(Ordering::Relaxed) as usize) {
        // Nobody waits, and nobody else would do it.
        orphans::sweep(u64::MAX);
        exit(crate::NO_ANSWER);
    }
}

/// Waits for a child, and for no other.
pub(crate) fn wait_for(pid: i32) -> Ending {
    let _ = control(PR_SET_DUMPABLE, 0);
    loop {
        if let Some(ending) = wait(P_PID, pid, WEXITED).map(|(_, ending)| ending) {
            return ending;
        }
    }
}

/// What the supervisor does first.
pub(crate) fn become_supervisor() {
    let all = u64::MAX;
    let mut core_limit = [0_u64; 2];
    let header = [CAPABILITY_VERSION_3, 0];
    // Effective, permitted and inheritable ones, and the same of those beyond 31.
    let mut capabilities = [0_u32; 6];
    // SAFETY: structures of the sizes the kernel expects, on the stack.
    unsafe {
        let _ = syscall!(SETSID);
        let _ = syscall!(RT_SIGPROCMASK, SIG_SETMASK, &raw const all, MASK.as_ptr(), 8);
        // A library that traces the driver stops it, and so all that looks after the time.
        if syscall!(CAPGET, &raw const header, capabilities.as_mut_ptr()).is_ok() {
            capabilities[0] &= !(1 << CAP_SYS_PTRACE);
            capabilities[1] &= !(1 << CAP_SYS_PTRACE);
            let _ = syscall!(CAPSET, &raw const header, capabilities.as_ptr());
        }
        // Crashing is an answer here, not worth a core dump each.
        if syscall!(GETRLIMIT, RLIMIT_CORE, core_limit.as_mut_ptr()).is_ok() {
            core_limit[0] = 0;
            let _ = syscall!(SETRLIMIT, RLIMIT_CORE, core_limit.as_ptr());
        }
    }
    // If memory runs out, a library that eats it shall die, not the caller. The driver is not in danger, for of processes
    // that are offered alike the kernel takes the largest. An ordinary user's process cannot do this once it is not dumpable.
    if let Ok(fd) = open(c"/proc/self/oom_score_adj", O_WRONLY) {
        let _ = write(fd, b"1000");
        close(fd);
    }
    DUMPABLE.store(control(PR_GET_DUMPABLE, 0).unwrap_or(0) as u32, Ordering::Relaxed);
    let _ = control(PR_SET_DUMPABLE, 0);
}

/// What the driver does first: its streams lead nowhere, for its children inherit them.
pub(super) fn become_driver() -> Result<(), Errno> {
    let nowhere = open_nowhere()?;
    for fd in 0..3 {
        // SAFETY: takes no pointer.
        unsafe { syscall!(DUP3, nowhere, fd, 0) }?;
    }
    close(nowhere);
    Ok(())
}

/// A slot and the library whose result it takes.
type Work<'a> = Option<(Slot, &'a CStr)>;

/// Starts a child that loads the libraries of `work` and reports in their slots, which are side by side; its process.
pub(crate) fn start(work: &[Work<'_>], _timeout: u32) -> Result<i32, Errno> {
    // SAFETY: this process has one thread, so the child may do what it likes.
    let pid = unsafe { fork() };
    // Neither the other children nor this one's own get its slots.
    if let Some(Some((first, _))) = work.first() {
        // SAFETY: changes nothing here.
        let _ = unsafe { syscall!(MADVISE, first.start().as_ptr(), SIZE * work.len(), MADV_DONTFORK) };
    }
    if pid == 0 {
        child(work);
    }
    if pid < 0 { Err(Errno::AGAIN) } else { Ok(pid) }
}

fn child(work: &[Work<'_>]) -> ! {
    // SAFETY: numbers, and the mask as the kernel once gave it.
    unsafe {
        // A group of its own, to be killed as one; and if the driver is killed, so is this.
        let _ = syscall!(SETPGID, 0, 0);
        let _ = control(PR_SET_PDEATHSIG, SIGKILL);
        if syscall!(GETPPID) != Ok(OWN.load(Ordering::Relaxed) as usize) {
            exit(0);
        }
        let _ = control(PR_SET_DUMPABLE, DUMPABLE.load(Ordering::Relaxed) as usize);
        let _ = syscall!(RT_SIGPROCMASK, SIG_SETMASK, MASK.as_ptr(), 0, 8);
    }
    // No descendant may hold it open.
    super::channel::close_inherited();
    match *work {
        [Some((mut slot, path))] => load(path, &mut slot),
        _ => serve(work),
    }
    exit(0)
}

/// Loads one library after the other, as long as each leaves as many behind as it found.
#[cfg(target_env = "gnu")]
fn serve(work: &[Work<'_>]) {
    let found = super::loaded_objects();
    for &(mut slot, path) in work.iter().flatten() {
        load(path, &mut slot);
        if super::loaded_objects() != found {
            return;
        }
    }
}
#[cfg(not(target_env = "gnu"))]
fn serve(_: &[Work<'_>]) {}

/// Room for the name of a file of a process.
struct Path {
    bytes: [u8; 22],
    used: usize,
}

impl Sink for Path {
    fn put(&mut self, bytes: &[u8]) {
        for (to, &byte) in self.bytes[self.used..].iter_mut().zip(bytes) {
            *to = byte;
            self.used += 1;
        }
    }
}

/// Nanoseconds of processor time that a child has used so far, if it sleeps. `None` if it wants a processor now.
pub(crate) fn processor_time_asleep(pid: i32) -> Option<u64> {
    let mut path = Path { bytes: *b"/proc/\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", used: 6 };
    json::decimal(&mut path, pid.unsigned_abs());
    path.put(b"/stat");
    // SAFETY: ten digits at most leave a NUL at the end.
    let path = unsafe { CStr::from_ptr(path.bytes.as_ptr().cast()) };
    let mut stat = [0; 48];
    if let Some(stat) = super::linux::head(path, &mut stat)
        // The name of the program is in parentheses, and its state behind them. Without /proc, time alone has to tell.
        && let Some(end) = stat.iter().rposition(|&byte| byte == b')')
        && stat.get(end + 2) == Some(&b'R')
    {
        return None;
    }
    // The kernel's clock for the time of all threads of a process.
    clock((!(pid as isize) << 3 | 2) as usize)
}

/// Sleeps until a child ends, but not longer than `nanoseconds`; the end of the parent is the end.
pub(crate) fn sleep(nanoseconds: u64) {
    if await_signal(nanoseconds) == Ok(SIGTERM) {
        end_if_abandoned();
    }
}

/// Takes a signal about a child or the parent.
pub(super) fn await_signal(nanoseconds: u64) -> Result<usize, Errno> {
    let time = Timespec::new(nanoseconds);
    // SAFETY: a signal set and a time, on the stack.
    unsafe { syscall!(RT_SIGTIMEDWAIT, &raw const SIGNALS, 0, &raw const time, 8) }
}

/// The two.
pub(super) static SIGNALS: u64 = 1 << (SIGCHLD - 1) | 1 << (SIGTERM - 1);

fn wait(which: usize, pid: i32, options: usize) -> Option<(i32, Ending)> {
    // struct siginfo of SIGCHLD, as ints: signo, errno, code, padding, pid, uid, status.
    let mut info = [0_i32; 32];
    // SAFETY: room for a siginfo.
    unsafe { syscall!(WAITID, which, pid, info.as_mut_ptr(), options, 0) }.ok()?;
    let [_, _, code, _, pid, _, status, ..] = info;
    let status = status as u8;
    let ending = match code {
        CLD_EXITED => Ending::Exit(status),
        CLD_STOPPED => Ending::Stopped(status),
        _ => Ending::Signal(status),
    };
    (pid != 0).then_some((pid, ending))
}

/// How a child ended or stopped, if it has.
pub(crate) fn ending_of(pid: i32) -> Option<Ending> {
    end_if_abandoned();
    wait(P_PID, pid, WEXITED | WSTOPPED | WNOHANG).map(|(_, ending)| ending)
}

/// A process that ended, with all of its group, or that stopped and ends now; `None` if none has.
pub(crate) fn next_ending() -> Option<(i32, Ending)> {
    let (pid, ending) = wait(P_ALL, 0, WEXITED | WSTOPPED | WNOHANG | WNOWAIT)?;
    kill(pid);
    if !matches!(ending, Ending::Stopped(_)) {
        let _ = reap(pid);
    }
    Some((pid, ending))
}

/// Takes note of a child's end. `Ok(0)`: it is one, but has not ended.
pub(super) fn reap(pid: i32) -> Result<usize, Errno> {
    // SAFETY: no status is asked for.
    unsafe { syscall!(WAIT4, pid, 0, WNOHANG, 0) }
}

fn signal(pid: i32, signal: usize) {
    // SAFETY: takes no pointer.
    let _ = unsafe { syscall!(KILL, pid as isize, signal) };
}

/// Kills a child that is not reaped, and its group.
pub(crate) fn kill(pid: i32) {
    signal(-pid, SIGKILL);
    signal(pid, SIGKILL);
}

/// Kills a child that is not reaped, with the group it is in, unless that is our own.
pub(super) fn kill_orphan(pid: i32) {
    // SAFETY: takes no pointer.
    let group = |of: i32| unsafe { syscall!(GETPGID, of) }.map_or(0, |group| group as i32);
    let its = group(pid);
    if its > 1 && its != group(0) {
        signal(-its, SIGKILL);
    }
    signal(pid, SIGKILL);
}

/// Lets a stopped child go on.
pub(crate) fn go_on(pid: i32) {
    signal(pid, SIGCONT);
}

/// Ends every process that a library left behind.
pub(crate) fn sweep() {
    orphans::sweep(orphans::PATIENCE);
    end_if_abandoned();
}
