//! Signals: their numbers, masks and effects, and the queue that tells of them.

use std::ffi::{c_int, c_void};
use std::mem;
use std::ptr;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use super::errors::{checked, set};
use super::host;
use crate::ending::unknown;

/// From 1 on, Linux' number of each of Darwin's signals (`sys/signal.h`). EMT and INFO are not on Linux; two that are not
/// on Darwin stand in for them.
#[rustfmt::skip]
const SIGNALS: [c_int; 31] = [
    libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGILL, libc::SIGTRAP, libc::SIGABRT, libc::SIGSTKFLT,
    libc::SIGFPE, libc::SIGKILL, libc::SIGBUS, libc::SIGSEGV, libc::SIGSYS, libc::SIGPIPE, libc::SIGALRM,
    libc::SIGTERM, libc::SIGURG, libc::SIGSTOP, libc::SIGTSTP, libc::SIGCONT, libc::SIGCHLD, libc::SIGTTIN,
    libc::SIGTTOU, libc::SIGIO, libc::SIGXCPU, libc::SIGXFSZ, libc::SIGVTALRM, libc::SIGPROF, libc::SIGWINCH,
    libc::SIGPWR, libc::SIGUSR1, libc::SIGUSR2,
];
/// What ends a process on Linux, and on Darwin does nothing.
const IGNORED: [c_int; 2] = [libc::SIGIO, libc::SIGPWR];

const SIG_BLOCK: c_int = 1;
const SIG_UNBLOCK: c_int = 2;
const SIG_SETMASK: c_int = 3;
const SIG_DFL: usize = 0;
const SIG_IGN: usize = 1;

/// What the program has blocked, as Darwin's mask.
static BLOCKED: AtomicU32 = AtomicU32::new(0);
/// What a queue tells of. It has to be blocked for Linux' queues; Darwin's do not need that.
static WATCHED: AtomicU32 = AtomicU32::new(0);
/// The program's handlers.
static HANDLERS: [AtomicUsize; 32] = [const { AtomicUsize::new(0) }; 32];

/// Linux' number of a signal. `None` if Darwin has none of this number.
fn to_linux(signal: c_int) -> Option<c_int> {
    SIGNALS.get(usize::try_from(signal).ok()?.checked_sub(1)?).copied()
}

/// Darwin's number of a signal.
pub(super) fn to_darwin(signal: c_int) -> c_int {
    match SIGNALS.iter().position(|&linux| linux == signal) {
        Some(at) => at as c_int + 1,
        None => unknown(format_args!("signal {signal} of Linux")),
    }
}

/// Notes what the caller has blocked, and gives signals Darwin's effects.
pub(super) fn prepare() {
    // SAFETY: structures of numbers, filled in.
    let mut set = unsafe { mem::zeroed() };
    host!(libc::sigprocmask(libc::SIG_SETMASK, ptr::null(), &raw mut set));
    let blocked = (1..32).filter(|&signal| host!(libc::sigismember(&raw const set, SIGNALS[signal - 1])) == 1);
    BLOCKED.store(blocked.fold(0, |mask, signal| mask | 1 << (signal - 1)), Ordering::Relaxed);
    for signal in IGNORED {
        // SAFETY: as above.
        let mut old: libc::sigaction = unsafe { mem::zeroed() };
        host!(libc::sigaction(signal, ptr::null(), &raw mut old));
        if old.sa_sigaction == libc::SIG_DFL {
            host!(libc::signal(signal, libc::SIG_IGN));
        }
    }
}

/// Linux' set for a mask of Darwin's.
fn set_of(mask: u32) -> libc::sigset_t {
    // SAFETY: a structure of numbers.
    let mut set = unsafe { mem::zeroed() };
    host!(libc::sigemptyset(&raw mut set));
    for (at, signal) in SIGNALS.iter().enumerate().filter(|(at, _)| mask >> at & 1 == 1) {
        let _ = at;
        host!(libc::sigaddset(&raw mut set, *signal));
    }
    set
}

/// Makes a mask the process's.
pub(super) fn block(mask: u32) {
    let set = set_of(mask);
    host!(libc::sigprocmask(libc::SIG_SETMASK, &raw const set, ptr::null_mut()));
}

/// What the program has blocked.
pub(super) fn blocked() -> u32 {
    BLOCKED.load(Ordering::Relaxed)
}

pub(super) unsafe extern "C" fn sigprocmask(how: c_int, new: *const u32, old: *mut u32) -> c_int {
    let before = blocked();
    if !new.is_null() {
        let mask = host!(*new);
        let mask = match how {
            SIG_BLOCK => before | mask,
            SIG_UNBLOCK => before & !mask,
            SIG_SETMASK => mask,
            _ => unknown(format_args!("sigprocmask how {how}")),
        };
        BLOCKED.store(mask, Ordering::Relaxed);
        block(mask | WATCHED.load(Ordering::Relaxed));
    }
    if !old.is_null() {
        host!(old.write(before));
    }
    0
}

#[repr(C)]
pub(super) struct SigAction {
    handler: usize,
    mask: u32,
    flags: c_int,
}

pub(super) unsafe extern "C" fn sigaction(signal: c_int, new: *const SigAction, old: *mut SigAction) -> c_int {
    if new.is_null() || !old.is_null() {
        unknown(format_args!("sigaction that asks"));
    }
    let SigAction { handler, mask, flags } = host!(new.read());
    if handler > SIG_IGN || mask != 0 || flags != 0 {
        unknown(format_args!("sigaction with handler {handler:#x}, mask {mask:#x}, flags {flags:#x}"));
    }
    let Some(linux) = to_linux(signal) else { unknown(format_args!("sigaction for signal {signal}")) };
    handle(signal, linux, handler)
}

pub(super) unsafe extern "C" fn signal(signal: c_int, handler: usize) -> usize {
    let Some(linux) = to_linux(signal) else { unknown(format_args!("signal {signal}")) };
    let before = HANDLERS[signal as usize].load(Ordering::Relaxed);
    if handle(signal, linux, handler) == 0 { before } else { usize::MAX }
}

fn handle(signal: c_int, linux: c_int, handler: usize) -> c_int {
    let host_handler = match handler {
        SIG_DFL if IGNORED.contains(&linux) => libc::SIG_IGN,
        SIG_DFL => libc::SIG_DFL,
        SIG_IGN => libc::SIG_IGN,
        _ => deliver as *const () as usize,
    };
    if host!(libc::signal(linux, host_handler)) == libc::SIG_ERR {
        return checked(-1);
    }
    HANDLERS[signal as usize].store(handler, Ordering::Relaxed);
    0
}

/// Calls the program's handler with the number that it knows.
extern "C" fn deliver(linux: c_int) {
    let signal = to_darwin(linux);
    let handler = HANDLERS[signal as usize].load(Ordering::Relaxed);
    if handler > SIG_IGN {
        // SAFETY: the function that the program gave for this.
        unsafe { mem::transmute::<usize, extern "C" fn(c_int)>(handler)(signal) }
    }
}

pub(super) unsafe extern "C" fn raise(signal: c_int) -> c_int {
    let Some(linux) = to_linux(signal) else { unknown(format_args!("raise of {signal}")) };
    checked(host!(libc::raise(linux)))
}

pub(super) unsafe extern "C" fn kill(pid: c_int, signal: c_int) -> c_int {
    let Some(linux) = to_linux(signal) else { unknown(format_args!("kill with signal {signal}")) };
    if pid == 0 || pid == -1 {
        unknown(format_args!("kill of everybody ({pid})"));
    }
    checked(host!(libc::kill(pid, linux)))
}

/// `struct itimerval`: a `timeval` has 32 bits for microseconds, and as many unused ones.
#[repr(C)]
pub(super) struct Timer {
    times: [(i64, i32); 2],
}

pub(super) unsafe extern "C" fn setitimer(which: c_int, new: *const Timer, old: *mut Timer) -> c_int {
    let [interval, value] = host!(&*new).times;
    if which != 0 || !old.is_null() || interval != (0, 0) {
        unknown(format_args!("setitimer {which} with interval {interval:?}"));
    }
    if !(0..100_000_000).contains(&value.0) || !(0..1_000_000).contains(&value.1) {
        set(libc::EINVAL);
        return -1;
    }
    let timer = libc::itimerval {
        it_interval: libc::timeval { tv_sec: 0, tv_usec: 0 },
        it_value: libc::timeval { tv_sec: value.0, tv_usec: value.1.into() },
    };
    checked(host!(libc::setitimer(libc::ITIMER_REAL as _, &raw const timer, ptr::null_mut())))
}

#[repr(C)]
#[derive(Debug)]
pub(super) struct Kevent {
    ident: usize,
    filter: i16,
    flags: u16,
    fflags: u32,
    data: isize,
    udata: *mut c_void,
}

const EVFILT_SIGNAL: i16 = -6;
const EV_ADD: u16 = 1;

pub(super) unsafe extern "C" fn kqueue() -> c_int {
    let nothing = set_of(0);
    checked(host!(libc::signalfd(-1, &raw const nothing, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK)))
}

pub(super) unsafe extern "C" fn kevent(
    queue: c_int,
    new: *const Kevent,
    news: c_int,
    out: *mut Kevent,
    outs: c_int,
    time: *const libc::timespec,
) -> c_int {
    for index in 0..news as usize {
        let new = host!(new.add(index).read());
        let signal = to_linux(new.ident as c_int);
        if new.filter != EVFILT_SIGNAL || new.flags != EV_ADD || new.fflags != 0 || new.data != 0 || signal.is_none() {
            unknown(format_args!("{new:?}"));
        }
        let watched = WATCHED.fetch_or(1 << (new.ident - 1), Ordering::Relaxed) | 1 << (new.ident - 1);
        block(blocked() | watched);
        let set = set_of(watched);
        if checked(host!(libc::signalfd(queue, &raw const set, 0))) < 0 {
            return -1;
        }
    }
    if outs == 0 {
        return 0;
    }
    if !time.is_null() {
        let time = host!(time.read());
        if time.tv_sec < 0 || !(0..1_000_000_000).contains(&time.tv_nsec) {
            unknown(format_args!("kevent for {} s and {} ns", time.tv_sec, time.tv_nsec));
        }
    }
    let mut entry = libc::pollfd { fd: queue, events: libc::POLLIN, revents: 0 };
    if checked(host!(libc::ppoll(&raw mut entry, 1, time, ptr::null()))) <= 0 {
        return if entry.revents == 0 { 0 } else { -1 };
    }
    // SAFETY: a structure of numbers, filled in.
    let mut info: libc::signalfd_siginfo = unsafe { mem::zeroed() };
    let size = size_of_val(&info);
    if host!(libc::read(queue, (&raw mut info).cast(), size)) != size as isize {
        return 0;
    }
    let signal = to_darwin(info.ssi_signo as c_int);
    let event = Kevent {
        ident: signal as usize,
        filter: EVFILT_SIGNAL,
        flags: EV_ADD,
        fflags: 0,
        data: 1,
        udata: ptr::null_mut(),
    };
    host!(out.write(event));
    1
}

/// Gives a signal its default effect, for a process that is about to execute.
pub(super) fn reset(signal: c_int) {
    if let Some(linux) = to_linux(signal) {
        handle(signal, linux, SIG_DFL);
    }
}
