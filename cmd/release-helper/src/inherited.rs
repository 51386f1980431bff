//! What whoever started this program left open: no program that it starts gets any of it, least of all a stranger's
//! build, whose walls bound what can be opened and not what is open.

use std::os::fd::BorrowedFd;

use anyhow::{Context, Result};
use release_helper::plumbing::error::Hint;
use rustix::io::{FdFlags, fcntl_setfd};

/// Has every open file but the standard three closed where another program starts.
pub fn close_on_exec() -> Result<()> {
    let list = std::fs::read_dir("/dev/fd").context("cannot list the open files in /dev/fd");
    for entry in list.hint("mount /proc, or /dev/fd, where this runs")? {
        let name = entry.context("cannot list the open files in /dev/fd")?.file_name();
        let Some(number) = name.to_str().and_then(|name| name.parse().ok()).filter(|&number: &i32| number > 2) else {
            continue;
        };
        // SAFETY: it is listed, so it is open, and this is the only thread: it stays open for the one call.
        let open = unsafe { BorrowedFd::borrow_raw(number) };
        fcntl_setfd(open, FdFlags::CLOEXEC).with_context(|| format!("cannot have the open file {number} closed"))?;
    }
    Ok(())
}
