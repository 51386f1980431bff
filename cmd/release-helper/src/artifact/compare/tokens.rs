//! Versions, paths and dates in the text of binaries.

use std::collections::BTreeSet;

use anyhow::Result;

use crate::artifact::text;
use crate::bytes::{self, Window};

/// More tokens of one kind than this are not told apart.
const MOST: usize = 10_000;
/// `1.2.3`; random bytes rarely make a text as long.
const SHORTEST: usize = 5;
/// A text of more bytes than this may be cut in two.
const LONGEST: usize = 1 << 20;

/// What was found in one file.
#[derive(Default)]
pub(super) struct Tokens {
    /// `1.2.3`, `1.2.3-rc.1`.
    pub(super) versions: BTreeSet<String>,
    /// `/home/me/project/main.c`.
    pub(super) paths: BTreeSet<String>,
    /// `2026-11-22`, `Nov 22 2026`, `12:34:56`.
    pub(super) dates: BTreeSet<String>,
}

impl Tokens {
    /// Adds those in the text of `content`.
    pub(super) fn collect(&mut self, content: Window<'_>) -> Result<()> {
        // A text that goes on in the next piece waits for it, up to a length that no token has.
        let mut text = Vec::new();
        bytes::pieces(&content, 0, |bytes, _, _| {
            let mut texts = bytes.split(|byte| !text::is_printable(*byte)).peekable();
            while let Some(part) = texts.next() {
                text.extend_from_slice(part);
                if texts.peek().is_some() || text.len() >= LONGEST {
                    self.collect_in_text(&text);
                    text.clear();
                }
            }
            true
        })?;
        self.collect_in_text(&text);
        Ok(())
    }

    fn collect_in_text(&mut self, bytes: &[u8]) {
        if bytes.len() < SHORTEST {
            return;
        }
        let mut index = 0;
        while index < bytes.len() {
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
            if length > 0 && set.len() < MOST {
                set.insert(String::from_utf8_lossy(&rest[..length]).into_owned());
            }
            index += length.max(1);
        }
    }
}

fn is_path(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"/._-+@~".contains(&byte)
}

/// The length of an absolute path of at least two components and eight bytes.
fn path(bytes: &[u8]) -> usize {
    let length = bytes.iter().take(1024).take_while(|&&byte| is_path(byte)).count();
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

    #[test]
    fn versions_paths_and_dates_are_told_apart() {
        let mut tokens = Tokens::default();
        let text: &[u8] =
            b"\0v1.2.3\0GLIBC_2.34\0/home/me/x.c:12\0/a/b\0Nov 22 2026 12:34:56\x001.2.3-rc.1;2026-11-22 1.2.3.4";
        tokens.collect(Window::whole(&text)).unwrap();
        assert_eq!(Vec::from_iter(tokens.versions), ["1.2.3", "1.2.3-rc.1"]);
        assert_eq!(Vec::from_iter(tokens.paths), ["/home/me/x.c"]);
        assert_eq!(Vec::from_iter(tokens.dates), ["12:34:56", "2026-11-22", "Nov 22 2026"]);
    }
}
