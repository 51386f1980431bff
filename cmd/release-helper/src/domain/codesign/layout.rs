//! The bytes of an ad-hoc signature, in the forms that Apple's and other tools write.
//! Formats: xnu `cs_blobs.h`, Security `codedirectory.h`; who writes what: `docs/signing.md`.

use anyhow::{Context, Result, ensure};
use object::macho;

use super::digest::Algorithm;
use super::form::{Form, Linker};
use super::image::Image;

/// Longer than any identifier or team, with the zero byte behind it; POSIX limits a path to as much.
pub(super) const MAX_NAME: u64 = 4096;

/// The versions of a CodeDirectory that are written: how far its header goes.
#[derive(Clone, Copy)]
enum Version {
    /// Up to `scatterOffset`.
    Scatter,
    /// Up to `execSegFlags`.
    ExecSegment,
}

impl Version {
    fn number(self) -> u32 {
        match self {
            Self::Scatter => macho::CS_SUPPORTSSCATTER.0,
            Self::ExecSegment => macho::CS_SUPPORTSEXECSEG.0,
        }
    }

    /// In bytes.
    fn header_size(self) -> u64 {
        match self {
            Self::Scatter => 48,
            Self::ExecSegment => 88,
        }
    }
}

/// The size that `codesign` estimates a CodeDirectory's header with (that of version 0x20500).
const ESTIMATED_HEADER: u64 = 96;
/// What `codesign` reserves for a CMS signature, even an empty one (Security `signer.cpp`).
const CMS_RESERVE: u64 = 18000;

/// Requirements without any requirement: magic, length, count 0.
const NO_REQUIREMENTS: [u8; 12] = [0xfa, 0xde, 0x0c, 0x01, 0, 0, 0, 12, 0, 0, 0, 0];
/// A CMS wrapper without content: magic, length.
const NO_CMS: [u8; 8] = [0xfa, 0xde, 0x0b, 0x01, 0, 0, 0, 8];

/// A signature with holes where the hashes of the pages go. Offsets are relative to its start.
pub(super) struct Layout {
    /// The bytes that do not depend on the pages.
    pub(super) fixed: Vec<(u64, Vec<u8>)>,
    /// The hashes of the pages.
    pub(super) tables: Vec<Table>,
    /// The size of a page, in bytes.
    pub(super) page_size: u64,
    /// The `length` field of the superblob.
    pub(super) length: u64,
    /// The room it takes in the file; zeroes fill it.
    pub(super) size: u64,
}

/// The hashes of all pages by one algorithm.
pub(super) struct Table {
    pub(super) offset: u64,
    pub(super) algorithm: Algorithm,
}

/// What a signature says about the image it is for.
pub(super) struct Subject<'a> {
    pub(super) identifier: &'a str,
    /// The size of what is signed: everything before the signature.
    pub(super) code_limit: u64,
    /// The content of `__TEXT,__info_plist`.
    pub(super) info_plist: Option<&'a [u8]>,
    /// Whether the SHA-256 CodeDirectory follows one of SHA-1, for systems that know no other.
    pub(super) agile: bool,
}

impl Layout {
    /// The signature of `image` in the given form.
    pub(super) fn new(form: Form, image: &Image, subject: &Subject<'_>) -> Result<Self> {
        ensure!(
            !subject.identifier.is_empty() && !subject.identifier.contains('\0'),
            "an identifier has at least one character, and no zero byte"
        );
        ensure!(
            (subject.identifier.len() as u64) < MAX_NAME,
            "an identifier of {} bytes is longer than the {} that are read again",
            subject.identifier.len(),
            MAX_NAME - 1
        );
        ensure!(
            subject.code_limit <= u64::from(u32::MAX),
            "the image has {} bytes, more than the 4 GiB that a signature's load command can point behind",
            subject.code_limit
        );
        match form {
            Form::Codesign { page_size } => Self::of_codesign(image, subject, page_size.bytes()),
            Form::Linker(linker) => Self::of_linker(linker, image, subject),
        }
    }

    /// What `codesign -s -` writes: CodeDirectory, empty requirements, empty CMS wrapper.
    fn of_codesign(image: &Image, subject: &Subject<'_>, page_size: u64) -> Result<Self> {
        // Without a platform there is no executable segment (Security `machorep.cpp`, `needsExecSeg`), and the version of
        // the CodeDirectory is the lowest that has all that is not zero (`cdbuilder.cpp`, `build`).
        let text = image.text().filter(|_| image.has_platform());
        let exec_segment = text.map_or((0, 0), |text| (text.file_offset, text.file_size));
        let version = if exec_segment.1 > 0 { Version::ExecSegment } else { Version::Scatter };
        let algorithms: &[Algorithm] =
            if subject.agile { &[Algorithm::Sha1, Algorithm::Sha256] } else { &[Algorithm::Sha256] };
        let mut layout = Self { fixed: Vec::new(), tables: Vec::new(), page_size, length: 0, size: 0 };
        // Blobs follow each other in the order of their slots; CodeDirectories behind the first have slots from 0x1000.
        let count = algorithms.len() + 2;
        let mut index = Vec::new();
        let mut offset = 12 + 8 * count as u64;
        let mut estimate = offset + NO_REQUIREMENTS.len() as u64 + CMS_RESERVE;
        for (position, algorithm) in algorithms.iter().enumerate() {
            let mut specials = algorithm.digest(&NO_REQUIREMENTS);
            match subject.info_plist {
                Some(content) => algorithm.append(content, &mut specials),
                None => specials.resize(2 * algorithm.size(), 0),
            }
            let directory = CodeDirectory {
                algorithm: *algorithm,
                flags: macho::CS_ADHOC.0,
                specials,
                hash_offset: None,
                version,
                exec_segment,
                page_size,
            };
            index.push(if position == 0 { (0, offset) } else { (0x0fff + position as u32, offset) });
            let length = layout.add(&directory, image, subject, offset)?;
            estimate += length - version.header_size() + ESTIMATED_HEADER;
            offset += length;
            if position == 0 {
                index.push((macho::CSSLOT_REQUIREMENTS.0, offset));
                layout.fixed.push((offset, NO_REQUIREMENTS.to_vec()));
                offset += NO_REQUIREMENTS.len() as u64;
            }
        }
        index.push((macho::CSSLOT_SIGNATURESLOT.0, offset));
        layout.fixed.push((offset, NO_CMS.to_vec()));
        layout.finish(&index, offset + NO_CMS.len() as u64, estimate.next_multiple_of(16))
    }

    /// What a linker writes: a CodeDirectory, nothing else.
    fn of_linker(linker: Linker, image: &Image, subject: &Subject<'_>) -> Result<Self> {
        let text = image.text();
        let page_size = 4096;
        let mut layout = Self { fixed: Vec::new(), tables: Vec::new(), page_size, length: 0, size: 0 };
        // lld aligns the CodeDirectory to 8 and the hashes to 16 bytes.
        let offset = if linker == Linker::Lld { 24 } else { 20 };
        let hashes = offset + Version::ExecSegment.header_size() + subject.identifier.len() as u64 + 1;
        let directory = CodeDirectory {
            algorithm: Algorithm::Sha256,
            flags: (macho::CS_ADHOC | macho::CS_LINKER_SIGNED).0,
            specials: Vec::new(),
            version: Version::ExecSegment,
            hash_offset: (linker == Linker::Lld).then(|| hashes.next_multiple_of(16) - offset),
            exec_segment: match linker {
                Linker::LdPrime => (text.map_or(0, |text| text.file_offset), image.text_section_size),
                Linker::Ld0 => (0, 0),
                _ => text.map_or((0, 0), |text| (text.file_offset, text.file_size)),
            },
            page_size,
        };
        let length = offset + layout.add(&directory, image, subject, offset)?;
        let size = match linker {
            Linker::Ld64 | Linker::Go | Linker::Lld | Linker::Ld0 => length,
            Linker::LdPrime => length.next_multiple_of(8),
            Linker::Cctools => length.next_multiple_of(if image.is_64() { 8 } else { 4 }),
        };
        layout.finish(&[(0, offset)], length, size)
    }

    /// Adds a CodeDirectory at `offset`; returns its length.
    fn add(&mut self, directory: &CodeDirectory, image: &Image, subject: &Subject<'_>, offset: u64) -> Result<u64> {
        let algorithm = directory.algorithm;
        let pages = subject.code_limit.div_ceil(directory.page_size);
        let header_size = directory.version.header_size();
        let identifier_end = header_size + subject.identifier.len() as u64 + 1;
        let hash_offset = directory.hash_offset.unwrap_or(identifier_end + directory.specials.len() as u64);
        let length = hash_offset + pages * algorithm.size() as u64;
        let mut bytes = Vec::new();
        let mut put = |value: u64| -> Result<()> {
            let value = u32::try_from(value).context("the signature would be larger than 4 GiB")?;
            bytes.extend_from_slice(&value.to_be_bytes());
            Ok(())
        };
        put(macho::CSMAGIC_CODEDIRECTORY.into())?;
        put(length)?;
        put(directory.version.number().into())?;
        put(directory.flags.into())?;
        put(hash_offset)?;
        put(header_size)?; // identOffset
        put((directory.specials.len() / algorithm.size()) as u64)?;
        put(pages)?;
        put(subject.code_limit)?;
        // hashSize, hashType, platform, log2 of the page size
        bytes.extend([algorithm.size() as u8, algorithm.hash_type(), 0, directory.page_size.trailing_zeros() as u8]);
        // spare2, scatterOffset; then teamOffset, spare3, codeLimit64, and the executable segment
        bytes.resize(bytes.len() + 4 * 4 + 8, 0);
        let is_main = image.file_type == macho::MH_EXECUTE;
        let main_binary = if is_main { macho::CS_EXECSEG_MAIN_BINARY.0 } else { 0 };
        for value in [directory.exec_segment.0, directory.exec_segment.1, main_binary] {
            bytes.extend_from_slice(&value.to_be_bytes());
        }
        bytes.truncate(header_size as usize);
        bytes.extend_from_slice(subject.identifier.as_bytes());
        bytes.push(0);
        bytes.extend_from_slice(&directory.specials);
        bytes.resize(hash_offset as usize, 0);
        self.fixed.push((offset, bytes));
        self.tables.push(Table { offset: offset + hash_offset, algorithm });
        Ok(length)
    }

    /// Adds the superblob's header and index, and the zeroes that fill `size` bytes.
    fn finish(mut self, index: &[(u32, u64)], length: u64, size: u64) -> Result<Self> {
        let mut bytes = macho::CSMAGIC_EMBEDDED_SIGNATURE.to_be_bytes().to_vec();
        let length32 = u32::try_from(length).context("the signature would be larger than 4 GiB")?;
        bytes.extend_from_slice(&length32.to_be_bytes());
        bytes.extend_from_slice(&(index.len() as u32).to_be_bytes());
        for (slot, offset) in index {
            bytes.extend_from_slice(&slot.to_be_bytes());
            bytes.extend_from_slice(&(*offset as u32).to_be_bytes());
        }
        // lld leaves a gap between the index and the CodeDirectory.
        let first = index.iter().map(|(_, offset)| *offset).min().unwrap_or_default();
        bytes.resize(bytes.len().max(first as usize), 0);
        self.fixed.push((0, bytes));
        self.fixed.push((length, vec![0; (size - length) as usize]));
        self.length = length;
        self.size = size;
        Ok(self)
    }
}

/// What distinguishes one CodeDirectory from another.
struct CodeDirectory {
    algorithm: Algorithm,
    version: Version,
    flags: u32,
    /// The hashes of the special slots, from the highest number down to 1.
    specials: Vec<u8>,
    /// Where the hashes of the pages start, if not directly behind the rest.
    hash_offset: Option<u64>,
    /// `execSegBase` and `execSegLimit`.
    exec_segment: (u64, u64),
    page_size: u64,
}
