//! Whether two files are the same, and if not, where and most likely why.

mod causes;
mod places;
mod tokens;

use anyhow::Result;
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::layout::{self, Part};
use super::{Container, counted, elf::Elf, kind, macho, macho::MachO};
use crate::bytes::{self, Source, Window};
use crate::codesign;
use crate::digest::hex;

pub use causes::Cause;

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
    /// In hexadecimal digits.
    pub sha256: String,
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

    /// Compares the files in these parts.
    fn set_places(&mut self, a: Window<'_>, b: Window<'_>, parts_a: &[Part], parts_b: &[Part]) -> Result<()> {
        self.a.map.set_parts(parts_a);
        self.b.map.set_parts(parts_b);
        self.places = places::places(a, b, &mut self.a.map, &mut self.b.map)?;
        Ok(())
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

fn byte_count(count: u64) -> String {
    counted(count, "byte")
}

/// As [`compare_sources`], for files in memory.
pub fn compare(a: &[u8], b: &[u8]) -> Comparison {
    compare_sources(&a, &b).expect("what is in memory can be read")
}

/// Compares two files byte for byte, and part by part where both are ELF or both are Mach-O. Neither is held in memory.
/// An error says that one could not be read.
pub fn compare_sources(a: &dyn Source, b: &dyn Source) -> Result<Comparison> {
    let (a, b) = (Window::whole(a), Window::whole(b));
    let (side_a, side_b) = std::thread::scope(|scope| {
        let other = scope.spawn(|| Side::new(b));
        (Side::new(a), other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let (side_a, side_b) = (side_a?, side_b?);
    let mut comparison = Comparison {
        same: side_a.size == side_b.size && side_a.sha256 == side_b.sha256,
        same_unsigned: None,
        a: side_a,
        b: side_b,
        places: Vec::new(),
        causes: Vec::new(),
    };
    if !comparison.same {
        let container = Container::at(a)?;
        let alike = container == Container::at(b)?;
        if alike && matches!(container, Container::MachO | Container::FatMachO) {
            comparison.same_unsigned = codesign::same_unsigned(&a, &b).ok();
        }
        let (parts_a, parts_b) = if alike { parts_of_both(a, b) } else { (whole(a), whole(b)) };
        comparison.set_places(a, b, &parts_a, &parts_b)?;
        // One changed byte of a header can give every part another name: then position says more than names.
        if a.size() == b.size() && parts_a != parts_b {
            let mut by_position = comparison.clone();
            by_position.set_places(a, b, &parts_a, &parts_a)?;
            if by_position.differing() < comparison.differing() {
                comparison = by_position;
            }
        }
        causes::find(a, b, &mut comparison)?;
    }
    Ok(comparison)
}

/// A file of which nothing is known.
fn whole(file: Window<'_>) -> Vec<Part> {
    layout::cut(file.size(), vec![Part::new("file", 0, file.size())], &[])
}

/// Both files cut into parts. One that is too damaged for it is cut like the other.
fn parts_of_both(a: Window<'_>, b: Window<'_>) -> (Vec<Part>, Vec<Part>) {
    let like = |parts: &[Part], file: Window<'_>| layout::cut(file.size(), parts.to_vec(), &[]);
    match (parts(a), parts(b)) {
        (Ok(parts_a), Ok(parts_b)) => (parts_a, parts_b),
        (Ok(parts_a), Err(_)) => (parts_a.clone(), like(&parts_a, b)),
        (Err(_), Ok(parts_b)) => (like(&parts_b, a), parts_b),
        (Err(_), Err(_)) => (whole(a), whole(b)),
    }
}

/// The file cut into named parts; those of a fat file's slices carry the name of their machine.
fn parts(file: Window<'_>) -> Result<Vec<Part>> {
    match Container::at(file)? {
        Container::Elf => Ok(Elf::read(file)?.parts()),
        Container::MachO => Ok(MachO::read(file)?.parts()),
        Container::FatMachO => {
            let slices = macho::slices(file)?;
            let header = Part::new("fat header", 0, macho::fat_header_size(&file.head(4)?, slices.len()));
            let whole = slices.iter().map(|slice| Part { name: slice.machine.clone(), range: slice.range.clone() });
            let mut parts = Vec::new();
            for part in layout::cut(file.size(), whole.chain([header]).collect(), &[]) {
                let content = file.part(part.range.start, part.range.end - part.range.start)?;
                match MachO::read(content) {
                    Ok(macho) => parts.extend(macho.parts().into_iter().map(|inner| Part {
                        name: format!("{}: {}", part.name, inner.name),
                        range: part.range.start + inner.range.start..part.range.start + inner.range.end,
                    })),
                    Err(_) => parts.push(part),
                }
            }
            Ok(parts)
        }
        Container::Foreign(what) => anyhow::bail!("{what} has no parts"),
    }
}

impl Side {
    fn new(file: Window<'_>) -> Result<Self> {
        let size = file.size();
        let bytes_per_cell = size.div_ceil(CELLS).max(1);
        let mut hasher = Sha256::new();
        bytes::pieces(&file, 0, |bytes, _, _| {
            hasher.update(bytes);
            true
        })?;
        Ok(Self {
            size,
            kind: kind(file)?,
            sha256: hex(&hasher.finalize()),
            map: Map { bytes_per_cell, differing: vec![0; size.div_ceil(bytes_per_cell) as usize], parts: Vec::new() },
        })
    }
}

impl Map {
    fn set_parts(&mut self, parts: &[Part]) {
        let extent = |part: &Part| Extent {
            name: part.name.clone(),
            offset: part.range.start,
            size: part.range.end - part.range.start,
        };
        self.parts = parts.iter().map(extent).collect();
        self.differing.fill(0);
    }

    /// Counts `size` bytes at `offset` as differing.
    fn mark(&mut self, offset: u64, size: u64) {
        let (mut position, end) = (offset, offset + size);
        while position < end {
            let cell = position / self.bytes_per_cell;
            let next = ((cell + 1) * self.bytes_per_cell).min(end);
            if let Some(count) = self.differing.get_mut(cell as usize) {
                *count += next - position;
            }
            position = next;
        }
    }
}
