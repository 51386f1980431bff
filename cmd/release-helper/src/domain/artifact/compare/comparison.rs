//! What a comparison found.

use std::ops::Range;

use serde::Serialize;

use crate::domain::artifact::layout::Part;
use crate::plumbing::output;

/// Into how many cells a byte map divides a file, at most.
const CELLS: u64 = 512;

/// How two files compare.
#[derive(Clone, Debug, Serialize)]
pub struct Comparison {
    /// Whether every byte is the same.
    pub same: bool,
    /// For two Mach-O files that differ: whether they are the same with their signatures set aside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_unsigned: Option<bool>,
    /// The first file.
    pub a: Side,
    /// The second file.
    pub b: Side,
    /// Where they differ, by position in the first file, then in the second.
    pub places: Vec<Place>,
    /// What may have made the difference, the most telling first.
    pub causes: Vec<Cause>,
}

/// One of the two files.
#[derive(Clone, Debug, Serialize)]
pub struct Side {
    /// In bytes.
    pub size: u64,
    /// `ELF 64-bit x86-64 PIE`.
    pub kind: String,
    /// In hexadecimal digits; not known where the files differ and nobody asked for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// For drawing where the differences are.
    pub map: Map,
}

/// A file as a row of cells.
#[derive(Clone, Debug, Serialize)]
pub struct Map {
    /// How many bytes each cell stands for; the last one may stand for fewer.
    pub bytes_per_cell: u64,
    /// How many of each cell's bytes differ from the other file.
    pub differing: Vec<u64>,
    /// The parts of the file, in order, without gaps.
    pub parts: Vec<Extent>,
}

/// A named stretch of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Extent {
    /// `.text`; in a fat file `arm64: __TEXT,__text`.
    pub name: String,
    /// In bytes from the beginning of the file.
    pub offset: u64,
    /// In bytes.
    pub size: u64,
}

/// A part in which the files differ.
#[derive(Clone, Debug, Serialize)]
pub struct Place {
    /// The section, load command or table: `.text`; in a fat file `arm64: __TEXT,__text`.
    pub name: String,
    /// Where the part is in the first file, if it has it.
    pub a: Option<Extent>,
    /// Where the part is in the second file, if it has it.
    pub b: Option<Extent>,
    /// How many bytes differ: at the same position in the part, or without a counterpart.
    pub differing: u64,
    /// The first of them, where both files have the part and it does not merely end sooner in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<Difference>,
}

/// A likely cause of a difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cause {
    /// A fixed word for scripts: `version`, `path`, `signature`.
    pub kind: &'static str,
    /// A sentence for people.
    pub text: String,
}

/// The bytes at one position.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// From the beginning of the part.
    pub offset_in_part: u64,
    /// From the beginning of the first file.
    pub offset_a: u64,
    /// From the beginning of the second file.
    pub offset_b: u64,
    /// The byte in the first file.
    pub byte_a: u8,
    /// The byte in the second file.
    pub byte_b: u8,
    /// The text around it in the first file; empty if there is none.
    pub text_a: String,
    /// The text around it in the second file; empty if there is none.
    pub text_b: String,
}

impl Comparison {
    /// How many bytes differ.
    pub fn differing(&self) -> u64 {
        self.places.iter().map(|place| place.differing).sum()
    }

    /// One line: `same`, or where the first telling difference is, both bytes, and the likely cause.
    pub fn summary(&self) -> String {
        if self.same {
            return "same".into();
        }
        // Headers, hashes and signatures follow from the rest.
        let follows = |place: &&Place| {
            let derived =
                ["header", "LC_UUID", "LC_SEGMENT", "LC_CODE_SIGNATURE", "code signature", "build-id", "padding"];
            derived.iter().any(|part| place.name.contains(part))
        };
        let telling = self.places.iter().find(|place| !follows(place)).or(self.places.first());
        let place = telling.map(Place::summary).unwrap_or_default();
        match self.causes.first() {
            Some(cause) => format!("{place}; {}", cause.text),
            None => place,
        }
    }
}

impl Place {
    /// `.rodata differs at 0x1a52: 33 in A, 34 in B`.
    pub fn summary(&self) -> String {
        let name = &self.name;
        match (&self.first, &self.a, &self.b) {
            (_, Some(_), None) => format!("{name} is only in A"),
            (_, None, _) => format!("{name} is only in B"),
            (None, Some(a), Some(b)) => {
                format!("{name} has {} in A, {} in B", byte_count(a.size), byte_count(b.size))
            }
            (Some(first), ..) if first.offset_a == first.offset_b => {
                format!("{name} differs at {:#x}: {:02x} in A, {:02x} in B", first.offset_a, first.byte_a, first.byte_b)
            }
            (Some(first), ..) => format!(
                "{name} differs: {:02x} in A at {:#x}, {:02x} in B at {:#x}",
                first.byte_a, first.offset_a, first.byte_b, first.offset_b
            ),
        }
    }
}

pub(super) fn byte_count(count: u64) -> String {
    output::counted(count, "byte")
}

impl Map {
    /// The map of a file of `size` bytes, with nothing marked.
    pub(super) fn new(size: u64, parts: &[Part]) -> Self {
        let bytes_per_cell = size.div_ceil(CELLS).max(1);
        let extent = |part: &Part| Extent {
            name: part.name.clone(),
            offset: part.range.start,
            size: part.range.end - part.range.start,
        };
        Self {
            bytes_per_cell,
            differing: vec![0; size.div_ceil(bytes_per_cell) as usize],
            parts: parts.iter().map(extent).collect(),
        }
    }

    /// Counts `size` bytes at `offset` as differing.
    pub(super) fn mark(&mut self, offset: u64, size: u64) {
        self.mark_some(offset, size, |bytes| bytes.end - bytes.start);
    }

    /// Counts some of the `size` bytes at `offset` as differing: of those in a range, as many as `count` says.
    pub(super) fn mark_some(&mut self, offset: u64, size: u64, count: impl Fn(Range<u64>) -> u64) {
        let mut position = 0;
        while position < size {
            let cell = (offset + position) / self.bytes_per_cell;
            let next = ((cell + 1) * self.bytes_per_cell - offset).min(size);
            if let Some(differing) = self.differing.get_mut(cell as usize) {
                *differing += count(position..next);
            }
            position = next;
        }
    }
}
