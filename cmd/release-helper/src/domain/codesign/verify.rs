//! Whether a signature holds: every page, every special slot, the layout, and what kernels refuse
//! (xnu `ubc_subr.c`, `cs_validate_csblob` and `cs_validate_codedirectory`).

use std::fmt;
use std::io;

use anyhow::{Context, Result, bail, ensure};
use object::macho;

use super::fat::{Container, Fat, Slice};
use super::form::Form;
use super::image::{Image, SignatureCommand, info_plist};

use super::report::{self, Report};
use super::signature::{Directory, Embedded};
use super::source::{Source, Window};
use crate::plumbing::bytes;
use crate::plumbing::digest::hex;

/// Verifies all signatures of a file. Whatever the file contains, there is a report; only reading can fail.
pub(super) fn verify(source: &dyn Source) -> Result<Report> {
    let mut report = Report { problem: None, slices: Vec::new() };
    match Container::parse(source) {
        Err(error) => report.problem = Some(contradiction(error)?),
        Ok(Container::Thin) => {
            let window = Window::new(source, 0, source.size())?;
            match Image::parse(&window) {
                Ok(image) => report.slices.push(sealed_to_the_end(verify_image(&window, &image)?, "the file")),
                Err(error) => report.problem = Some(contradiction(error)?),
            }
        }
        Ok(Container::Fat(fat)) => {
            report.problem = between_slices(source, &fat)?;
            for slice in &fat.slices {
                report.slices.push(verify_slice(source, slice)?);
            }
        }
    }
    Ok(report)
}

fn verify_slice(source: &dyn Source, slice: &Slice) -> Result<report::Slice> {
    let window = Window::new(source, slice.offset, slice.size)?;
    let image = Image::parse(&window).and_then(|image| slice.matches(&image).map(|()| image));
    let entry = match image {
        Ok(image) => verify_image(&window, &image)?,
        Err(error) => report::Slice {
            architecture: slice.architecture(),
            offset: 0,
            size: slice.size,
            problem: Some(contradiction(error)?),
            bad_page: None,
            signature: None,
        },
    };
    Ok(report::Slice { offset: slice.offset, ..sealed_to_the_end(entry, "the slice") })
}

/// Refuses bytes behind the signature, which nothing seals. `codesign --verify --strict` does, too (Security
/// `macho++.cpp`, `validateStructure`), where plain `--verify` tolerates up to 7 of them.
fn sealed_to_the_end(mut entry: report::Slice, what: &str) -> report::Slice {
    if let Some(signature) = entry.signature.as_ref().filter(|_| entry.problem.is_none()) {
        let end = signature.offset + signature.size;
        entry.problem =
            (end != entry.size).then(|| format!("{what} ends at {:#x}, its signature at {end:#x}", entry.size));
    }
    entry
}

/// What is wrong around the slices, which no page hash covers: `codesign --verify --strict` wants zeroes there, less
/// between two slices than the alignment of the second, and nothing behind the last (Security `macho++.cpp`, `Universal`).
fn between_slices(source: &dyn Source, fat: &Fat) -> Result<Option<String>> {
    for (offset, size) in fat.gaps(source.size()) {
        let end = offset + size;
        if !is_zero(Window::new(source, offset, size)?)? {
            return Ok(Some(format!("something hides between the slices, behind {offset:#x}")));
        }
        if end == source.size() {
            return Ok(Some(format!("there are {size} bytes behind the last slice")));
        }
        let next = fat.slices.iter().find(|slice| slice.offset == end);
        if let Some(next) = next.filter(|next| offset != fat.header_size() && size >= 1 << next.alignment) {
            return Ok(Some(format!(
                "there are {size} bytes before slice {}, more than its alignment of 2^{} needs",
                next.architecture(),
                next.alignment
            )));
        }
    }
    Ok(None)
}

fn verify_image(window: &Window<'_>, image: &Image) -> Result<report::Slice> {
    let mut slice = report::Slice {
        architecture: image.architecture(),
        offset: 0,
        size: image.size,
        problem: None,
        bad_page: None,
        signature: None,
    };
    let outcome = Subject::find(window, image).and_then(|subject| {
        let mut signature = subject.describe()?;
        let outcome = subject.check(&mut signature.notes);
        slice.signature = Some(signature);
        outcome
    });
    if let Err(error) = outcome {
        slice.bad_page = error.downcast_ref().map(|BadPage { page, .. }| *page);
        slice.problem = Some(contradiction(error)?);
    }
    Ok(slice)
}

/// What an error says about the file, unless it says that the file could not be read.
fn contradiction(error: anyhow::Error) -> Result<String> {
    if error.chain().any(|cause| cause.is::<io::Error>()) { Err(error) } else { Ok(format!("{error:#}")) }
}

/// A page whose hash is wrong.
#[derive(Debug)]
struct BadPage {
    page: u64,
    start: u64,
    end: u64,
    hash: &'static str,
}

impl fmt::Display for BadPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { page, start, end, hash } = self;
        write!(f, "page {page} ({start:#x} to {end:#x}) does not have the {hash} hash that was signed")
    }
}

impl std::error::Error for BadPage {}

/// A signature and what it signs.
struct Subject<'a> {
    window: &'a Window<'a>,
    image: &'a Image,
    command: SignatureCommand,
    signature: Embedded<'a>,
}

impl<'a> Subject<'a> {
    fn find(window: &'a Window<'a>, image: &'a Image) -> Result<Self> {
        let command = image.checked_signature()?.context("not signed: there is no LC_CODE_SIGNATURE")?;
        let signature = Embedded::parse(window, command)?;
        Ok(Self { window, image, command, signature })
    }

    fn check(&self, notes: &mut Vec<String>) -> Result<()> {
        self.check_place()?;
        self.check_agreement()?;
        for directory in &self.signature.directories {
            let slot = directory.blob.slot;
            self.check_directory(directory).with_context(|| format!("code directory {slot:#x}"))?;
            self.check_special_slots(directory, notes).with_context(|| format!("code directory {slot:#x}"))?;
        }
        self.check_authority(notes)?;
        self.check_pages()
    }

    /// The signature is the end of `__LINKEDIT`.
    fn check_place(&self) -> Result<()> {
        let end = self.image.linkedit()?.file_end();
        ensure!(
            end == self.command.data_end(),
            "the signature ends at {:#x}, __LINKEDIT at {end:#x}",
            self.command.data_end()
        );
        Ok(())
    }

    /// All CodeDirectories speak about the same thing, each with another hash.
    fn check_agreement(&self) -> Result<()> {
        let directories = &self.signature.directories;
        for (index, directory) in directories.iter().enumerate() {
            for other in &directories[..index] {
                ensure!(
                    other.algorithm != directory.algorithm,
                    "two code directories use {}",
                    directory.algorithm.name()
                );
                ensure!(
                    other.identifier == directory.identifier && other.flags == directory.flags,
                    "the code directories have different identifiers or flags"
                );
            }
        }
        Ok(())
    }

    fn check_directory(&self, directory: &Directory) -> Result<()> {
        let shift = directory.page_shift;
        ensure!(
            shift == 12 || (shift == 14 && self.image.has_large_pages()),
            "kernels refuse pages of 2^{shift} bytes on {}",
            self.image.architecture()
        );
        ensure!(!directory.scattered, "it has a scatter vector, which is not supported");
        let start = self.command.data_offset;
        ensure!(
            directory.code_limit == start,
            "it signs {:#x} bytes, but the signature starts at {start:#x}",
            directory.code_limit
        );
        let pages = start.div_ceil(1 << shift);
        ensure!(u64::from(directory.pages) == pages, "it has {} hashes for {pages} pages", directory.pages);
        let unknown = directory.flags & !macho::CS_ALLOWED_MACHO.0;
        ensure!(unknown == 0, "kernels ignore or refuse the flags {unknown:#x} in a Mach-O file");
        Ok(())
    }

    /// What is in the superblob is sealed, and what is sealed is there.
    fn check_special_slots(&self, directory: &Directory, notes: &mut Vec<String>) -> Result<()> {
        let mut note = |text: &str| {
            if !notes.iter().any(|other| other == text) {
                notes.push(text.to_owned());
            }
        };
        for number in 1..=directory.specials.len().max(11) as u32 {
            let sealed = directory.special(number);
            let blob = self.signature.blob(number);
            let hash = match (number, blob) {
                (1, _) => info_plist(self.window, self.image)?.map(|plist| directory.algorithm.digest(&plist)),
                (_, Some(blob)) => {
                    Some(directory.algorithm.digest_source(&self.signature.window.part(blob.offset, blob.length)?)?)
                }
                (_, None) => None,
            };
            match (sealed, hash) {
                (None, None) => {}
                (Some(sealed), Some(hash)) => {
                    ensure!(sealed == hash, "special slot {number} ({}) has another hash", special_name(number));
                }
                // Linkers do not seal an Info.plist; it is below the code limit anyway.
                (None, Some(_)) if number == 1 => {}
                (None, Some(_)) => bail!("the blob in slot {number} ({}) is not sealed", special_name(number)),
                (Some(_), None) if number == 1 => note("bound to the Info.plist of a bundle, which was not checked"),
                (Some(_), None) if number == 3 => note("bound to the resources of a bundle, which were not checked"),
                (Some(_), None) => {
                    bail!("special slot {number} ({}) seals a blob that is absent", special_name(number))
                }
            }
            if let Some(blob) = blob {
                let magic = special_magic(number);
                ensure!(
                    magic.is_none_or(|magic| magic == blob.magic),
                    "the blob in slot {number} ({}) starts with {:#010x}",
                    special_name(number),
                    blob.magic
                );
            }
        }
        Ok(())
    }

    /// Ad-hoc is what has no signer, and says so.
    fn check_authority(&self, notes: &mut Vec<String>) -> Result<()> {
        let Some(first) = self.signature.directories.first() else { return Ok(()) };
        let adhoc = first.flags & macho::CS_ADHOC.0 != 0;
        let certified = self.signature.blob(macho::CSSLOT_SIGNATURESLOT.0);
        if let Some(blob) = certified {
            ensure!(blob.magic == macho::CSMAGIC_BLOBWRAPPER, "the CMS signature starts with {:#010x}", blob.magic);
        }
        match (adhoc, certified.is_some_and(|blob| blob.length > 8)) {
            (true, false) => {}
            (true, true) => bail!("it is ad-hoc and has a CMS signature"),
            (false, false) => bail!("it is neither ad-hoc nor has it a CMS signature"),
            (false, true) => notes.push("signed with a certificate, which was not checked".into()),
        }
        ensure!(adhoc || first.flags & macho::CS_LINKER_SIGNED.0 == 0, "it is linker-signed, but not ad-hoc");
        Ok(())
    }

    /// Every page has the hash in every CodeDirectory.
    fn check_pages(&self) -> Result<()> {
        let state = || (Vec::new(), Vec::new());
        bytes::sweep(self.command.data_offset, state, |(chunk, hash), range| {
            bytes::surrounded(self.window, &range, 0, chunk)?;
            let offset = range.start;
            for directory in &self.signature.directories {
                let (page_size, hash_size) = (1 << directory.page_shift, directory.algorithm.size());
                debug_assert!(bytes::CHUNK.is_multiple_of(page_size));
                let first = offset / page_size;
                let count = chunk.len().div_ceil(page_size as usize);
                let signed =
                    self.signature.window.read(directory.hashes + first * hash_size as u64, count * hash_size)?;
                let pages = chunk.chunks(page_size as usize).zip(signed.chunks_exact(hash_size));
                for (page, (content, signed)) in (first..).zip(pages) {
                    hash.clear();
                    directory.algorithm.append(content, hash);
                    if *hash != signed {
                        let start = page * page_size;
                        let end = start + content.len() as u64;
                        return Err(BadPage { page, start, end, hash: directory.algorithm.name() }.into());
                    }
                }
            }
            Ok(true)
        })?;
        Ok(())
    }

    fn describe(&self) -> Result<report::Signature> {
        let signature = &self.signature;
        // `Embedded::parse` found the first CodeDirectory.
        let best = signature.best().context("there is no CodeDirectory")?;
        let slack = (signature.length, signature.window.size() - signature.length);
        Ok(report::Signature {
            form: signature.form(self.window, self.image, self.command).as_ref().map(Form::to_string),
            identifier: best.identifier.clone(),
            team: best.team.clone(),
            cdhash: hex(&best.cdhash(&signature.window)?),
            flags: best.flags,
            adhoc: best.flags & macho::CS_ADHOC.0 != 0,
            linker_signed: best.flags & macho::CS_LINKER_SIGNED.0 != 0,
            offset: self.command.data_offset,
            size: self.command.data_size,
            length: signature.length,
            slack_is_zero: is_zero(signature.window.part(slack.0, slack.1)?)?,
            blobs: signature
                .blobs
                .iter()
                .map(|blob| report::Blob {
                    slot: blob.slot,
                    magic: blob.magic,
                    offset: blob.offset,
                    length: blob.length,
                })
                .collect(),
            code_directories: signature
                .directories
                .iter()
                .map(|directory| describe_directory(directory, &signature.window))
                .collect::<Result<_>>()?,
            notes: Vec::new(),
        })
    }
}

fn describe_directory(directory: &Directory, signature: &Window<'_>) -> Result<report::CodeDirectory> {
    Ok(report::CodeDirectory {
        slot: directory.blob.slot,
        version: directory.version,
        flags: directory.flags,
        hash: directory.algorithm.name(),
        cdhash: hex(&directory.cdhash(signature)?),
        page_size: 1u64.checked_shl(directory.page_shift.into()).unwrap_or_default(),
        pages: directory.pages,
        code_limit: directory.code_limit,
        platform: directory.platform,
        special_slots: (1..=directory.specials.len() as u32)
            .filter_map(|number| Some((number, hex(directory.special(number)?))))
            .collect(),
        exec_segment: directory.exec_segment.map(|(base, limit, flags)| report::ExecSegment { base, limit, flags }),
    })
}

/// Whether all bytes are zero.
fn is_zero(window: Window<'_>) -> Result<bool> {
    let mut zero = true;
    bytes::pieces(&window, |piece| {
        zero = piece.iter().all(|byte| *byte == 0);
        zero
    })?;
    Ok(zero)
}

/// What a special slot is for.
fn special_name(number: u32) -> &'static str {
    match number {
        1 => "Info.plist",
        2 => "requirements",
        3 => "resources",
        5 => "entitlements",
        7 => "entitlements in DER",
        8..=11 => "launch constraint",
        _ => "unknown",
    }
}

/// What the blob of a special slot starts with.
fn special_magic(number: u32) -> Option<u32> {
    match number {
        2 => Some(macho::CSMAGIC_REQUIREMENTS),
        5 => Some(macho::CSMAGIC_EMBEDDED_ENTITLEMENTS),
        7 => Some(macho::CSMAGIC_EMBEDDED_DER_ENTITLEMENTS),
        8..=11 => Some(macho::CSMAGIC_EMBEDDED_LAUNCH_CONSTRAINT),
        _ => None,
    }
}
