//! The command line. Options may stand before, between or after paths; `--` ends them.

use core::ffi::CStr;

/// What one or two words of the command line mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word<'a> {
    /// A library to load.
    Path(&'a CStr),
    /// `--jobs N`: children at a time.
    Jobs(u32),
    /// `--timeout-ms N`: milliseconds for each library.
    Timeout(u32),
    /// `--isolation shared` (true) or `strict` (false).
    Shared(bool),
    /// `--stdin0`: paths come from standard input, each ended by a NUL byte.
    Stdin,
    /// `--json-lines`: one object on a line for each library, as soon as it is known.
    Lines,
    /// `--help`.
    Help,
    /// `--version`.
    Version,
    /// The word that cannot be understood, and why.
    Wrong(&'a CStr, &'static str),
}

/// Most children at a time.
pub(crate) const MAX_JOBS: u32 = 32;
/// Longest time for one library: a day, in milliseconds.
pub(crate) const MAX_TIMEOUT: u32 = 86_400_000;

/// Reads words from the arguments after the program's name.
#[derive(Clone)]
pub(crate) struct Words<I> {
    arguments: I,
    options: bool,
}

impl<I> Words<I> {
    /// Reads `arguments`, which must not include the program's name.
    pub(crate) fn new(arguments: I) -> Self {
        Self { arguments, options: true }
    }
}

impl<'a, I: Iterator<Item = &'a CStr>> Iterator for Words<I> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        let mut argument = self.arguments.next()?;
        let mut bytes = argument.to_bytes();
        if self.options && bytes == b"--" {
            self.options = false;
            argument = self.arguments.next()?;
            bytes = argument.to_bytes();
        }
        if !self.options || !bytes.starts_with(b"-") {
            return Some(Word::Path(argument));
        }
        let equals = bytes.iter().position(|&b| b == b'=').unwrap_or(bytes.len());
        let (name, attached) = (&bytes[..equals], bytes.get(equals + 1..));
        let takes_value = name == b"--jobs" || name == b"--timeout-ms" || name == b"--isolation";
        let value = match attached {
            Some(_) if !takes_value => {
                return Some(Word::Wrong(argument, "unknown option, or one that takes no value"));
            }
            None if takes_value => match self.arguments.next() {
                Some(value) => value.to_bytes(),
                None => return Some(Word::Wrong(argument, "needs a value")),
            },
            attached => attached.unwrap_or(b""),
        };
        Some(if name == b"--jobs" {
            number(value, MAX_JOBS).map_or(Word::Wrong(argument, "needs a number from 1 to 32"), Word::Jobs)
        } else if name == b"--timeout-ms" {
            number(value, MAX_TIMEOUT).map_or(Word::Wrong(argument, "needs a number from 1 to 86400000"), Word::Timeout)
        } else if name == b"--isolation" {
            match value {
                b"strict" => Word::Shared(false),
                b"shared" => Word::Shared(true),
                _ => Word::Wrong(argument, "needs strict or shared"),
            }
        } else if name == b"--stdin0" {
            Word::Stdin
        } else if name == b"--json-lines" {
            Word::Lines
        } else if name == b"--help" || name == b"-h" {
            Word::Help
        } else if name == b"--version" {
            Word::Version
        } else {
            Word::Wrong(argument, "unknown option (a path that starts with - goes after --)")
        })
    }
}

/// A decimal number from 1 to `most`.
fn number(digits: &[u8], most: u32) -> Option<u32> {
    let value = digits.iter().try_fold(0_u32, |value, digit| {
        let digit = digit.wrapping_sub(b'0');
        if digit > 9 { None } else { value.checked_mul(10)?.checked_add(u32::from(digit)) }
    })?;
    (1..=most).contains(&value).then_some(value)
}

/// What a whole command line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Request<'a> {
    /// `--version`, alone.
    Version,
    /// `--help`, anywhere.
    Help,
    /// Nothing to do.
    Nothing,
    /// A word that cannot be understood, and why.
    Wrong(&'a CStr, &'static str),
    /// Load libraries.
    Load(Options),
}

/// How to load.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// Children at a time; `None`: as many as there are processors.
    pub(crate) jobs: Option<u32>,
    /// Milliseconds for one library.
    pub(crate) timeout: Option<u32>,
    /// Let a healthy child serve many libraries.
    pub(crate) shared: bool,
    /// Read the paths from standard input.
    pub(crate) stdin: bool,
    /// One object on a line instead of one array.
    pub(crate) lines: bool,
}

/// Understands a command line, without the program's name.
pub(crate) fn request<'a>(words: impl Iterator<Item = Word<'a>>) -> Request<'a> {
    let (mut options, mut count, mut version) = (Options::default(), 0_usize, false);
    let mut first_path = None;
    for word in words {
        count += 1;
        match word {
            Word::Path(path) => first_path = first_path.or(Some(path)),
            Word::Jobs(jobs) => options.jobs = Some(jobs),
            Word::Timeout(timeout) => options.timeout = Some(timeout),
            Word::Shared(shared) => options.shared = shared,
            Word::Stdin => options.stdin = true,
            Word::Lines => options.lines = true,
            Word::Version => version = true,
            Word::Help => return Request::Help,
            Word::Wrong(word, why) => return Request::Wrong(word, why),
        }
    }
    match first_path {
        _ if version && count == 1 => Request::Version,
        _ if version => Request::Wrong(c"--version", "stands alone"),
        Some(path) if options.stdin => {
            Request::Wrong(path, "paths come from standard input (--stdin0) or from here, not both")
        }
        None if !options.stdin => Request::Nothing,
        _ => Request::Load(options),
    }
}
