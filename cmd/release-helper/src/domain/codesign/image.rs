//! One Mach-O image: the facts that signing needs from its load commands, and the edits it makes to them.
//! Formats: `mach-o/loader.h` of the macOS SDK.

use std::ops::Range;

use anyhow::{Context, Result, anyhow, bail, ensure};
use object::Endianness;
use object::endian::{Endian, U32};
use object::macho::{self, CpuSubtype, CpuType, FileType, LoadCommandType, Platform, Tool};
use object::read::macho::{LoadCommandVariant, MachHeader, Section};

use super::form::PageSize;
use super::source::{Source, Window};
use crate::plumbing::error::Hint;

/// A `__info_plist` larger than this is no property list of a program; it is held in memory.
const MAX_INFO_PLIST: u64 = 1 << 20;
/// More load commands than any real file has; what is below is held in memory.
const MAX_COMMANDS: u32 = 1 << 20;

/// The size of `struct linkedit_data_command`, which LC_CODE_SIGNATURE is.
const SIGNATURE_COMMAND_SIZE: u32 = 16;

/// LLVM's linker in LC_BUILD_VERSION; newer than the `object` crate's list.
pub(super) const TOOL_LLD: Tool = Tool(4);

/// A Mach-O image. All offsets are relative to its own start.
pub(super) struct Image {
    /// The Mach-O header and the load commands, and nothing else.
    pub(super) header: Vec<u8>,
    /// The number of bytes of the whole image.
    pub(super) size: u64,
    pub(super) cpu_type: CpuType,
    pub(super) cpu_subtype: CpuSubtype,
    pub(super) file_type: FileType,
    pub(super) segments: Vec<Segment>,
    /// LC_CODE_SIGNATURE.
    pub(super) signature: Option<SignatureCommand>,
    /// Where the contents of the first section start: load commands cannot grow beyond.
    first_section: u64,
    /// The contents of `__TEXT,__info_plist`.
    pub(super) info_plist: Option<Range<u64>>,
    /// The size of `__TEXT,__text`.
    pub(super) text_section_size: u64,
    /// Whether there is a section `__gopclntab`, which only Go writes.
    pub(super) built_by_go: bool,
    /// The string table.
    pub(super) strings: Option<Range<u64>>,
    pub(super) uuid: Option<[u8; 16]>,
    /// The platform and its minimum version (`0x000a0b04` is 10.11.4), by the load command that Apple goes by.
    pub(super) target: Option<(Platform, u32)>,
    /// The linker and its version (`0x041d0000` is 1053.0.0).
    pub(super) linker: Option<(Tool, u32)>,
    endian: Endianness,
    is_64: bool,
}

/// A segment and where its command is within [`Image::header`].
pub(super) struct Segment {
    command: usize,
    name: [u8; 16],
    pub(super) address: u64,
    pub(super) memory_size: u64,
    pub(super) file_offset: u64,
    pub(super) file_size: u64,
}

impl Segment {
    pub(super) fn file_end(&self) -> u64 {
        self.file_offset + self.file_size
    }

    fn is(&self, name: &str) -> bool {
        self.name.split(|byte| *byte == 0).next() == Some(name.as_bytes())
    }
}

/// LC_CODE_SIGNATURE and where it is within [`Image::header`].
#[derive(Clone, Copy)]
pub(super) struct SignatureCommand {
    command: usize,
    pub(super) data_offset: u64,
    pub(super) data_size: u64,
}

impl SignatureCommand {
    pub(super) fn data_end(&self) -> u64 {
        self.data_offset + self.data_size
    }
}

/// What a Mach-O header says about the load commands behind it.
struct Shape {
    endian: Endianness,
    is_64: bool,
    header_size: u64,
    commands_size: u32,
}

impl Shape {
    fn of(start: &[u8; 28]) -> Result<Self> {
        let (endian, is_64) = match start[..4] {
            [0xfe, 0xed, 0xfa, 0xce] => (Endianness::Big, false),
            [0xfe, 0xed, 0xfa, 0xcf] => (Endianness::Big, true),
            [0xce, 0xfa, 0xed, 0xfe] => (Endianness::Little, false),
            [0xcf, 0xfa, 0xed, 0xfe] => (Endianness::Little, true),
            _ => bail!("not a Mach-O file"),
        };
        let commands_size = endian.read_u32([start[20], start[21], start[22], start[23]]);
        Ok(Self { endian, is_64, header_size: if is_64 { 32 } else { 28 }, commands_size })
    }
}

impl Image {
    /// Reads the load commands of the image in `window`. An error says what contradicts the format.
    pub(super) fn parse(window: &Window<'_>) -> Result<Self> {
        let mut start = [0; 28];
        ensure!(window.size() >= 28, "not a Mach-O file: {} bytes are too few", window.size());
        window.read_at(0, &mut start)?;
        let shape = Shape::of(&start)?;
        ensure!(
            shape.commands_size <= MAX_COMMANDS,
            "the load commands claim {} bytes, more than the {MAX_COMMANDS} supported",
            shape.commands_size
        );
        let header = window
            .read(0, shape.header_size as usize + shape.commands_size as usize)
            .context("the load commands are cut off")?;
        if shape.is_64 {
            Self::of_header::<macho::MachHeader64<Endianness>>(header, &shape, window.size())
        } else {
            Self::of_header::<macho::MachHeader32<Endianness>>(header, &shape, window.size())
        }
    }

    fn of_header<H: MachHeader<Endian = Endianness>>(bytes: Vec<u8>, shape: &Shape, size: u64) -> Result<Self> {
        let endian = shape.endian;
        let data = bytes.as_slice();
        let header = H::parse(data, 0)?;
        let mut image = Self {
            size,
            cpu_type: header.cputype(endian),
            cpu_subtype: header.cpusubtype(endian),
            file_type: header.filetype(endian),
            segments: Vec::new(),
            signature: None,
            first_section: u64::MAX,
            info_plist: None,
            text_section_size: 0,
            built_by_go: false,
            strings: None,
            uuid: None,
            target: None,
            linker: None,
            endian,
            is_64: shape.is_64,
            header: Vec::new(),
        };
        let mut commands = header.load_commands(endian, data, 0)?;
        let mut end = shape.header_size;
        let mut minimum_target = None;
        while let Some(command) = commands.next()? {
            let place = command.offset() as usize;
            end = command.offset() + u64::from(command.cmdsize());
            match command.variant().with_context(|| format!("load command at {place:#x}"))? {
                LoadCommandVariant::Segment32(segment, sections) => {
                    image.add_segment(place, segment, sections)?;
                }
                LoadCommandVariant::Segment64(segment, sections) => {
                    image.add_segment(place, segment, sections)?;
                }
                LoadCommandVariant::LinkeditData(data) if command.cmd() == macho::LC_CODE_SIGNATURE => {
                    ensure!(image.signature.is_none(), "there is more than one LC_CODE_SIGNATURE");
                    ensure!(
                        command.cmdsize() == SIGNATURE_COMMAND_SIZE,
                        "LC_CODE_SIGNATURE has {} bytes instead of 16",
                        command.cmdsize()
                    );
                    image.signature = Some(SignatureCommand {
                        command: place,
                        data_offset: data.dataoff.get(endian).into(),
                        data_size: data.datasize.get(endian).into(),
                    });
                }
                LoadCommandVariant::Symtab(table) => {
                    let start = u64::from(table.stroff.get(endian));
                    image.strings = Some(start..start + u64::from(table.strsize.get(endian)));
                }
                LoadCommandVariant::Uuid(uuid) => image.uuid = Some(uuid.uuid),
                LoadCommandVariant::VersionMin(minimum) => {
                    // The first counts, and only without any LC_BUILD_VERSION (Security `macho++.cpp`, `version`).
                    let target = (platform_of(command.cmd()), minimum.version.get(endian).0);
                    minimum_target.get_or_insert(target);
                }
                LoadCommandVariant::BuildVersion(version, tools) => {
                    let tools = version.tools(endian, tools)?;
                    if image.target.is_some() {
                        continue;
                    }
                    image.target = Some((version.platform.get(endian), version.minos.get(endian).0));
                    let tools = tools.iter().map(|tool| (tool.tool.get(endian), tool.version.get(endian).0));
                    image.linker = tools.into_iter().find(|(tool, _)| [macho::TOOL_LD, TOOL_LLD].contains(tool));
                }
                _ => {}
            }
        }
        ensure!(end == bytes.len() as u64, "the load commands end at {end:#x}, but the header says {:#x}", bytes.len());
        image.target = image.target.or(minimum_target);
        image.header = bytes;
        Ok(image)
    }

    fn add_segment<S: object::read::macho::Segment<Endian = Endianness>>(
        &mut self,
        command: usize,
        segment: &S,
        sections: &[u8],
    ) -> Result<()> {
        let endian = self.endian;
        let name = String::from_utf8_lossy(segment.name()).into_owned();
        let added = Segment {
            command,
            name: *segment.segname(),
            address: segment.vmaddr(endian).into(),
            memory_size: segment.vmsize(endian).into(),
            file_offset: segment.fileoff(endian).into(),
            file_size: segment.filesize(endian).into(),
        };
        let file_end = added.file_offset.checked_add(added.file_size);
        ensure!(
            file_end.is_some_and(|end| end <= self.size),
            "segment {name} reaches beyond the end: {:#x} bytes at {:#x}, the image has {:#x}",
            added.file_size,
            added.file_offset,
            self.size
        );
        ensure!(
            added.address.checked_add(added.memory_size).is_some(),
            "segment {name} reaches beyond the address space"
        );
        if let Some(other) = self.segments.iter().find(|other| {
            other.file_size > 0
                && added.file_size > 0
                && other.file_offset < added.file_end()
                && added.file_offset < other.file_end()
        }) {
            bail!(
                "segments {} and {name} overlap in the file",
                String::from_utf8_lossy(&other.name).trim_end_matches('\0')
            );
        }
        for section in segment.sections(endian, sections)? {
            let offset = u64::from(section.offset(endian));
            if let Some(size) = section.file_size(endian).filter(|size| *size > 0 && offset > 0) {
                self.first_section = self.first_section.min(offset);
                self.add_section(section.name(), offset, size, added.is("__TEXT"))?;
            }
        }
        self.segments.push(added);
        Ok(())
    }

    fn add_section(&mut self, name: &[u8], offset: u64, size: u64, in_text: bool) -> Result<()> {
        match name {
            b"__text" if in_text => self.text_section_size = size,
            b"__info_plist" if in_text => {
                let end = offset.checked_add(size).filter(|end| *end <= self.size);
                self.info_plist = Some(offset..end.context("section __info_plist reaches beyond the end")?);
            }
            b"__gopclntab" => self.built_by_go = true,
            _ => {}
        }
        Ok(())
    }

    fn segment(&self, name: &str) -> Option<&Segment> {
        self.segments.iter().find(|segment| segment.is(name))
    }

    /// The segment with the program's code.
    pub(super) fn text(&self) -> Option<&Segment> {
        self.segment("__TEXT")
    }

    /// The segment that holds the signature: the last one of the file.
    pub(super) fn linkedit(&self) -> Result<&Segment> {
        let linkedit = self.segment("__LINKEDIT").context("there is no __LINKEDIT segment")?;
        let last = self.segments.iter().map(|segment| segment.file_offset).max();
        ensure!(last == Some(linkedit.file_offset), "__LINKEDIT is not the last segment");
        Ok(linkedit)
    }

    /// Where the existing signature is, after checking that it is inside the image, inside `__LINKEDIT`, behind
    /// everything else, and the last thing in the image.
    pub(super) fn checked_signature(&self) -> Result<Option<SignatureCommand>> {
        let Some(signature) = self.signature else { return Ok(None) };
        ensure!(
            signature.data_end() <= self.size,
            "the signature reaches beyond the end: {:#x} bytes at {:#x}, the image has {:#x}",
            signature.data_size,
            signature.data_offset,
            self.size
        );
        ensure!(
            signature.data_offset >= self.header.len() as u64 && signature.data_offset >= self.linkedit()?.file_offset,
            "the signature at {:#x} is outside of __LINKEDIT",
            signature.data_offset
        );
        // Apple's tools tolerate up to 7 bytes of padding there (cctools `checkout.c`).
        ensure!(
            self.size - signature.data_end() < 8,
            "there are {} bytes behind the signature",
            self.size - signature.data_end()
        );
        Ok(Some(signature))
    }

    /// Whether the processor's pages have 16 KiB: all of Apple's 64-bit ARM.
    pub(super) fn has_large_pages(&self) -> bool {
        [macho::CPU_TYPE_ARM64, macho::CPU_TYPE_ARM64_32].contains(&self.cpu_type)
    }

    /// The size of the pages that `codesign` hashes. On tvOS they are small on all processors, for one device has such
    /// (Security `machorep.cpp`, `pageSize`).
    pub(super) fn page_size(&self) -> PageSize {
        let is_tvos = self.target.is_some_and(|(platform, _)| platform == macho::PLATFORM_TVOS);
        if self.has_large_pages() && !is_tvos { PageSize::Large } else { PageSize::Small }
    }

    /// Whether LC_BUILD_VERSION or LC_VERSION_MIN_… names a platform that Apple knows of.
    pub(super) fn has_platform(&self) -> bool {
        self.target.is_some_and(|(platform, _)| platform != macho::PLATFORM_UNKNOWN)
    }

    /// Whether addresses have 64 bits.
    pub(super) fn is_64(&self) -> bool {
        self.is_64
    }

    /// The usual name of the processor.
    pub(super) fn architecture(&self) -> String {
        architecture(self.cpu_type, self.cpu_subtype)
    }

    fn put_u32(&mut self, place: usize, value: u32) {
        let bytes = U32::<Endianness>::new(self.endian, value);
        self.header[place..place + 4].copy_from_slice(object::pod::bytes_of(&bytes));
    }

    fn put_word(&mut self, place: usize, value: u64) {
        if self.is_64 {
            let value = if self.endian == Endianness::Little { value.to_le_bytes() } else { value.to_be_bytes() };
            self.header[place..place + 8].copy_from_slice(&value);
        } else {
            // Files of 4 GiB and more were refused before.
            self.put_u32(place, value as u32);
        }
    }

    /// Gives `__LINKEDIT` another size in the file and in memory.
    pub(super) fn resize_linkedit(&mut self, file_size: u64, memory_size: u64) -> Result<()> {
        let linkedit = self.linkedit()?;
        let (place, address) = (linkedit.command, linkedit.address);
        let limit = if self.is_64 { u64::MAX } else { u64::from(u32::MAX) };
        let above = self.segments.iter().map(|segment| segment.address).filter(|other| *other > address).min();
        ensure!(
            address.checked_add(memory_size).is_some_and(|end| end <= above.unwrap_or(limit)),
            "there is no room in the address space for a __LINKEDIT of {memory_size:#x} bytes"
        );
        // struct segment_command(_64): cmd, cmdsize, segname[16], vmaddr, vmsize, fileoff, filesize.
        let word = if self.is_64 { 8 } else { 4 };
        self.put_word(place + 24 + word, memory_size);
        self.put_word(place + 24 + 3 * word, file_size);
        Ok(())
    }

    /// Puts LC_CODE_SIGNATURE where it was, or behind the other load commands.
    pub(super) fn set_signature_command(&mut self, data_offset: u32, data_size: u32) -> Result<()> {
        let place = match self.signature {
            Some(existing) => existing.command,
            None => {
                let place = self.header.len();
                let end = place as u64 + u64::from(SIGNATURE_COMMAND_SIZE);
                let segments = self.segments.iter().filter(|segment| segment.file_size > 0);
                let room = segments.map(|segment| segment.file_offset).filter(|offset| *offset > 0).min();
                let room = self.first_section.min(room.unwrap_or(u64::MAX));
                if end > room {
                    let text = format!(
                        "no room for LC_CODE_SIGNATURE: the load commands end at {place:#x}, the first section starts \
                         at {room:#x}"
                    );
                    return Err(anyhow!(text)).hint("link the file again with -headerpad 0x20");
                }
                self.header.resize(end as usize, 0);
                self.change_commands(1);
                place
            }
        };
        self.put_u32(place, macho::LC_CODE_SIGNATURE.0);
        self.put_u32(place + 4, SIGNATURE_COMMAND_SIZE);
        self.put_u32(place + 8, data_offset);
        self.put_u32(place + 12, data_size);
        Ok(())
    }

    /// Removes LC_CODE_SIGNATURE; the commands behind it move up and zeroes follow, so the size stays.
    pub(super) fn remove_signature_command(&mut self) {
        if let Some(existing) = self.signature.take() {
            let after = existing.command + SIGNATURE_COMMAND_SIZE as usize;
            self.header.copy_within(after.., existing.command);
            let kept = self.header.len() - SIGNATURE_COMMAND_SIZE as usize;
            self.header[kept..].fill(0);
            self.change_commands(-1);
        }
    }

    /// Corrects `ncmds` and `sizeofcmds` for `change` LC_CODE_SIGNATUREs more.
    fn change_commands(&mut self, change: i32) {
        for (place, unit) in [(16, 1), (20, SIGNATURE_COMMAND_SIZE as i32)] {
            let bytes = [0, 1, 2, 3].map(|byte| self.header[place + byte]);
            let value = self.endian.read_u32(bytes);
            self.put_u32(place, value.wrapping_add_signed(change * unit));
        }
    }
}

/// The platform that a version command of old stands for.
fn platform_of(command: LoadCommandType) -> Platform {
    match command {
        macho::LC_VERSION_MIN_MACOSX => macho::PLATFORM_MACOS,
        macho::LC_VERSION_MIN_IPHONEOS => macho::PLATFORM_IOS,
        macho::LC_VERSION_MIN_TVOS => macho::PLATFORM_TVOS,
        _ => macho::PLATFORM_WATCHOS,
    }
}

/// The name that `lipo` and `file` use for a processor.
pub(super) fn architecture(cpu_type: CpuType, cpu_subtype: CpuSubtype) -> String {
    // The high byte holds capabilities, not the model.
    match (cpu_type, cpu_subtype.0 & 0x00ff_ffff) {
        (macho::CPU_TYPE_ARM64, 2) => "arm64e".into(),
        (macho::CPU_TYPE_ARM64, _) => "arm64".into(),
        (macho::CPU_TYPE_ARM64_32, _) => "arm64_32".into(),
        (macho::CPU_TYPE_X86_64, 8) => "x86_64h".into(),
        (macho::CPU_TYPE_X86_64, _) => "x86_64".into(),
        (macho::CPU_TYPE_X86, _) => "i386".into(),
        (macho::CPU_TYPE_ARM, 9) => "armv7".into(),
        (macho::CPU_TYPE_ARM, 11) => "armv7s".into(),
        (macho::CPU_TYPE_ARM, 12) => "armv7k".into(),
        (macho::CPU_TYPE_ARM, _) => "arm".into(),
        (macho::CPU_TYPE_POWERPC, _) => "ppc".into(),
        (macho::CPU_TYPE_POWERPC64, _) => "ppc64".into(),
        (other, subtype) => format!("cpu {:#x}/{subtype:#x}", other.0),
    }
}

/// The property list inside of the program.
pub(super) fn info_plist(window: &Window<'_>, image: &Image) -> Result<Option<Vec<u8>>> {
    let Some(range) = &image.info_plist else { return Ok(None) };
    let size = range.end - range.start;
    ensure!(size <= MAX_INFO_PLIST, "section __info_plist has {size} bytes, more than the {MAX_INFO_PLIST} supported");
    Ok(Some(window.read(range.start, size as usize)?))
}
