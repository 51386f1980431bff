//! Versions, paths and dates in the text of binaries.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// No token is longer, in bytes.
pub(super) const LONGEST: usize = 1024;

/// How many bytes are looked at at once for what every token has.
const BLOCK: usize = 64;
/// A token begins at most this many bytes before what the first look finds.
const BEFORE: usize = 9;
/// How many bytes behind a position that look needs.
const BEHIND: usize = 5;

/// So many blocks are looked at closely: 16 MB of dense text. What differs in more is no program, and no token of it would
/// explain anything.
const MOST_BLOCKS: u32 = 1 << 18;
/// So many bytes of tokens are kept.
const MOST_BYTES: usize = 2 << 20;

/// What was found in one file.
#[derive(Clone, Default, Debug)]
pub(super) struct Tokens {
    /// `1.2.3`, `1.2.3-rc.1`.
    pub(super) versions: BTreeSet<String>,
    /// `/home/me/project/main.c`.
    pub(super) paths: BTreeSet<String>,
    /// `2026-11-22`, `Nov 22 2026`, `12:34:56`.
    pub(super) dates: BTreeSet<String>,
    blocks: u32,
    bytes: usize,
}

impl Tokens {
    /// Whether there were too many for the rest to be known.
    pub(super) fn are_too_many(&self) -> bool {
        self.blocks > MOST_BLOCKS || self.bytes > MOST_BYTES
    }

    /// Adds those that begin in the part `starts` of `bytes`. Where the search has to go on.
    fn collect(&mut self, bytes: &[u8], starts: Range<usize>) -> usize {
        let mut index = starts.start;
        while index < starts.end {
            let rest = &bytes[index..];
            let before = index.checked_sub(1).map(|before| bytes[before]);
            let (set, length) = match rest[0] {
                b'0'..=b'9' if before.is_none_or(|byte| !byte.is_ascii_digit() && byte != b'.') => {
                    match (date(rest), version(rest)) {
                        (length @ 1.., _) => (&mut self.dates, length),
                        (0, length) => (&mut self.versions, length),
                    }
                }
                b'/' if before.is_none_or(|byte| !is_path(byte)) => (&mut self.paths, path(rest)),
                b'A'..=b'Z' if before.is_none_or(|byte| !byte.is_ascii_alphabetic()) => (&mut self.dates, c_date(rest)),
                _ => (&mut self.dates, 0),
            };
            let token = std::str::from_utf8(&rest[..length]).unwrap_or_default();
            if length > 0 && !set.contains(token) {
                set.insert(token.to_owned());
                self.bytes += length;
            }
            index += length.max(1);
        }
        index
    }
}

/// Adds the tokens in the part `inner` of `bytes` to `tokens`, which several threads fill. Most content has none: what no
/// token can begin in is passed over without a close look.
pub(super) fn collect(bytes: &[u8], inner: Range<usize>, tokens: &Mutex<Tokens>) {
    let mut next = inner.start;
    for start in inner.clone().step_by(BLOCK) {
        let end = (start + BLOCK).min(inner.end);
        if may_hold_token(bytes, start) {
            let mut tokens = tokens.lock().unwrap_or_else(PoisonError::into_inner);
            if tokens.are_too_many() {
                return;
            }
            tokens.blocks += 1;
            next = tokens.collect(bytes, next.max(start.saturating_sub(BEFORE))..end);
        }
    }
}

/// Whether a token can begin in the block at `start` or up to [`BEFORE`] bytes before. Written for the compiler to look at many
/// bytes with one instruction.
fn may_hold_token(bytes: &[u8], start: usize) -> bool {
    let around = start.checked_sub(1).and_then(|first| bytes.get(first..start + BLOCK + BEHIND));
    let Some(around) = around.and_then(|around| <&[u8; 1 + BLOCK + BEHIND]>::try_from(around).ok()) else {
        return true;
    };
    let is_digit = |byte: u8| byte.wrapping_sub(b'0') < 10;
    let is_letter = |byte: u8| (byte | 0x20).wrapping_sub(b'a') < 26;
    let may_be_path = |byte: u8| byte.wrapping_sub(b'+') <= b'~' - b'+';
    let mut found = 0;
    for index in 0..BLOCK {
        let at = |offset: usize| around[index + offset];
        let separator = (at(1) == b'.') | (at(1) == b'-') | (at(1) == b':');
        let number = separator & is_digit(at(0)) & is_digit(at(2));
        let path = (at(1) == b'/') & is_letter(at(2)) & may_be_path(at(3)) & may_be_path(at(4)) & may_be_path(at(6));
        let date = (at(1) == b' ') & is_digit(at(3)) & (at(4) == b' ') & is_digit(at(5));
        found |= u8::from(number | path | date);
    }
    found != 0
}

fn is_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/._-+@~".contains(&byte)
}

/// The length of an absolute path of at least two components and eight bytes.
fn path(bytes: &[u8]) -> usize {
    let length = bytes.iter().take(LONGEST).take_while(|&&byte| is_path(byte)).count();
    let slashes = bytes[..length].iter().filter(|&&byte| byte == b'/').count();
    let starts_with_letter = bytes.get(1).is_some_and(|byte| byte.is_ascii_alphabetic());
    if length >= 8 && slashes >= 2 && starts_with_letter { length } else { 0 }
}
/// The length of a version of three numbers, with what follows its hyphen.
fn version(bytes: &[u8]) -> usize {
    let digits = |from: usize| bytes[from..].iter().take(9).take_while(|byte| byte.is_ascii_digit()).count();
    let mut end = digits(0);
    for _ in 0..2 {
        if bytes.get(end) != Some(&b'.') || digits(end + 1) == 0 {
            return 0;
        }
        end += 1 + digits(end + 1);
    }
    if bytes.get(end) == Some(&b'-') && bytes.get(end + 1).is_some_and(u8::is_ascii_alphanumeric) {
        let is_suffix = |byte: &&u8| byte.is_ascii_alphanumeric() || b".-".contains(byte);
        end += bytes[end..].iter().take(40).take_while(is_suffix).count();
    }
    end
}

/// The length of `2026-11-22` or `12:34:56`.
fn date(bytes: &[u8]) -> usize {
    let fits = |pattern: &[u8]| {
        let same = |(byte, wanted): (&u8, &u8)| if *wanted == b'0' { byte.is_ascii_digit() } else { byte == wanted };
        bytes.len() >= pattern.len() && bytes.iter().zip(pattern).all(same)
    };
    let is_year = bytes.starts_with(b"19") || bytes.starts_with(b"20");
    if is_year && fits(b"0000-00-00") {
        10
    } else if fits(b"00:00:00") {
        8
    } else {
        0
    }
}

/// The length of a date as `__DATE__` writes it: `Nov 22 2026`.
fn c_date(bytes: &[u8]) -> usize {
    const MONTHS: &[u8] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let Some(text) = bytes.get(..11) else { return 0 };
    let is_month = MONTHS.chunks(3).any(|month| text.starts_with(month));
    let is_day = (text[4] == b' ' || text[4].is_ascii_digit()) && text[5].is_ascii_digit();
    let is_year = text[7..].iter().all(u8::is_ascii_digit);
    if is_month && text[3] == b' ' && is_day && text[6] == b' ' && is_year { 11 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(bytes: &[u8]) -> Tokens {
        let tokens = Mutex::default();
        collect(bytes, 0..bytes.len(), &tokens);
        tokens.into_inner().unwrap()
    }

    #[test]
    fn versions_paths_and_dates_are_told_apart() {
        let text: &[u8] =
            b"\0v1.2.3\0GLIBC_2.34\0/home/me/x.c:12\0/a/b\0Nov 22 2026 12:34:56\x001.2.3-rc.1;2026-11-22 1.2.3.4";
        let tokens = found(text);
        assert_eq!(Vec::from_iter(tokens.versions), ["1.2.3", "1.2.3-rc.1"]);
        assert_eq!(Vec::from_iter(tokens.paths), ["/home/me/x.c"]);
        assert_eq!(Vec::from_iter(tokens.dates), ["12:34:56", "2026-11-22", "Nov 22 2026"]);
    }

    #[test]
    fn a_token_is_found_wherever_it_begins() {
        for token in ["1.2.3", "123456789.2.3", "/a/b/c/d", "/home/x", "2026-11-22", "12:34:56", "Nov  2 2026"] {
            for at in 0..2 * BLOCK {
                for size in [at + token.len(), 4 * BLOCK] {
                    let mut bytes = vec![0; size];
                    bytes[at..at + token.len()].copy_from_slice(token.as_bytes());
                    let Tokens { versions, paths, dates, .. } = found(&bytes);
                    let all: Vec<_> = [versions, paths, dates].into_iter().flatten().collect();
                    assert!(token == "/home/x" && all.is_empty() || all == [token], "{token} at {at}: {all:?}");
                }
            }
        }
    }

    #[test]
    fn text_without_end_is_given_up() {
        let text = "1.2.3 /home/me/x ".repeat(1 << 20);
        assert!(found(text.as_bytes()).are_too_many());
        let distinct: String = (0..1 << 18).map(|number| format!("/home/{number}/x ")).collect();
        assert!(found(distinct.as_bytes()).are_too_many());
        assert!(!found(&text.as_bytes()[..1 << 20]).are_too_many());
    }
}
