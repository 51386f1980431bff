//! The answers on their way out. On Linux to the supervisor, in frames: each is one write, so a driver that is killed
//! leaves no half of one. On macOS to standard output.

use crate::json::Sink;
use crate::{NO_ANSWER, sys};

/// How far the answers are: enough to go on behind them.
#[derive(Clone, Copy)]
pub(crate) struct Progress {
    /// Libraries that have their answer.
    pub(crate) answered: usize,
    /// Each of them loaded.
    pub(crate) all_loaded: bool,
    /// Each of them could be tried.
    pub(crate) complete: bool,
    /// There are no more.
    pub(crate) finished: bool,
}

impl Progress {
    /// Nothing yet.
    pub(crate) const NONE: Self = Self { answered: 0, all_loaded: true, complete: true, finished: false };

    /// The exit status that says so.
    pub(crate) fn status(&self) -> i32 {
        if self.complete { i32::from(!self.all_loaded) } else { NO_ANSWER }
    }
}

/// Bytes of a frame: written at once to the channel, and the most that pipes take at once, too.
pub(crate) const FRAME: usize = 4096;
/// Bytes of its header: the number of libraries answered with it, and what is true of them and of the frame.
const HEADER: usize = if cfg!(target_os = "linux") { 9 } else { 0 };
const ALL_LOADED: u8 = 1;
const COMPLETE: u8 = 2;
const FINISHED: u8 = 4;
/// The frame ends with an answer, and not within one.
const WHOLE: u8 = 8;

/// What has not been sent yet.
pub(crate) struct Answers {
    fd: i32,
    progress: Progress,
    frame: [u8; FRAME],
    used: usize,
    /// Where the last whole answer in the frame ends.
    whole: usize,
    lost: bool,
}

impl Answers {
    /// Sends to `fd`.
    pub(crate) fn new(fd: i32, progress: Progress) -> Self {
        Self { fd, progress, frame: [0; FRAME], used: HEADER, whole: HEADER, lost: false }
    }

    /// Notes that what was put ends an answer.
    pub(crate) fn end(&mut self, progress: Progress) {
        self.progress = progress;
        self.whole = self.used;
    }

    /// Sends all there is; false if anything was ever lost.
    pub(crate) fn flush(&mut self) -> bool {
        let whole = self.whole > HEADER;
        self.send(if whole { self.whole } else { self.used }, whole);
        !self.lost
    }

    fn send(&mut self, end: usize, whole: bool) {
        let Progress { answered, all_loaded, complete, finished } = self.progress;
        if HEADER > 0 {
            let flag = |is: bool, flag| if is { flag } else { 0 };
            self.frame[..8].copy_from_slice(&(answered as u64).to_le_bytes());
            self.frame[8] = flag(all_loaded, ALL_LOADED)
                | flag(complete, COMPLETE)
                | flag(finished, FINISHED)
                | flag(whole || finished, WHOLE);
        }
        let frame = self.frame;
        let mut rest = &frame[if end == HEADER && !finished { end } else { 0 }..end];
        while !rest.is_empty() && !self.lost {
            match sys::write(self.fd, rest) {
                Ok(written) => rest = rest.get(written..).unwrap_or(&[]),
                Err(error) => self.lost = !error.is_temporary(self.fd),
            }
        }
        // The beginning of the next answer stays.
        let begun = &frame[end..self.used];
        self.frame[HEADER..HEADER + begun.len()].copy_from_slice(begun);
        (self.used, self.whole) = (HEADER + begun.len(), HEADER);
    }
}

impl Sink for Answers {
    fn put(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.used == FRAME {
                self.flush();
            }
            let room = &mut self.frame[self.used..];
            let (now, later) = bytes.split_at(bytes.len().min(room.len()));
            room[..now.len()].copy_from_slice(now);
            self.used += now.len();
            bytes = later;
        }
    }
}

/// A frame taken apart: its bytes, and the progress if it ends with an answer.
#[cfg(target_os = "linux")]
pub(crate) fn open(frame: &[u8]) -> Option<(&[u8], Option<Progress>)> {
    let (header, bytes) = frame.split_first_chunk::<HEADER>()?;
    let [a, b, c, d, e, f, g, h, flags] = *header;
    let progress = Progress {
        answered: u64::from_le_bytes([a, b, c, d, e, f, g, h]) as usize,
        all_loaded: flags & ALL_LOADED != 0,
        complete: flags & COMPLETE != 0,
        finished: flags & FINISHED != 0,
    };
    Some((bytes, (flags & WHOLE != 0).then_some(progress)))
}
