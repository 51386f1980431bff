//! What kind of file some bytes are.

use std::fmt;

use anyhow::Result;

use super::text;
use crate::plumbing::bytes::Window;

/// How many bytes tell what kind of file it is.
const HEAD: u64 = 1024;

/// What kind of file some bytes are, by their first ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Container {
    /// An ELF file.
    Elf,
    /// A Mach-O file for one machine.
    MachO,
    /// A Mach-O file with one slice for each of several machines.
    FatMachO,
    /// Something that is no program: what it looks like.
    Foreign(&'static str),
}

impl Container {
    /// Recognises the file in `window` by its first bytes.
    pub(super) fn at(window: Window<'_>) -> Result<Self> {
        Ok(Self::of(&window.head(HEAD)?))
    }

    /// Recognises `bytes` by their magic number.
    pub fn of(bytes: &[u8]) -> Self {
        // A Java class file begins like a fat Mach-O; its next word is a version, at least 45, where the other has a count.
        let fat_count = bytes.get(4..8).map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
        match bytes {
            [] => Self::Foreign("empty"),
            [0x7f, b'E', b'L', b'F', ..] => Self::Elf,
            [0xfe, 0xed, 0xfa, 0xce | 0xcf, ..] | [0xce | 0xcf, 0xfa, 0xed, 0xfe, ..] => Self::MachO,
            [0xca, 0xfe, 0xba, 0xbe, ..] if fat_count.is_some_and(|count| count >= 45) => {
                Self::Foreign("a Java class file")
            }
            [0xca, 0xfe, 0xba, 0xbe | 0xbf, ..] => Self::FatMachO,
            [b'M', b'Z', ..] => Self::Foreign("a Windows program"),
            [b'P', b'K', 3, 4, ..] => Self::Foreign("a ZIP archive"),
            [0x1f, 0x8b, ..] => Self::Foreign("a gzip archive"),
            [b'!', b'<', b'a', b'r', b'c', b'h', b'>', ..] => Self::Foreign("an ar archive"),
            [b'#', b'!', ..] => Self::Foreign("a script"),
            _ => Self::Foreign(kind_of_text(bytes)),
        }
    }
}

/// HTML, JSON, other text or data: what a server may send in place of a file.
fn kind_of_text(bytes: &[u8]) -> &'static str {
    let head = &bytes[..bytes.len().min(HEAD as usize)];
    let lower = String::from_utf8_lossy(head).trim_start().to_lowercase();
    if lower.starts_with("<!doctype html") || lower.starts_with("<html") {
        "an HTML page"
    } else if lower.starts_with('<') {
        "an XML document"
    } else if lower.starts_with(['{', '[']) && text::is_text(head) {
        "a JSON document"
    } else if text::is_text(head) {
        "text"
    } else {
        "data of no known format"
    }
}

impl fmt::Display for Container {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Elf => "ELF",
            Self::MachO => "Mach-O",
            Self::FatMachO => "fat Mach-O",
            Self::Foreign(what) => what,
        })
    }
}
