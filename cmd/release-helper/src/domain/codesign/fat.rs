//! Thin and fat files: which images a file holds and where. Format: `mach-o/fat.h` of the macOS SDK.

use anyhow::{Context, Result, bail, ensure};
use object::macho::{CpuSubtype, CpuType};

use super::image::{Image, architecture};
use super::source::{Source, Window};

/// More slices than there are processors; a Java class file, which has the same magic number, claims 45 or more.
const MAX_SLICES: u32 = 44;

/// Apple's tools refuse to align slices more (cctools `MAXSECTALIGN`).
const MAX_ALIGNMENT: u32 = 15;

/// Which images there are in a file.
pub(super) enum Container {
    /// The file is one image.
    Thin,
    /// The file holds images for several processors, each aligned.
    Fat(Fat),
}

/// The table at the start of a fat file.
#[derive(Clone)]
pub(super) struct Fat {
    /// Whether offsets have 64 bits (`FAT_MAGIC_64`).
    is_64: bool,
    /// The slices in the order of the table.
    pub(super) slices: Vec<Slice>,
}

/// One row of the table.
#[derive(Clone)]
pub(super) struct Slice {
    pub(super) cpu_type: CpuType,
    pub(super) cpu_subtype: CpuSubtype,
    pub(super) offset: u64,
    pub(super) size: u64,
    /// log2 of the alignment of `offset`.
    pub(super) alignment: u32,
    reserved: u32,
}

impl Container {
    /// Reads the table, if there is one. That its slices are inside of the file, disjoint and aligned is checked.
    pub(super) fn parse(source: &dyn Source) -> Result<Self> {
        let mut magic = [0; 8];
        ensure!(source.size() >= 8, "not a Mach-O file: {} bytes are too few", source.size());
        source.read_at(0, &mut magic)?;
        let is_64 = match magic[..4] {
            [0xca, 0xfe, 0xba, 0xbe] => false,
            [0xca, 0xfe, 0xba, 0xbf] => true,
            _ => return Ok(Self::Thin),
        };
        let count = u32::from_be_bytes([magic[4], magic[5], magic[6], magic[7]]);
        ensure!(count > 0, "not a Mach-O file: a fat header without slices");
        ensure!(count <= MAX_SLICES, "not a Mach-O file: a fat header with {count} slices");
        let whole = Window::new(source, 0, source.size())?;
        let row_size = row_size(is_64);
        let table = whole.read(8, count as usize * row_size).context("the fat header is cut off")?;
        let slices: Vec<Slice> = table.chunks_exact(row_size).map(|row| Slice::parse(row, is_64)).collect();
        let fat = Fat { is_64, slices };
        fat.check(source.size())?;
        Ok(Self::Fat(fat))
    }
}

impl Slice {
    fn parse(row: &[u8], is_64: bool) -> Self {
        let u32_at = |at: usize| u32::from_be_bytes([row[at], row[at + 1], row[at + 2], row[at + 3]]);
        let u64_at = |at: usize| u64::from(u32_at(at)) << 32 | u64::from(u32_at(at + 4));
        let (cpu_type, cpu_subtype) = (CpuType(u32_at(0)), CpuSubtype(u32_at(4)));
        if is_64 {
            let (offset, size, alignment, reserved) = (u64_at(8), u64_at(16), u32_at(24), u32_at(28));
            Self { cpu_type, cpu_subtype, offset, size, alignment, reserved }
        } else {
            let (offset, size, alignment) = (u32_at(8).into(), u32_at(12).into(), u32_at(16));
            Self { cpu_type, cpu_subtype, offset, size, alignment, reserved: 0 }
        }
    }

    /// That the slice is for the processor the table says.
    pub(super) fn matches(&self, image: &Image) -> Result<()> {
        ensure!(
            (image.cpu_type, image.cpu_subtype) == (self.cpu_type, self.cpu_subtype),
            "the fat header says {}, the slice itself says {}",
            self.architecture(),
            image.architecture()
        );
        Ok(())
    }

    /// Its name in messages.
    pub(super) fn architecture(&self) -> String {
        architecture(self.cpu_type, self.cpu_subtype)
    }
}

impl Fat {
    fn check(&self, file_size: u64) -> Result<()> {
        for (index, slice) in self.slices.iter().enumerate() {
            let name = slice.architecture();
            let end = slice.offset.checked_add(slice.size);
            ensure!(
                end.is_some_and(|end| end <= file_size),
                "slice {name} reaches beyond the end of the file: {:#x} bytes at {:#x}, the file has {file_size:#x}",
                slice.size,
                slice.offset
            );
            ensure!(slice.offset >= self.header_size(), "slice {name} overlaps the fat header");
            ensure!(slice.alignment <= MAX_ALIGNMENT, "slice {name} claims an alignment of 2^{}", slice.alignment);
            ensure!(
                slice.offset.is_multiple_of(1 << slice.alignment),
                "slice {name} at {:#x} is not aligned to 2^{}",
                slice.offset,
                slice.alignment
            );
            ensure!(slice.reserved == 0, "the fat header has something in a reserved field");
            for other in &self.slices[..index] {
                if other.offset < slice.offset + slice.size && slice.offset < other.offset + other.size {
                    bail!("slices {} and {name} overlap", other.architecture());
                }
                ensure!(
                    (other.cpu_type, other.cpu_subtype) != (slice.cpu_type, slice.cpu_subtype),
                    "there are two slices for {name}"
                );
            }
        }
        Ok(())
    }

    /// The bytes of the table with its magic number and count.
    pub(super) fn header_size(&self) -> u64 {
        (8 + self.slices.len() * row_size(self.is_64)) as u64
    }

    /// Gives the slices the sizes in `sizes` and lays them out in the order of the table, each at the next aligned
    /// offset. Returns the size of the file.
    pub(super) fn lay_out(&mut self, sizes: &[u64], alignment: Option<u32>) -> Result<u64> {
        let mut end = self.header_size();
        for (slice, size) in self.slices.iter_mut().zip(sizes) {
            slice.alignment = alignment.unwrap_or(slice.alignment);
            slice.size = *size;
            slice.offset = end.checked_next_multiple_of(1 << slice.alignment).context("the file is too large")?;
            end = slice.offset.checked_add(*size).context("the file is too large")?;
        }
        ensure!(
            self.is_64 || end <= u64::from(u32::MAX),
            "the file would have {end} bytes, more than a 32-bit fat header can describe"
        );
        Ok(end)
    }

    /// The table as it is in a file.
    pub(super) fn header(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&if self.is_64 { [0xca, 0xfe, 0xba, 0xbf] } else { [0xca, 0xfe, 0xba, 0xbe] });
        bytes.extend_from_slice(&(self.slices.len() as u32).to_be_bytes());
        for slice in &self.slices {
            bytes.extend_from_slice(&slice.cpu_type.0.to_be_bytes());
            bytes.extend_from_slice(&slice.cpu_subtype.0.to_be_bytes());
            if self.is_64 {
                bytes.extend_from_slice(&slice.offset.to_be_bytes());
                bytes.extend_from_slice(&slice.size.to_be_bytes());
                bytes.extend_from_slice(&slice.alignment.to_be_bytes());
                bytes.extend_from_slice(&slice.reserved.to_be_bytes());
            } else {
                // `lay_out` and the parser saw to it that both fit.
                bytes.extend_from_slice(&(slice.offset as u32).to_be_bytes());
                bytes.extend_from_slice(&(slice.size as u32).to_be_bytes());
                bytes.extend_from_slice(&slice.alignment.to_be_bytes());
            }
        }
        bytes
    }

    /// The ranges of the file that belong to no slice, behind the table: `(offset, size)`.
    pub(super) fn gaps(&self, file_size: u64) -> Vec<(u64, u64)> {
        let mut taken: Vec<(u64, u64)> =
            self.slices.iter().map(|slice| (slice.offset, slice.offset + slice.size)).collect();
        taken.sort_unstable();
        taken.push((file_size, file_size));
        let mut gaps = Vec::new();
        let mut end = self.header_size();
        for (start, stop) in taken {
            if start > end {
                gaps.push((end, start - end));
            }
            end = end.max(stop);
        }
        gaps
    }
}

/// The size of `struct fat_arch` or `struct fat_arch_64`.
fn row_size(is_64: bool) -> usize {
    if is_64 { 32 } else { 20 }
}
