//! What a built file is: its parts, read from the bytes; whether it fulfils the contract; how two of them differ.
//!
//! Nothing here trusts an offset, a length or a count found in a file: a hostile file is an error, never a panic, a hang
//! or an allocation larger than the file.

pub mod compare;
mod elf;
pub mod inspect;
mod layout;
mod macho;
mod text;
mod view;

use std::fmt;

use anyhow::{Context, Result, ensure};

use crate::bytes::{Stream, Window};

pub use compare::{Comparison, compare, compare_sources};
pub use inspect::{Inspection, inspect, inspect_source};

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

/// What a parser reads: what it has read before stays at hand.
type Data<'a, 's> = &'a object::ReadCache<Stream<'s>>;

/// More than the headers, tables and names of any program take, in bytes: reading stops with an error.
const MOST_READ: u64 = 128 << 20;

/// How many bytes tell what kind of file it is.
const HEAD: u64 = 1024;

impl Container {
    /// Recognises the file in `window` by its first bytes.
    fn at(window: Window<'_>) -> Result<Self> {
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

/// What kind of file `bytes` are, in a few words: container, class, machine, type.
pub fn describe(bytes: &[u8]) -> String {
    match view::View::read(Window::whole(&bytes)) {
        Ok(view) => view.describe(),
        Err(error) => format!("unreadable: {error:#}"),
    }
}

/// `count` with its noun, in the plural unless it is one.
pub(crate) fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Fails unless `size` bytes at `offset` lie inside a file of `length` bytes.
fn ensure_inside(offset: u64, size: u64, length: u64) -> Result<()> {
    let end = offset.checked_add(size).with_context(|| format!("begins at {offset:#x} and has no possible end"))?;
    ensure!(size == 0 || end <= length, "ends at byte {end}, beyond the end of the file at {length}");
    Ok(())
}
