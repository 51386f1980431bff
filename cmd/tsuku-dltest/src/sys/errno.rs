//! Error numbers, and the few that get a text here: not every libc is there when an error has to be told.

use crate::json::{Sink, decimal};

/// An error number of the system.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Errno(pub(crate) i32);

#[cfg(target_os = "linux")]
const AGAIN: i32 = 11;
#[cfg(target_os = "macos")]
const AGAIN: i32 = 35;

#[cfg(target_os = "linux")]
macro_rules! texts_of_this_system {
    () => {
        "\x0bResource temporarily unavailable\n\x24File name too long"
    };
}
#[cfg(target_os = "macos")]
macro_rules! texts_of_this_system {
    () => {
        "\x23Resource temporarily unavailable\n\x3fFile name too long\n\x56Bad CPU type in executable"
    };
}

/// On each line a number, as a byte, and its text. One string, because strings in a table take a relocation each.
const TEXTS: &str = concat!(
    "\x01Operation not permitted\n",
    "\x02No such file or directory\n",
    "\x05Input/output error\n",
    "\x07Argument list too long\n",
    "\x08Exec format error\n",
    "\x09Bad file descriptor\n",
    "\x0cCannot allocate memory\n",
    "\x0dPermission denied\n",
    "\x11File exists\n",
    "\x15Is a directory\n",
    "\x17Too many open files\n",
    "\x18Too many open files\n",
    "\x1bFile too large\n",
    "\x1cNo space left on device\n",
    "\x20Broken pipe\n",
    texts_of_this_system!(),
);

impl Errno {
    /// Interrupted by a signal.
    pub(crate) const INTR: Self = Self(4);
    /// Out of something for now (processes, memory), or the call would have to wait.
    pub(crate) const AGAIN: Self = Self(AGAIN);

    /// There already.
    #[cfg(target_os = "macos")]
    pub(crate) const EXIST: Self = Self(17);

    /// Writes what it means.
    pub(crate) fn describe(self, sink: &mut dyn Sink) {
        for line in TEXTS.as_bytes().split(|&byte| byte == b'\n') {
            if let [number, text @ ..] = line
                && i32::from(*number) == self.0
            {
                return sink.put(text);
            }
        }
        sink.put(b"error ");
        decimal(sink, self.0.unsigned_abs());
    }

    /// True, perhaps after waiting until `fd` takes more, if a write is worth another attempt.
    pub(crate) fn is_temporary(self, fd: i32) -> bool {
        if self == Self::AGAIN {
            super::platform::wait_until_writable(fd);
        }
        self == Self::AGAIN || self == Self::INTR
    }
}
