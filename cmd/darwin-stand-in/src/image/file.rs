//! A Mach-O file, and what the kernel and dyld demand of it before they map it (xnu `mach_loader.c`, dyld
//! `MachOFile.cpp`).

use std::ops::Range;

use object::LittleEndian as Little;
use object::macho::{self, DyldInfoCommand, MachHeader64, Section64, SegmentCommand64};
use object::read::macho::{FatArch, LoadCommandVariant as Command, MachHeader as _, MachOFatFile32};
use object::slice_from_bytes;

use crate::ending::unknown;

#[cfg(target_arch = "x86_64")]
const MACHINE: macho::CpuType = macho::CPU_TYPE_X86_64;
#[cfg(target_arch = "aarch64")]
const MACHINE: macho::CpuType = macho::CPU_TYPE_ARM64;
/// Pages of this machine's macOS.
pub(crate) const PAGE: u64 = if cfg!(target_arch = "aarch64") { 0x4000 } else { 0x1000 };
/// What this calls itself: macOS 11.0, as the `X.Y.Z` of load commands.
const VERSION: u32 = 11 << 16;
/// The one library of the system that is here.
pub(crate) const SYSTEM: &str = "/usr/lib/libSystem.B.dylib";

const READ: u32 = 1;
const WRITE: u32 = 2;
const EXECUTE: u32 = 4;

/// MH_NOUNDEFS, MH_DYLDLINK, MH_TWOLEVEL, MH_WEAK_DEFINES, MH_BINDS_TO_WEAK, MH_NO_REEXPORTED_DYLIBS, MH_PIE.
const KNOWN_FLAGS: u32 = 0x1 | 0x4 | 0x80 | 0x8000 | 0x1_0000 | 0x10_0000 | 0x20_0000;
const SG_READ_ONLY: u32 = 0x10;
const S_MOD_INIT_FUNC_POINTERS: u32 = 0x9;
const S_MOD_TERM_FUNC_POINTERS: u32 = 0xa;
/// Regular, zero-filled, literals, pointers to symbols, stubs: nothing that dyld has to do something about.
const PLAIN_SECTIONS: [u32; 9] = [0x0, 0x1, 0x2, 0x3, 0x4, 0x6, 0x7, 0x8, 0xe];

/// What dyld maps of a file.
pub(crate) struct Segment {
    name: String,
    pub(crate) address: u64,
    pub(crate) size: u64,
    pub(crate) bytes: Range<usize>,
    /// As `mmap` takes it; the bits are those of Linux.
    pub(crate) protection: u32,
}

/// A file that may be mapped.
pub(crate) struct File {
    pub(crate) bytes: Vec<u8>,
    pub(crate) kind: macho::FileType,
    pub(crate) segments: Vec<Segment>,
    /// What it was linked against; a bind's ordinal counts from 1 here.
    pub(crate) dylibs: Vec<String>,
    /// The name under which others are linked against it.
    pub(crate) install_name: Option<String>,
    pub(crate) rpaths: Vec<String>,
    /// Where `LC_MAIN` begins, from the start of the file.
    pub(crate) entry: Option<u64>,
    pub(crate) info: DyldInfoCommand<Little>,
    /// Addresses and sizes of vectors of functions.
    pub(crate) constructors: Vec<(u64, u64)>,
    pub(crate) destructors: Vec<(u64, u64)>,
    pub(crate) signature: Option<Range<usize>>,
    uuid: bool,
    version: bool,
    dylinker: bool,
}

impl File {
    /// Takes a file apart. `Err` says what is wrong in dyld's words or like them.
    pub(crate) fn parse(whole: &[u8]) -> Result<Self, String> {
        let bytes = slice(whole)?.to_vec();
        let data = bytes.as_slice();
        if data.len() < 32 {
            return Err("file too small".to_owned());
        }
        let header = MachHeader64::<Little>::parse(data, 0).map_err(|_| "not a mach-o file".to_owned())?;
        if header.is_big_endian() || !header.is_type_64() {
            return Err("not a mach-o file".to_owned());
        }
        let machine = header.cputype(Little);
        if machine != MACHINE {
            return Err(format!(
                "mach-o file, but is an incompatible architecture (have {machine:?}, need {MACHINE:?})"
            ));
        }
        let kind = header.filetype(Little);
        if ![macho::MH_EXECUTE, macho::MH_DYLIB, macho::MH_BUNDLE].contains(&kind) {
            return Err(format!("mach-o file, but is of unloadable type {kind:?}"));
        }
        let flags = header.flags(Little).0;
        if flags & !KNOWN_FLAGS != 0 {
            unknown(format_args!("flags {flags:#x} of a Mach-O header"));
        }
        let mut file = Self {
            kind,
            segments: Vec::new(),
            dylibs: Vec::new(),
            install_name: None,
            rpaths: Vec::new(),
            entry: None,
            info: *object::pod::from_bytes(&[0; 48]).expect("a command of zeros").0,
            constructors: Vec::new(),
            destructors: Vec::new(),
            signature: None,
            uuid: false,
            version: false,
            dylinker: false,
            bytes: Vec::new(),
        };
        let mut commands = header.load_commands(Little, data, 0).map_err(|error| error.to_string())?;
        while let Some(command) = commands.next().map_err(|error| error.to_string())? {
            if command.cmdsize() % 8 != 0 {
                return Err(format!("load command of {} bytes, not a multiple of 8", command.cmdsize()));
            }
            let text = |at: macho::LcStr<Little>| {
                let text = command.string(Little, at).map_err(|error| error.to_string())?;
                String::from_utf8(text.to_vec()).map_err(|error| error.to_string())
            };
            match command.variant().map_err(|error| error.to_string())? {
                Command::Segment64(segment, sections) => file.segment(segment, sections, data.len())?,
                Command::Dylib(dylib) if command.cmd() == macho::LC_LOAD_DYLIB => {
                    file.dylibs.push(text(dylib.dylib.name)?);
                }
                Command::IdDylib(dylib) => file.install_name = Some(text(dylib.dylib.name)?),
                Command::Rpath(rpath) => file.rpaths.push(text(rpath.path)?),
                Command::LoadDylinker(dylinker) => {
                    file.dylinker = text(dylinker.name)? == "/usr/lib/dyld";
                    if !file.dylinker {
                        return Err("another dynamic linker than /usr/lib/dyld".to_owned());
                    }
                }
                Command::EntryPoint(entry) => {
                    if entry.stacksize.get(Little) != 0 {
                        unknown(format_args!("a stack size in LC_MAIN"));
                    }
                    file.entry = Some(entry.entryoff.get(Little));
                }
                Command::DyldInfo(info) if command.cmd() == macho::LC_DYLD_INFO_ONLY => file.info = *info,
                Command::BuildVersion(version, _) => {
                    if version.platform.get(Little) != macho::PLATFORM_MACOS {
                        return Err("built for another platform than macOS".to_owned());
                    }
                    let minimum = version.minos.get(Little).0;
                    if minimum > VERSION {
                        return Err(format!("built for macOS {} which is newer than running OS", minimum >> 16));
                    }
                    file.version = true;
                }
                Command::Uuid(_) => file.uuid = true,
                Command::LinkeditData(part) if command.cmd() == macho::LC_CODE_SIGNATURE => {
                    let start = part.dataoff.get(Little) as usize;
                    let range = start..start + part.datasize.get(Little) as usize;
                    if range.end > data.len() {
                        return Err("code signature extends beyond end of file".to_owned());
                    }
                    file.signature = Some(range);
                }
                // For debuggers and others who look at a file, not for those who load it.
                Command::Symtab(_) | Command::Dysymtab(_) | Command::SourceVersion(_) => {}
                Command::LinkeditData(_)
                    if [macho::LC_FUNCTION_STARTS, macho::LC_DATA_IN_CODE].contains(&command.cmd()) => {}
                _ => unknown(format_args!("load command {:?}", command.cmd())),
            }
        }
        file.bytes = bytes;
        file.check()?;
        Ok(file)
    }

    fn segment(&mut self, segment: &SegmentCommand64<Little>, sections: &[u8], length: usize) -> Result<(), String> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end_matches('\0').to_owned();
        let name = text(&segment.segname);
        let (address, size) = (segment.vmaddr.get(Little), segment.vmsize.get(Little));
        let (offset, file_size) = (segment.fileoff.get(Little), segment.filesize.get(Little));
        let (initial, maximum) = (segment.initprot.get(Little).0, segment.maxprot.get(Little).0);
        let flags = segment.flags.get(Little).0;
        if flags & !SG_READ_ONLY != 0 || (initial | maximum) & !(READ | WRITE | EXECUTE) != 0 {
            unknown(format_args!("segment {name} with flags {flags:#x}, protection {initial:#x} of {maximum:#x}"));
        }
        if !address.is_multiple_of(PAGE) || !offset.is_multiple_of(PAGE) {
            return Err(format!(
                "segment {name} at {address:#x} is not congruent with its place {offset:#x} in the file"
            ));
        }
        if offset.checked_add(file_size).is_none_or(|end| end > length as u64) {
            return Err(format!("segment {name} load command content extends beyond end of file"));
        }
        if file_size > size || address.checked_add(size).is_none() || size > 1 << 32 {
            return Err(format!("segment {name} has more content than memory, or too much"));
        }
        if initial & !maximum != 0 || initial & WRITE != 0 && initial & EXECUTE != 0 {
            return Err(format!("segment {name} may be written and executed, or more than it may at most"));
        }
        let count = segment.nsects.get(Little) as usize;
        let (sections, _) = slice_from_bytes::<Section64<Little>>(sections, count)
            .map_err(|()| format!("segment {name} says it has {count} sections"))?;
        for section in sections {
            let place = (section.addr.get(Little), section.size.get(Little));
            let end = place.0.checked_add(place.1);
            if place.0 < address || end.is_none_or(|end| end > address + size) {
                return Err(format!("section {} lies outside of its segment", text(&section.sectname)));
            }
            match section.flags.get(Little).0 & 0xff {
                S_MOD_INIT_FUNC_POINTERS => self.constructors.push(place),
                S_MOD_TERM_FUNC_POINTERS => self.destructors.push(place),
                plain if PLAIN_SECTIONS.contains(&plain) => {}
                other => unknown(format_args!("section {} of type {other:#x}", text(&section.sectname))),
            }
        }
        let bytes = offset as usize..(offset + file_size) as usize;
        // Written to while binding, and never again.
        let protection = if flags & SG_READ_ONLY == 0 { initial } else { initial & !WRITE };
        self.segments.push(Segment { name, address, size, bytes, protection });
        Ok(())
    }

    /// What holds for a file as a whole.
    fn check(&mut self) -> Result<(), String> {
        let zero = (self.kind == macho::MH_EXECUTE).then(|| self.segments.remove(0));
        if zero.is_some_and(|zero| zero.name != "__PAGEZERO" || zero.protection != 0 || !zero.bytes.is_empty()) {
            return Err("no __PAGEZERO comes first".to_owned());
        }
        let Some(text) = self.segments.first() else { return Err("no segments".to_owned()) };
        if text.name != "__TEXT" || text.bytes.start != 0 || text.protection != READ | EXECUTE {
            return Err("__TEXT does not come first with the header, readable and executable".to_owned());
        }
        for pair in self.segments.windows(2) {
            if pair[1].address < pair[0].address + pair[0].size || pair[1].bytes.start < pair[0].bytes.end {
                return Err(format!("segment {} overlaps {}", pair[1].name, pair[0].name));
            }
        }
        let last = self.segments.last().map(|last| (last.name.as_str(), last.bytes.end));
        if last != Some(("__LINKEDIT", self.bytes.len())) {
            return Err("__LINKEDIT does not end the file".to_owned());
        }
        if self.signature.as_ref().is_some_and(|signature| signature.end != self.bytes.len()) {
            return Err("the code signature does not end the file".to_owned());
        }
        if self.kind == macho::MH_DYLIB && self.install_name.is_none() {
            return Err("MH_DYLIB is missing LC_ID_DYLIB".to_owned());
        }
        if !self.version {
            return Err("no LC_BUILD_VERSION".to_owned());
        }
        if self.info.weak_bind_size.get(Little) != 0 {
            unknown(format_args!("weak binds"));
        }
        Ok(())
    }

    /// What holds for a program, and not for a library.
    pub(crate) fn check_program(&self, flags: macho::FileFlags) -> Result<(), String> {
        let text = &self.segments[0];
        if self.kind != macho::MH_EXECUTE {
            return Err(format!("{:?} is no program", self.kind));
        }
        if flags.0 & macho::MH_PIE.0 == 0 {
            return Err("not position-independent".to_owned());
        }
        if !self.dylinker || !self.uuid {
            // macOS 26 demands the latter.
            return Err("no dynamic linker, or no LC_UUID".to_owned());
        }
        if !self.entry.is_some_and(|entry| text.bytes.contains(&(entry as usize))) {
            return Err("LC_MAIN does not lead into __TEXT".to_owned());
        }
        if !self.dylibs.iter().any(|dylib| dylib == SYSTEM) {
            return Err("not linked with libSystem".to_owned());
        }
        Ok(())
    }

    /// The header's flags.
    pub(crate) fn flags(&self) -> macho::FileFlags {
        MachHeader64::<Little>::parse(self.bytes.as_slice(), 0)
            .map_or(macho::FileFlags(0), |header| header.flags(Little))
    }
}

/// The part of a universal file that is for this machine; all of any other file.
fn slice(whole: &[u8]) -> Result<&[u8], String> {
    let Ok(universal) = MachOFatFile32::parse(whole) else { return Ok(whole) };
    let part = universal.arches().iter().find(|part| part.cputype() == MACHINE);
    let part = part.ok_or("fat file, but missing compatible architecture")?;
    part.data(whole).map_err(|_| "fat file, but its part extends beyond end of file".to_owned())
}
