//! The signature that is in an image: where its blobs are, and what its CodeDirectories say.
//! Formats: xnu `cs_blobs.h`; limits of what is believed are our own.

use anyhow::{Context, Result, ensure};
use object::macho;

use super::digest::Algorithm;
use super::form::{Form, Linker, PageSize};
use super::image::{Image, SignatureCommand, info_plist};
use super::layout::{Layout, MAX_NAME, Subject};
use super::source::{Comparison, Sink, Source, Window};

/// More blobs than any signature has: 5 CodeDirectories, 11 special slots, CMS and ticket.
const MAX_BLOBS: u32 = 32;
/// More special slots than are defined (11).
const MAX_SPECIAL_SLOTS: u32 = 32;

/// A signature as it stands in an image. Offsets are relative to its own start.
pub(super) struct Embedded<'a> {
    /// The bytes between the start of the signature and its end in the file.
    pub(super) window: Window<'a>,
    /// The `length` field of the superblob.
    pub(super) length: u64,
    pub(super) blobs: Vec<Blob>,
    /// In the order of the index.
    pub(super) directories: Vec<Directory>,
}

/// What is needed to write a signature again.
pub(super) struct Recognized {
    pub(super) identifier: String,
    pub(super) form: Form,
    pub(super) agile: bool,
}

/// One entry of the superblob's index.
#[derive(Clone, Copy)]
pub(super) struct Blob {
    pub(super) slot: u32,
    pub(super) magic: u32,
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// A CodeDirectory.
pub(super) struct Directory {
    pub(super) blob: Blob,
    pub(super) version: u32,
    pub(super) flags: u32,
    pub(super) algorithm: Algorithm,
    pub(super) platform: u8,
    /// log2 of the size of a page.
    pub(super) page_shift: u8,
    pub(super) code_limit: u64,
    pub(super) pages: u32,
    /// Where the hashes of the pages start, relative to the signature.
    pub(super) hashes: u64,
    /// The hashes of the special slots; slot 1 comes first.
    pub(super) specials: Vec<Vec<u8>>,
    pub(super) identifier: String,
    pub(super) team: Option<String>,
    /// `execSegBase`, `execSegLimit`, `execSegFlags`.
    pub(super) exec_segment: Option<(u64, u64, u64)>,
    /// Whether there is a scatter vector, which no tool has written for ten years.
    pub(super) scattered: bool,
}

impl<'a> Embedded<'a> {
    /// Reads the signature that `command` of the image in `window` points to.
    pub(super) fn parse(image: &Window<'a>, command: SignatureCommand) -> Result<Self> {
        let window = image.part(command.data_offset, command.data_size)?;
        let head = window.read(0, 12).context("the signature is cut off")?;
        ensure!(
            be32(&head, 0) == macho::CSMAGIC_EMBEDDED_SIGNATURE,
            "the signature starts with {:#010x}, not with the magic number of a superblob",
            be32(&head, 0)
        );
        let length = u64::from(be32(&head, 4));
        let count = be32(&head, 8);
        ensure!(
            length <= window.size(),
            "the superblob claims {length} bytes, the load command gives it {}",
            window.size()
        );
        ensure!(count <= MAX_BLOBS, "the superblob claims {count} blobs");
        let index_end = 12 + 8 * u64::from(count);
        ensure!(index_end <= length, "the superblob's index is cut off");
        let index = window.read(12, 8 * count as usize)?;
        let mut signature = Self { window, length, blobs: Vec::new(), directories: Vec::new() };
        for entry in index.chunks_exact(8) {
            let (slot, offset) = (be32(entry, 0), u64::from(be32(entry, 4)));
            ensure!(
                offset >= index_end && offset + 8 <= length,
                "blob {slot:#x} at {offset:#x} is outside of the superblob"
            );
            let head = window.read(offset, 8)?;
            let blob = Blob { slot, magic: be32(&head, 0), offset, length: be32(&head, 4).into() };
            ensure!(
                blob.length >= 8 && offset + blob.length <= length,
                "blob {slot:#x} with {} bytes at {offset:#x} reaches beyond the superblob",
                blob.length
            );
            ensure!(signature.blobs.iter().all(|other| other.slot != slot), "there are two blobs for slot {slot:#x}");
            signature.blobs.push(blob);
            if blob.is_code_directory() {
                let directory = Directory::parse(&window, blob).with_context(|| format!("code directory {slot:#x}"))?;
                signature.directories.push(directory);
            }
        }
        ensure!(
            signature.directories.first().is_some_and(|first| first.blob.slot == 0),
            "there is no CodeDirectory in slot 0"
        );
        Ok(signature)
    }

    /// The blob in `slot`.
    pub(super) fn blob(&self, slot: u32) -> Option<Blob> {
        self.blobs.iter().copied().find(|blob| blob.slot == slot)
    }

    /// The CodeDirectory that counts: the kernel takes the strongest hash.
    pub(super) fn best(&self) -> Option<&Directory> {
        self.directories.iter().max_by_key(|directory| directory.algorithm.rank())
    }

    /// The signature that `image` has, if it is one that this module writes too: equal in every byte outside of
    /// the hashes of pages and the slack.
    pub(super) fn recognize(window: &Window<'_>, image: &Image) -> Option<Recognized> {
        let command = image.checked_signature().ok()??;
        let signature = Embedded::parse(window, command).ok()?;
        let form = signature.form(window, image, command)?;
        let identifier = signature.directories.first()?.identifier.clone();
        Some(Recognized { identifier, form, agile: signature.directories.len() > 1 })
    }

    /// The form of this signature, see [`Self::recognize`].
    pub(super) fn form(&self, image_window: &Window<'_>, image: &Image, command: SignatureCommand) -> Option<Form> {
        let info_plist = info_plist(image_window, image).ok()?;
        let subject = Subject {
            identifier: &self.directories.first()?.identifier,
            code_limit: command.data_offset,
            info_plist: info_plist.as_deref(),
            agile: self.directories.len() > 1,
        };
        let forms = [PageSize::Small, PageSize::Large].map(|page_size| Form::Codesign { page_size });
        let linkedit = image.linkedit().ok()?;
        forms.into_iter().chain(Linker::ALL.map(Form::Linker)).find(|form| {
            // Go's form is that of ld64, but it does not round the segment up.
            (*form != Form::Linker(Linker::Ld64) || linkedit.memory_size > linkedit.file_size)
                && Layout::new(*form, image, &subject).is_ok_and(|layout| self.equals(&layout))
        })
    }

    /// Whether the signature is that of `layout`, as far as it does not depend on the pages.
    fn equals(&self, layout: &Layout) -> bool {
        let comparison = Comparison::new(&self.window);
        let same_size = layout.length == self.length && layout.size == self.window.size();
        same_size
            && layout
                .fixed
                .iter()
                .filter(|(offset, _)| *offset < layout.length)
                .all(|(offset, bytes)| comparison.write_at(*offset, bytes).is_ok() && !comparison.is_settled())
    }
}

impl Blob {
    /// Whether the slot is one for a CodeDirectory.
    pub(super) fn is_code_directory(&self) -> bool {
        self.slot == macho::CSSLOT_CODEDIRECTORY.0
            || (macho::CSSLOT_ALTERNATE_CODEDIRECTORIES..macho::CSSLOT_ALTERNATE_CODEDIRECTORY_LIMIT)
                .contains(&self.slot)
    }
}

impl Directory {
    fn parse(window: &Window<'_>, blob: Blob) -> Result<Self> {
        ensure!(
            blob.magic == macho::CSMAGIC_CODEDIRECTORY,
            "it starts with {:#010x}, not with its magic number",
            blob.magic
        );
        ensure!(blob.length >= 44, "it has {} bytes, less than its header", blob.length);
        let mut head = window.read(blob.offset, blob.length.min(88) as usize)?;
        let version = be32(&head, 8);
        // Fields beyond what the version has belong to something else.
        let header_size: usize = match version {
            0x20001..0x20100 => 44,
            0x20100..0x20200 => 48,
            0x20200..0x20300 => 52,
            0x20300..0x20400 => 64,
            // The kernel's CODEDIRECTORY_COMPATVERSION.
            0x20400..=0x2f000 => 88,
            _ => anyhow::bail!("version {version:#x} is not one that kernels accept"),
        };
        ensure!(head.len() >= header_size, "it has {} bytes, less than its header", blob.length);
        head.truncate(header_size);
        head.resize(88, 0);
        let algorithm = Algorithm::of_type(head[37])?;
        ensure!(
            usize::from(head[36]) == algorithm.size(),
            "hashes of type {} have {} bytes, not {}",
            head[37],
            algorithm.size(),
            head[36]
        );
        let hash_size = algorithm.size() as u64;
        let (hash_offset, specials, pages) = (u64::from(be32(&head, 16)), be32(&head, 24), be32(&head, 28));
        ensure!(specials <= MAX_SPECIAL_SLOTS, "it claims {specials} special slots");
        let first_special = hash_offset.checked_sub(u64::from(specials) * hash_size);
        let hashes_end = hash_offset + u64::from(pages) * hash_size;
        ensure!(
            first_special.is_some_and(|first| first >= header_size as u64) && hashes_end <= blob.length,
            "its hashes are outside of it"
        );
        let specials = window
            .read(blob.offset + first_special.unwrap_or_default(), specials as usize * algorithm.size())?
            .rchunks_exact(algorithm.size())
            .map(<[u8]>::to_vec)
            .collect();
        let name = |offset: u32| -> Result<String> {
            ensure!(
                u64::from(offset) >= header_size as u64 && u64::from(offset) < blob.length,
                "a name at {offset:#x} is outside of it"
            );
            let room = (blob.length - u64::from(offset)).min(MAX_NAME);
            let bytes = window.read(blob.offset + u64::from(offset), room as usize)?;
            let end = bytes.iter().position(|byte| *byte == 0).context("a name does not end")?;
            String::from_utf8(bytes[..end].to_vec()).context("a name is not UTF-8")
        };
        let limit64 = be64(&head, 56);
        Ok(Self {
            blob,
            version,
            flags: be32(&head, 12),
            algorithm,
            platform: head[38],
            page_shift: head[39],
            code_limit: if limit64 > 0 { limit64 } else { be32(&head, 32).into() },
            pages,
            hashes: blob.offset + hash_offset,
            specials,
            identifier: name(be32(&head, 20)).context("identifier")?,
            team: match be32(&head, 48) {
                0 => None,
                offset => Some(name(offset).context("team")?),
            },
            exec_segment: (version >= 0x20400).then(|| (be64(&head, 64), be64(&head, 72), be64(&head, 80))),
            scattered: be32(&head, 44) != 0,
        })
    }

    /// What the kernel knows the code by: the start of the CodeDirectory's hash.
    pub(super) fn cdhash(&self, signature: &Window<'_>) -> Result<Vec<u8>> {
        let mut hash = self.algorithm.digest_source(&signature.part(self.blob.offset, self.blob.length)?)?;
        hash.truncate(20);
        Ok(hash)
    }

    /// The hash of special slot `number`, unless it is absent or all zeroes, which means the same.
    pub(super) fn special(&self, number: u32) -> Option<&[u8]> {
        let hash = self.specials.get((number as usize).checked_sub(1)?)?;
        hash.iter().any(|byte| *byte != 0).then_some(hash)
    }
}

fn be32(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn be64(bytes: &[u8], at: usize) -> u64 {
    u64::from(be32(bytes, at)) << 32 | u64::from(be32(bytes, at + 4))
}
