//! How far the answers are: enough to go on behind them.

use crate::NO_ANSWER;

/// What is true of the answers so far.
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

/// Bytes of the header of a frame (see `output.rs`): the number of libraries answered with it, and flags.
pub(crate) const HEADER: usize = 9;
const ALL_LOADED: u8 = 1;
const COMPLETE: u8 = 2;
const FINISHED: u8 = 4;
/// The frame ends with an answer, and not within one.
const WHOLE: u8 = 8;

impl Progress {
    /// Nothing yet.
    pub(crate) const NONE: Self = Self { answered: 0, all_loaded: true, complete: true, finished: false };

    /// The exit status that says so.
    pub(crate) fn status(&self) -> i32 {
        if self.complete { i32::from(!self.all_loaded) } else { NO_ANSWER }
    }

    /// The header of a frame that ends with an answer (`whole`) or within one.
    pub(crate) fn header(&self, whole: bool) -> [u8; HEADER] {
        let [a, b, c, d, e, f, g, h] = (self.answered as u64).to_le_bytes();
        let flag = |is: bool, flag| if is { flag } else { 0 };
        let flags = flag(self.all_loaded, ALL_LOADED)
            | flag(self.complete, COMPLETE)
            | flag(self.finished, FINISHED)
            | flag(whole, WHOLE);
        [a, b, c, d, e, f, g, h, flags]
    }

    /// Takes a frame apart: its bytes, and the progress if it ends with an answer.
    #[cfg(target_os = "linux")]
    pub(crate) fn open(frame: &[u8]) -> Option<(&[u8], Option<Self>)> {
        let (&[a, b, c, d, e, f, g, h, flags], bytes) = frame.split_first_chunk::<HEADER>()?;
        let progress = Self {
            answered: u64::from_le_bytes([a, b, c, d, e, f, g, h]) as usize,
            all_loaded: flags & ALL_LOADED != 0,
            complete: flags & COMPLETE != 0,
            finished: flags & FINISHED != 0,
        };
        Some((bytes, (flags & WHOLE != 0).then_some(progress)))
    }
}
