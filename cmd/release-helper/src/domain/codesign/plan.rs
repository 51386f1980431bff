//! What a signed or unsigned file will be, worked out before a byte of it is written.

use std::io;
use std::ops::Range;
use std::sync::Mutex;

use anyhow::{Context, Result, anyhow, ensure};
use object::macho;

use super::fat::{Container, Slice};
use super::form::{Form, PageSize, Signing, Style};
use super::identifier;
use super::image::{Image, info_plist};
use super::layout::{Layout, Subject};
use super::signature::Embedded;
use super::source::{Sink, Source, Window};

use crate::plumbing::bytes;
use crate::plumbing::error::Hint;

/// `codesign` aligns all slices of a fat file to 16 KiB, whatever their pages are.
const FAT_ALIGNMENT: u32 = 14;

/// A file to be: a fat header, if any, and images.
pub(super) struct Plan {
    header: Vec<u8>,
    /// Zeroes between the images: `(offset, size)`.
    gaps: Vec<(u64, u64)>,
    parts: Vec<Part>,
    /// The size of the whole file.
    pub(super) size: u64,
}

/// An image to be.
struct Part {
    /// Where it is in the input, and in the output.
    from: (u64, u64),
    to: u64,
    /// Its Mach-O header and load commands.
    header: Vec<u8>,
    /// How many of the input's bytes stay; zeroes follow up to `end`.
    kept: u64,
    /// Where its contents end and its signature starts.
    end: u64,
    signature: Option<Layout>,
}

impl Part {
    fn size(&self) -> u64 {
        self.end + self.signature.as_ref().map_or(0, |signature| signature.size)
    }

    fn unchanged(window: &Window<'_>, image: Image) -> Self {
        let from = (window.offset(), window.size());
        Self { from, to: 0, header: image.header, kept: image.size, end: image.size, signature: None }
    }
}

impl Plan {
    /// The file in `source` with an ad-hoc signature. `file_name` is what the default identifier is made of.
    pub(super) fn sign(source: &dyn Source, signing: &Signing, file_name: Option<&str>) -> Result<Self> {
        let images = images(source)?;
        let preserve = signing.style == Style::Preserve;
        if images.len() > 1 && signing.identifier.is_none() && !preserve {
            let text = "a file with several slices has no default identifier: codesign would take its host's slice";
            return Err(anyhow!(text)).hint("name one with --identifier");
        }
        let signed = images.iter().any(|(_, image)| image.signature.is_some());
        ensure!(signed || !preserve, "it has no signature that could be preserved");
        // One slice for an old system and all get both CodeDirectories (Security `machorep.cpp`, `prepareForSigning`).
        let agile = images.iter().any(|(_, image)| needs_sha1(image));
        let mut parts = Vec::new();
        for (window, image) in images {
            if preserve && image.signature.is_none() {
                parts.push(Part::unchanged(&window, image));
                continue;
            }
            let name = image.architecture();
            parts.push(sign_image(&window, image, signing, file_name, agile).context(name)?);
        }
        // A linker signs what lipo then joins; codesign lays a fat file out anew.
        let alignment = matches!(signing.style, Style::Codesign(_)).then_some(FAT_ALIGNMENT);
        Self::of_parts(source, parts, alignment)
    }

    /// The file in `source` without signatures. If it has none it stays as it is.
    pub(super) fn unsign(source: &dyn Source) -> Result<Self> {
        Self::without_signatures(source, false, is_signed(source)?)
    }

    /// The file in `source` without anything that signing changes: as [`Plan::unsign`] has it, and with a `__LINKEDIT`
    /// without size in memory. `aligned` also sets aside how the slices of a fat file are aligned.
    pub(super) fn bare(source: &dyn Source, aligned: bool) -> Result<Self> {
        Self::without_signatures(source, true, aligned)
    }

    fn without_signatures(source: &dyn Source, bare: bool, aligned: bool) -> Result<Self> {
        let images = images(source)?;
        let part = |(window, image): (Window<'_>, Image)| {
            let name = image.architecture();
            unsign_image(&window, image, bare).context(name)
        };
        let parts = images.into_iter().map(part).collect::<Result<_>>()?;
        Self::of_parts(source, parts, aligned.then_some(FAT_ALIGNMENT))
    }

    /// The file that a plan without signatures makes of `source`, to be read without being written.
    pub(super) fn result<'a>(&'a self, source: &'a dyn Source) -> Bare<'a> {
        Bare { plan: self, source }
    }

    /// Puts the parts of a file together, with slices at multiples of `2^alignment`, or aligned as they were.
    fn of_parts(source: &dyn Source, mut parts: Vec<Part>, alignment: Option<u32>) -> Result<Self> {
        let sizes: Vec<u64> = parts.iter().map(Part::size).collect();
        let Container::Fat(mut fat) = Container::parse(source)? else {
            let size = sizes.iter().sum();
            return Ok(Self { header: Vec::new(), gaps: Vec::new(), parts, size });
        };
        let size = fat.lay_out(&sizes, alignment)?;
        for (part, slice) in parts.iter_mut().zip(&fat.slices) {
            part.to = slice.offset;
        }
        Ok(Self { header: fat.header(), gaps: fat.gaps(size), parts, size })
    }

    /// Writes the file, hashing while it goes: each byte is read once.
    pub(super) fn write(&self, source: &dyn Source, sink: &dyn Sink) -> Result<()> {
        sink.write_at(0, &self.header)?;
        for (offset, size) in &self.gaps {
            // At most 32 KiB: see `MAX_ALIGNMENT`.
            sink.write_at(*offset, &vec![0; *size as usize])?;
        }
        for part in &self.parts {
            part.write(source, sink)?;
        }
        Ok(())
    }

    /// The file in memory.
    pub(super) fn to_vec(&self, source: &dyn Source) -> Result<Vec<u8>> {
        let size = usize::try_from(self.size).context("the file does not fit into memory")?;
        let content = Mutex::new(vec![0; size]);
        self.write(source, &content)?;
        Ok(content.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner))
    }
}

/// See [`Plan::result`].
pub(super) struct Bare<'a> {
    plan: &'a Plan,
    source: &'a dyn Source,
}

impl Source for Bare<'_> {
    fn size(&self) -> u64 {
        self.plan.size
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        // What no header and no image has is padding.
        buffer.fill(0);
        let end = offset + buffer.len() as u64;
        let mut overlap = |start: u64, size: u64, read: &dyn Fn(u64, &mut [u8]) -> io::Result<()>| {
            let (first, last) = (start.max(offset), (start + size).min(end));
            if first >= last {
                return Ok(());
            }
            read(first - start, &mut buffer[(first - offset) as usize..(last - offset) as usize])
        };
        overlap(0, self.plan.header.len() as u64, &|at, part| (&*self.plan.header).read_at(at, part))?;
        for part in &self.plan.parts {
            overlap(part.to, part.kept, &|at, bytes| self.source.read_at(part.from.0 + at, bytes))?;
            overlap(part.to, part.header.len() as u64, &|at, bytes| (&*part.header).read_at(at, bytes))?;
        }
        Ok(())
    }
}

impl Part {
    fn write(&self, source: &dyn Source, sink: &dyn Sink) -> Result<()> {
        let window = Window::new(source, self.from.0, self.from.1)?;
        let stays = sink.holds_input() && self.from.0 == self.to;
        let base = self.to + self.end;
        // First what is quickest to compare: whoever only looks for a difference is then done.
        if let Some(signature) = &self.signature {
            for (offset, bytes) in &signature.fixed {
                sink.write_at(base + offset, bytes)?;
            }
        }
        if sink.is_settled() {
            return Ok(());
        }
        bytes::sweep(self.end, Vec::new, |chunk, range| {
            let Range { start: offset, end } = range;
            chunk.resize((end - offset) as usize, 0);
            let kept = self.kept.clamp(offset, end);
            let (content, padding) = chunk.split_at_mut((kept - offset) as usize);
            if self.signature.is_some() || !stays {
                window.read_at(offset, content)?;
            }
            padding.fill(0);
            let header_end = (self.header.len() as u64).clamp(offset, end);
            if header_end > offset {
                chunk[..(header_end - offset) as usize]
                    .copy_from_slice(&self.header[offset as usize..header_end as usize]);
            }
            if stays {
                sink.write_at(self.to + offset, &chunk[..(header_end - offset) as usize])?;
                sink.write_at(self.to + kept, &chunk[(kept - offset) as usize..])?;
            } else {
                sink.write_at(self.to + offset, chunk)?;
            }
            if let Some(signature) = &self.signature {
                for table in &signature.tables {
                    let pages = chunk.chunks(signature.page_size as usize);
                    let mut hashes = Vec::with_capacity(pages.len() * table.algorithm.size());
                    pages.for_each(|page| table.algorithm.append(page, &mut hashes));
                    let first = offset / signature.page_size * table.algorithm.size() as u64;
                    sink.write_at(base + table.offset + first, &hashes)?;
                }
            }
            Ok(!sink.is_settled())
        })?;
        Ok(())
    }
}

/// Whether an image of a file has a signature.
pub(super) fn is_signed(source: &dyn Source) -> Result<bool> {
    Ok(images(source)?.iter().any(|(_, image)| image.signature.is_some()))
}

/// All images of a file, in the order of its fat header.
fn images(source: &dyn Source) -> Result<Vec<(Window<'_>, Image)>> {
    let Container::Fat(fat) = Container::parse(source)? else {
        let window = Window::new(source, 0, source.size())?;
        return Ok(vec![(window, Image::parse(&window)?)]);
    };
    let image = |slice: &Slice| {
        let window = Window::new(source, slice.offset, slice.size)?;
        let image = Image::parse(&window).and_then(|image| slice.matches(&image).map(|()| image));
        Ok((window, image.with_context(|| slice.architecture())?))
    };
    fat.slices.iter().map(image).collect()
}

fn sign_image(
    window: &Window<'_>,
    mut image: Image,
    signing: &Signing,
    file_name: Option<&str>,
    agile: bool,
) -> Result<Part> {
    ensure!(
        [
            macho::MH_EXECUTE,
            macho::MH_DYLIB,
            macho::MH_BUNDLE,
            macho::MH_DYLINKER,
            macho::MH_KEXT_BUNDLE,
            macho::MH_PRELOAD
        ]
        .contains(&image.file_type),
        "only programs, libraries and bundles can be signed, not Mach-O files of type {}",
        image.file_type.0
    );
    let existing = image.checked_signature()?;
    let start = existing.map_or(image.size.checked_next_multiple_of(16), |signature| Some(signature.data_offset));
    let start = start.context("the image is too large")?;
    let linkedit = image.linkedit()?;
    let linkedit_start = linkedit.file_offset;

    let info_plist = info_plist(window, &image)?;
    let header_end = image.header.len() as u64;
    ensure!(
        image.info_plist.as_ref().is_none_or(|range| header_end <= range.start && range.end <= start),
        "section __info_plist overlaps the load commands or the signature"
    );
    let existing = Embedded::recognize(window, &image);
    let form = signing.style.form_for(window, &image, existing.as_ref().map(|existing| existing.form))?;
    let existing = existing.filter(|_| signing.style == Style::Preserve);
    let identifier = match (&signing.identifier, &existing) {
        (Some(identifier), _) => identifier.clone(),
        (None, Some(existing)) => existing.identifier.clone(),
        (None, None) => identifier::default(&image, info_plist.as_deref(), file_name)?,
    };
    let subject = Subject {
        identifier: &identifier,
        code_limit: start,
        info_plist: info_plist.as_deref(),
        agile: existing.map_or(agile, |existing| existing.agile),
    };
    let layout = Layout::new(form, &image, &subject)?;

    let end = start.checked_add(layout.size).filter(|end| *end <= u64::from(u32::MAX));
    let end = end.context("with its signature the image would be larger than 4 GiB")?;
    let file_size = end - linkedit_start;
    let memory_size = match form {
        Form::Codesign { .. } => file_size.next_multiple_of(PageSize::Large.bytes()),
        Form::Linker(linker) => linker.linkedit_memory_size(file_size, window, &image)?,
    };
    image.resize_linkedit(file_size, memory_size)?;
    image.set_signature_command(start as u32, layout.size as u32)?;
    Ok(Part {
        from: (window.offset(), window.size()),
        to: 0,
        header: image.header,
        kept: start.min(image.size),
        end: start,
        signature: Some(layout),
    })
}

fn unsign_image(window: &Window<'_>, mut image: Image, bare: bool) -> Result<Part> {
    let Some(signature) = image.checked_signature()? else {
        if let Some(file_size) = image.linkedit().ok().map(|linkedit| linkedit.file_size).filter(|_| bare) {
            image.resize_linkedit(file_size, 0)?;
        }
        return Ok(Part::unchanged(window, image));
    };
    // The padding between the string table and the signature belongs to the signature (cctools `strip.c`).
    let padding = |end: &u64| (0..=12).contains(&signature.data_offset.wrapping_sub(*end));
    let end = image.strings.as_ref().map(|strings| strings.end).filter(padding).unwrap_or(signature.data_offset);
    let linkedit = image.linkedit()?;
    let file_size = end.checked_sub(linkedit.file_offset).context("the string table is outside of __LINKEDIT")?;
    let memory_size = if bare { 0 } else { linkedit.memory_size };
    image.resize_linkedit(file_size, memory_size)?;
    image.remove_signature_command();
    Ok(Part { kept: end, end, ..Part::unchanged(window, image) })
}

/// Whether the image runs on systems that know no hashes but SHA-1 (Security `machorep.cpp`, `prepareForSigning`). One
/// that names no platform is taken for new.
pub(super) fn needs_sha1(image: &Image) -> bool {
    match image.target {
        Some((macho::PLATFORM_MACOS, minimum)) => minimum < 0x000a_0b04,
        Some((macho::PLATFORM_IOS | macho::PLATFORM_TVOS, minimum)) => minimum < 0x000b_0000,
        Some((macho::PLATFORM_WATCHOS, minimum)) => minimum < 0x000c_0000,
        _ => false,
    }
}
