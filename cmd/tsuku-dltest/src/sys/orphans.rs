//! Ends what libraries left running outside of their process group. As the subreaper this process is their parent, but
//! there may be no `/proc` to list them: every number a child can have is tried instead. Only done when there are some.

use super::syscall::syscall;
use super::{linux, platform};
use crate::sys::Errno;

/// Highest process number of 64-bit Linux (`PID_MAX_LIMIT`).
const HIGHEST: i32 = 1 << 22;
/// Orphans that beget orphans faster than they are killed are given up after this many nanoseconds.
const PATIENCE: u64 = 1_000_000_000;
/// Time for the killed to go, in nanoseconds.
const MOMENT: u64 = 1_000_000;
const SIGKILL: usize = 9;

/// Kills and reaps every child of this process; `first` is the lowest number one can have, if numbers did not wrap.
pub(super) fn sweep(first: i32) {
    let end = platform::now() + PATIENCE;
    while any_left() && platform::now() < end {
        // SAFETY: the child ends at once; its number is the highest so far.
        let last = unsafe { linux::fork() };
        if last == 0 {
            platform::exit(0);
        }
        if last >= first {
            kill_range(first, last);
        } else {
            kill_range(first, HIGHEST);
            kill_range(1, last.max(1));
        }
        platform::sleep(MOMENT);
    }
}

/// Reaps what has ended; true if something has not.
fn any_left() -> bool {
    loop {
        // SAFETY: no status is asked for.
        match unsafe { syscall!(WAIT4, -1_isize, 0, linux::WNOHANG, 0) } {
            Ok(0) => return true,
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

fn kill_range(first: i32, last: i32) {
    for pid in first..=last {
        // SAFETY: no status is asked for. 0: our child, and it has not ended.
        if unsafe { syscall!(WAIT4, pid, 0, linux::WNOHANG, 0) } == Ok(0) {
            // SAFETY: takes no pointer. It is not reaped, so the number is still its own.
            let _ = unsafe { syscall!(KILL, pid, SIGKILL) };
        }
    }
}
