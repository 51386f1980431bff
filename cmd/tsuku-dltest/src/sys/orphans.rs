//! Ends what libraries left running. As the subreaper this process is their parent. The kernel lists its children in
//! `/proc`; without that, every number that a child can have is tried instead. Only done when there are some.

use super::linux::{close, exit, now, open};
use super::process::{await_signal, fork, kill_orphan, reap};
use super::syscall::syscall;
use crate::sys::Errno;

/// Highest process number of 64-bit Linux (`PID_MAX_LIMIT`).
const HIGHEST: i32 = 1 << 22;
/// When somebody waits, what has not gone after this many nanoseconds is given up: orphans that beget orphans faster
/// than they are killed, or one that waits for a dead network disk.
pub(super) const PATIENCE: u64 = 1_000_000_000;
/// Time for the killed to go, in nanoseconds: at first, and at most.
const MOMENT: u64 = 1_000_000;
const LONG_MOMENT: u64 = 1000 * MOMENT;

/// Kills and reaps every child of this process, for `patience` nanoseconds at most. It may take note of the parent's end
/// without a word.
pub(super) fn sweep(patience: u64) {
    let end = now().saturating_add(patience);
    let mut moment = MOMENT;
    while any_left() && now() < end {
        if !kill_listed() {
            kill_any_number();
        }
        let _ = await_signal(moment);
        moment = LONG_MOMENT.min(moment * 2);
    }
}

/// Reaps what has ended; true if something has not.
fn any_left() -> bool {
    loop {
        match reap(-1) {
            Ok(0) => return true,
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

/// Kills a process if it is a child of ours.
fn kill_child(pid: i32) -> bool {
    // Not reaped, so the number is still its own.
    let is_child = pid > 0 && reap(pid) == Ok(0);
    if is_child {
        kill_orphan(pid);
    }
    is_child
}

/// Kills all children that the kernel lists; false if it lists none. (In a `/proc` of another namespace, it lists other
/// numbers.)
fn kill_listed() -> bool {
    let Ok(fd) = open(c"/proc/thread-self/children", 0) else { return false };
    let (mut text, mut number, mut any) = ([0_u8; 512], 0, false);
    // SAFETY: the kernel writes within `text`.
    while let Ok(read) = unsafe { syscall!(READ, fd, text.as_mut_ptr(), text.len()) }
        && read > 0
    {
        for &byte in &text[..read.min(text.len())] {
            if byte.is_ascii_digit() {
                number = number * 10 + i32::from(byte - b'0');
            } else {
                any |= kill_child(number);
                number = 0;
            }
        }
    }
    close(fd);
    any
}

fn kill_any_number() {
    // A child that ends at once has the highest number so far, as long as they do not begin again.
    // SAFETY: this process has one thread.
    let last = unsafe { fork() };
    if last == 0 {
        exit(0);
    }
    let first = super::process::own_number();
    let numbers = if last > first { first..=last } else { 1..=HIGHEST };
    numbers.for_each(|pid| {
        kill_child(pid);
    });
}
