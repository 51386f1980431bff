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
const NAMETOOLONG: i32 = 36;
#[cfg(target_os = "macos")]
const NAMETOOLONG: i32 = 63;

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
        let text: &str = match self.0 {
            1 => "Operation not permitted",
            2 => "No such file or directory",
            5 => "Input/output error",
            7 => "Argument list too long",
            8 => "Exec format error",
            9 => "Bad file descriptor",
            12 => "Cannot allocate memory",
            13 => "Permission denied",
            17 => "File exists",
            21 => "Is a directory",
            23 | 24 => "Too many open files",
            27 => "File too large",
            28 => "No space left on device",
            32 => "Broken pipe",
            AGAIN => "Resource temporarily unavailable",
            NAMETOOLONG => "File name too long",
            86 if cfg!(target_os = "macos") => "Bad CPU type in executable",
            number => {
                sink.put(b"error ");
                return decimal(sink, number.unsigned_abs());
            }
        };
        sink.put(text.as_bytes());
    }

    /// True, perhaps after waiting until `fd` takes more, if a write is worth another attempt.
    pub(crate) fn is_temporary(self, fd: i32) -> bool {
        if self == Self::AGAIN {
            super::platform::wait_until_writable(fd);
        }
        self == Self::AGAIN || self == Self::INTR
    }
}
