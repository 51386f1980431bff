//! A buffered stream that survives its reader. To a person it is plain. To the supervisor it comes in frames: each is
//! one write, so a driver that is killed leaves no half of one.

use crate::json::Sink;
use crate::progress::Progress;
use crate::sys::{self, Errno, FRAME};

/// A file descriptor and what has not been written to it yet.
pub(crate) struct Output {
    fd: i32,
    /// Bytes before those that were put.
    header: usize,
    progress: Progress,
    /// Where the last whole answer ends.
    whole: usize,
    used: usize,
    lost: Option<Errno>,
    buffer: [u8; FRAME],
}

impl Output {
    /// Writes to `fd`.
    pub(crate) fn new(fd: i32) -> Self {
        Self { fd, header: 0, progress: Progress::NONE, whole: 0, used: 0, lost: None, buffer: [0; FRAME] }
    }

    /// Writes frames to `fd`.
    #[cfg(target_os = "linux")]
    pub(crate) fn framed(fd: i32) -> Self {
        let header = crate::progress::HEADER;
        Self { header, whole: header, used: header, ..Self::new(fd) }
    }

    /// Notes that what was put ends an answer.
    pub(crate) fn end_answer(&mut self, progress: Progress) {
        self.progress = progress;
        self.whole = self.used;
    }

    /// Writes what is buffered, except for the beginning of an answer behind whole ones; false if anything was ever lost.
    pub(crate) fn flush(&mut self) -> bool {
        let whole = self.whole > self.header || self.progress.finished;
        let end = if whole { self.whole } else { self.used };
        let buffer = self.buffer;
        let mut rest = &mut self.buffer[..end];
        if let Some(header) = rest.first_chunk_mut()
            && self.header > 0
        {
            *header = self.progress.header(whole);
        }
        while !rest.is_empty() && self.lost.is_none() {
            match sys::write(self.fd, rest) {
                Ok(written) => rest = rest.get_mut(written..).unwrap_or(&mut []),
                Err(error) => self.lost = (!error.is_temporary(self.fd)).then_some(error),
            }
        }
        let begun = &buffer[end..self.used];
        self.buffer[self.header..][..begun.len()].copy_from_slice(begun);
        (self.used, self.whole) = (self.header + begun.len(), self.header);
        self.lost.is_none()
    }

    /// Why something was lost, if it was.
    pub(crate) fn lost(&self) -> Option<Errno> {
        self.lost
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
            if self.used == FRAME {
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
