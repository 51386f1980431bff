//! Text inside binaries.

use std::ops::Range;

/// Longest text that is quoted from a file, in bytes.
pub(super) const LONGEST: usize = 160;

/// A byte of printable ASCII.
pub(super) fn is_printable(byte: u8) -> bool {
    (0x20..0x7f).contains(&byte)
}

/// Whether `bytes` are plain text: printable, tabs, line ends, or UTF-8 beyond ASCII.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| is_printable(byte) || matches!(byte, b'\t' | b'\n' | b'\r') || byte >= 0x80)
}

/// The range of the printable text around `position`, at most [`LONGEST`] bytes to each side; empty if there is none.
pub(super) fn around(bytes: &[u8], position: usize) -> Range<usize> {
    let position = position.min(bytes.len());
    let before = bytes[..position].iter().rev().take(LONGEST).take_while(|&&byte| is_printable(byte)).count();
    let after = bytes[position..].iter().take(LONGEST).take_while(|&&byte| is_printable(byte)).count();
    position - before..position + after
}

/// `bytes` as text for people: what is no UTF-8 is replaced, control characters are escaped.
pub(super) fn shown(bytes: &[u8]) -> String {
    let cut = &bytes[..bytes.len().min(LONGEST)];
    let text: String = String::from_utf8_lossy(cut).chars().flat_map(escaped).collect();
    if cut.len() < bytes.len() { text + "…" } else { text }
}

/// `c`, or its escape if a terminal would act on it.
fn escaped(c: char) -> impl Iterator<Item = char> {
    let escape = c.is_control().then(|| c.escape_default());
    let plain = (!c.is_control()).then_some(c);
    escape.into_iter().flatten().chain(plain)
}

/// Where the NUL-terminated text at the beginning of `bytes` ends, if it does.
pub(super) fn terminated(bytes: &[u8]) -> Option<&[u8]> {
    bytes.iter().position(|&byte| byte == 0).map(|end| &bytes[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_out_of_its_surroundings() {
        let bytes = b"\0\x01hello\xff";
        assert_eq!(&bytes[around(bytes, 4)], b"hello");
        assert!(around(bytes, 0).is_empty());
        assert!(around(bytes, 99).is_empty());
    }

    #[test]
    fn what_a_terminal_would_act_on_is_escaped() {
        assert_eq!(shown(b"a\x1b[31m\xff"), "a\\u{1b}[31m\u{fffd}");
    }
}
