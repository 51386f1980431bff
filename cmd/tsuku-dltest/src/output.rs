//! A buffered stream that survives its reader.

use crate::json::Sink;
use crate::sys;

/// A file descriptor and what has not been written to it yet.
pub(crate) struct Output {
    fd: i32,
    used: usize,
    lost: bool,
    buffer: [u8; 4096],
}

impl Output {
    /// Writes to `fd`.
    pub(crate) fn new(fd: i32) -> Self {
        Self { fd, used: 0, lost: false, buffer: [0; 4096] }
    }

    /// Writes what is buffered; false if anything was ever lost.
    pub(crate) fn flush(&mut self) -> bool {
        let mut rest = &self.buffer[..self.used];
        while !rest.is_empty() && !self.lost {
            match sys::write(self.fd, rest) {
                Ok(written) => rest = rest.get(written..).unwrap_or(&[]),
                Err(error) => self.lost = !error.is_temporary(self.fd),
            }
        }
        self.used = 0;
        !self.lost
    }

    /// Appends `text`.
    pub(crate) fn text(&mut self, text: &str) {
        self.put(text.as_bytes());
    }

    /// Appends `bytes` so that a terminal shows them and obeys none.
    pub(crate) fn visible(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.put(&[if byte < b' ' || byte == 0x7f { b'?' } else { byte }]);
        }
    }
}

impl Sink for Output {
    fn put(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.used == self.buffer.len() {
                self.flush();
            }
            let room = &mut self.buffer[self.used..];
            let (now, later) = bytes.split_at(bytes.len().min(room.len()));
            room[..now.len()].copy_from_slice(now);
            self.used += now.len();
            bytes = later;
        }
    }
}
