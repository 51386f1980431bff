//! What is to be done: the options and the paths; and what of it is left.

use core::ffi::CStr;

use crate::args::{Options, Word, Words};
use crate::progress::Progress;
use crate::sys::{self, Arguments, Errno, List};

/// The paths, in order.
#[derive(Clone)]
pub(crate) enum Paths {
    Given(Words<Arguments>),
    Listed(List),
}

impl Iterator for Paths {
    type Item = &'static CStr;

    fn next(&mut self) -> Option<&'static CStr> {
        match self {
            Self::Given(words) => loop {
                if let Word::Path(path) = words.next()? {
                    return Some(path);
                }
            },
            Self::Listed(list) => list.next(),
        }
    }
}

/// What the command line asks for.
pub(crate) struct Job {
    pub(crate) options: Options,
    pub(crate) paths: Paths,
}

impl Job {
    /// Reads standard input if the paths come from there.
    pub(crate) fn new(options: Options, arguments: Arguments) -> Result<Self, Errno> {
        let paths = if options.stdin { Paths::Listed(sys::read_stdin()?) } else { Paths::Given(Words::new(arguments)) };
        Ok(Self { options, paths })
    }
}

/// What is left for a driver.
pub(crate) struct Task {
    /// What the drivers before it answered.
    pub(crate) progress: Progress,
    /// Up to this number, one library at a time: a driver died among them.
    pub(crate) alone_until: usize,
    /// The first library killed the driver with this signal.
    pub(crate) culprit: Option<u8>,
}

impl Task {
    /// All of it.
    pub(crate) const WHOLE: Self = Self { progress: Progress::NONE, alone_until: 0, culprit: None };
}
