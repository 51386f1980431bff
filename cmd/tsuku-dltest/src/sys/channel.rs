//! The way from the driver to the supervisor: a socket that keeps frames apart.

use core::sync::atomic::{AtomicI32, Ordering};

use super::linux::{close, write};
use super::process::{self, SIGNALS};
use super::syscall::syscall;
use super::{Errno, FRAME};

const AF_UNIX: usize = 1;
const SOCK_SEQPACKET_CLOEXEC: usize = 5 | 0o2_000_000;
const SFD_CLOEXEC_NONBLOCK: usize = 0o2_004_000;
const MSG_DONTWAIT: usize = 0x40;
const POLLIN: i16 = 1;
const POLLOUT: i16 = 4;

/// The driver's end, in the driver.
static DRIVERS_END: AtomicI32 = AtomicI32::new(-1);

#[repr(C)]
#[derive(Clone, Copy)]
struct PollFd {
    fd: i32,
    events: i16,
    happened: i16,
}

/// Both ends, and what tells the supervisor about its child and its parent.
pub(crate) struct Channel {
    supervisors_end: i32,
    drivers_end: i32,
    signals: i32,
}

impl Channel {
    /// A new one.
    pub(crate) fn new() -> Result<Self, Errno> {
        let mut ends = [0_i32; 2];
        // SAFETY: room for two descriptors; a signal set.
        let signals = unsafe {
            syscall!(SOCKETPAIR, AF_UNIX, SOCK_SEQPACKET_CLOEXEC, 0, ends.as_mut_ptr())?;
            syscall!(SIGNALFD4, -1_isize, &raw const SIGNALS, 8, SFD_CLOEXEC_NONBLOCK)?
        };
        Ok(Self { supervisors_end: ends[0], drivers_end: ends[1], signals: signals as i32 })
    }

    /// Leaves this process nothing but the driver's end: where to send answers.
    pub(crate) fn become_driver(&self) -> Result<i32, Errno> {
        close(self.supervisors_end);
        close(self.signals);
        process::become_driver()?;
        DRIVERS_END.store(self.drivers_end, Ordering::Relaxed);
        Ok(self.drivers_end)
    }

    /// Sleeps until the driver sends or ends.
    pub(crate) fn wait(&self) {
        self.poll(self.supervisors_end, POLLIN);
    }

    /// Sleeps until `fd` is ready or there is something about the child or the parent.
    fn poll(&self, fd: i32, events: i16) {
        let entry = |fd, events| PollFd { fd, events, happened: 0 };
        let mut entries = [entry(fd, events), entry(self.signals, POLLIN)];
        let mut signal = [0_u8; 128];
        // SAFETY: two entries, no timeout, no mask; room for a signalfd_siginfo.
        unsafe {
            let _ = syscall!(PPOLL, entries.as_mut_ptr(), entries.len(), 0, 0, 0);
            let _ = syscall!(READ, self.signals, signal.as_mut_ptr(), signal.len());
        }
    }

    /// The next frame, if one is there.
    pub(crate) fn receive<'a>(&self, frame: &'a mut [u8]) -> Option<&'a [u8]> {
        let (start, length) = (frame.as_mut_ptr(), frame.len());
        // SAFETY: the kernel writes within `frame`.
        let read = unsafe { syscall!(RECVFROM, self.supervisors_end, start, length, MSG_DONTWAIT, 0, 0) };
        frame.get(..read.ok()?).filter(|frame| !frame.is_empty())
    }

    /// Writes to the caller's standard output.
    pub(crate) fn print(&self, mut bytes: &[u8]) -> Result<(), Errno> {
        while !bytes.is_empty() {
            // Not before there is room: whoever sleeps in a write does not hear that its parent is gone.
            self.poll(1, POLLOUT);
            process::end_if_abandoned();
            match write(1, &bytes[..bytes.len().min(FRAME)]) {
                Ok(written) => bytes = bytes.get(written..).unwrap_or(&[]),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Gives all of it back.
    pub(crate) fn close(&self) {
        close(self.supervisors_end);
        close(self.drivers_end);
        close(self.signals);
    }
}

/// Closes what a child of the driver has of it.
pub(super) fn close_inherited() {
    close(DRIVERS_END.load(Ordering::Relaxed));
}
