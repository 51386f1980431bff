//! How far a long transfer is, for people at a terminal.

use std::io::{IsTerminal, Read, Write};

/// Shorter transfers are over before anybody could read about them, in bytes.
const WORTH_SHOWING: u64 = 4 * 1024 * 1024;

/// Counts what is read through it.
pub(super) struct Progress<'a, R> {
    inner: R,
    name: &'a str,
    total: u64,
    done: u64,
    shown: u64,
    is_visible: bool,
}

impl<'a, R: Read> Progress<'a, R> {
    /// Shows how much of `total` bytes of `name` is read from `inner`.
    pub(super) fn new(inner: R, name: &'a str, total: u64) -> Self {
        let is_visible = total >= WORTH_SHOWING && std::io::stderr().is_terminal();
        Self { inner, name, total, done: 0, shown: 0, is_visible }
    }
}

impl<R: Read> Read for Progress<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let got = self.inner.read(buffer)?;
        self.done += got as u64;
        let percent = self.done.saturating_mul(100) / self.total.max(1);
        if self.is_visible && percent != self.shown {
            self.shown = percent;
            // Return and erase the line, so that what follows starts clean.
            let _ = write!(std::io::stderr(), "\r{} {percent} %\x1b[K\r", self.name);
        }
        Ok(got)
    }
}
