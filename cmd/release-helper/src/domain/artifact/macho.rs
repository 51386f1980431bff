//! What a Mach-O file says about itself (`mach-o/loader.h`, `mach-o/fat.h`, `mach-o/nlist.h`).

use std::collections::BTreeSet;
use std::ops::Range;

use anyhow::{Context, Result, ensure};
use object::macho;
use object::read::macho::{FatArch, LoadCommandVariant, MachHeader, MachOFatFile, Nlist, Section as _, Segment as _};
use object::{Endianness, ReadCache, pod, read};

use super::layout::{self, Part};
use super::reading::{Data, MOST_READ, ensure_inside};
use super::text;
use crate::plumbing::bytes::{Source, Stream, Window};

/// More load commands or sections than any real program has: reading stops with an error.
const MOST_ENTRIES: usize = 1 << 16;
/// So many symbols are read at a time.
const SYMBOLS: usize = 1 << 14;
/// There are fewer machines than this.
const MOST_SLICES: usize = 64;

/// The facts of one Mach-O file, or of one slice of a fat one.
#[derive(Default)]
pub(super) struct MachO {
    /// 32 or 64.
    pub(super) bits: u8,
    /// In the words of `lipo`.
    pub(super) machine: String,
    pub(super) file_type: macho::FileType,
    pub(super) flags: macho::FileFlags,
    pub(super) segments: Vec<Segment>,
    /// The paths in LC_LOAD_DYLIB and its relatives, each with the command's name.
    pub(super) libraries: Vec<(String, String)>,
    /// LC_RPATH and LC_DYLD_ENVIRONMENT.
    pub(super) rpaths: Vec<String>,
    /// LC_LOAD_DYLINKER.
    pub(super) loader: Option<String>,
    pub(super) uuids: Vec<[u8; 16]>,
    /// Platform and oldest version of it: LC_BUILD_VERSION, LC_VERSION_MIN_….
    pub(super) minimum_versions: Vec<(macho::Platform, macho::Version)>,
    /// The bytes LC_CODE_SIGNATURE points to.
    pub(super) signature: Option<Range<u64>>,
    /// Debugging symbols and local ones.
    pub(super) local_symbols: u64,
    /// When the object files were last modified that debugging symbols point to (N_OSO), in seconds since 1970.
    pub(super) object_times: BTreeSet<u64>,
    symbol_tables: u32,
    headers: Vec<Part>,
    length: u64,
}

/// A segment and its sections.
pub(super) struct Segment {
    pub(super) name: String,
    pub(super) initial: macho::VmProt,
    pub(super) maximum: macho::VmProt,
    offset: u64,
    size: u64,
    /// Names, and where the content is.
    pub(super) sections: Vec<Part>,
}

/// One slice of a fat file.
pub(super) struct Slice {
    /// In the words of `lipo`.
    pub(super) machine: String,
    /// Where it is in the fat file.
    pub(super) range: Range<u64>,
}

impl Slice {
    /// Its bytes in the fat file `window`, from which it was read.
    pub(super) fn content<'a>(&self, window: Window<'a>) -> Window<'a> {
        // An empty slice may lie anywhere, also beyond the end.
        window.part(self.range.start, self.range.end - self.range.start).unwrap_or_else(|_| window.empty())
    }
}

/// The slices of a fat file, in its order. Fails where one is outside of the file.
pub(super) fn slices(window: Window<'_>) -> Result<Vec<Slice>> {
    fn read<Fat: FatArch>(bytes: Data<'_, '_>, length: u64) -> Result<Vec<Slice>> {
        let file = MachOFatFile::<Fat>::parse(bytes)?;
        ensure!(file.arches().len() <= MOST_SLICES, "there are {} slices", file.arches().len());
        let slice = |arch: &Fat| {
            let (offset, size) = arch.file_range();
            let machine = machine_name(arch.cputype(), arch.cpusubtype());
            let inside = ensure_inside(offset, size, length);
            inside.with_context(|| format!("slice {machine}"))?;
            Ok(Slice { machine, range: offset..offset + size })
        };
        file.arches().iter().map(slice).collect()
    }
    let cache = ReadCache::new(Stream::new(&window, MOST_READ));
    match window.head(4)?.get(3) {
        Some(0xbf) => read::<macho::FatArch64>(&cache, window.size()),
        _ => read::<macho::FatArch32>(&cache, window.size()),
    }
}

/// The size of a fat file's header and table of slices, in bytes.
pub(super) fn fat_header_size(head: &[u8], slices: usize) -> u64 {
    let entry = if head.get(3) == Some(&0xbf) { size_of::<macho::FatArch64>() } else { size_of::<macho::FatArch32>() };
    (size_of::<macho::FatHeader>() + slices * entry) as u64
}

impl MachO {
    /// Reads the thin Mach-O file in `window`. Fails where a command, segment or table is damaged or outside of the file.
    pub(super) fn read(window: Window<'_>) -> Result<Self> {
        let cache = ReadCache::new(Stream::new(&window, MOST_READ));
        match window.head(4)?[..] {
            [0xcf, ..] | [_, _, _, 0xcf, ..] => Reader::<macho::MachHeader64<Endianness>>::read(&cache, window, 64),
            _ => Reader::<macho::MachHeader32<Endianness>>::read(&cache, window, 32),
        }
    }

    /// `Mach-O 64-bit arm64 executable`.
    pub(super) fn describe(&self) -> String {
        let kind = match self.file_type {
            macho::MH_EXECUTE => "executable".into(),
            macho::MH_DYLIB => "dylib".into(),
            macho::MH_BUNDLE => "bundle".into(),
            macho::MH_OBJECT => "object".into(),
            other => format!("{other:?}"),
        };
        format!("Mach-O {}-bit {} {kind}", self.bits, self.machine)
    }

    /// How many bytes at the end belong to no segment.
    pub(super) fn trailing(&self) -> u64 {
        let ends = self.segments.iter().map(|segment| segment.offset.saturating_add(segment.size));
        self.length.saturating_sub(ends.max().unwrap_or(0))
    }

    /// The file cut into header, load commands, sections and tables.
    pub(super) fn parts(&self) -> Vec<Part> {
        let named = |segment: &Segment| Part::new(segment.name.clone(), segment.offset, segment.size);
        let segments: Vec<Part> = self.segments.iter().map(named).collect();
        let sections = self.segments.iter().flat_map(|segment| segment.sections.iter().cloned());
        layout::cut(self.length, self.headers.iter().cloned().chain(sections).collect(), &segments)
    }
}

/// `bytes` being read into `facts`.
struct Reader<'a, 's, H: MachHeader<Endian = Endianness>> {
    window: Window<'s>,
    bytes: Data<'a, 's>,
    header: &'a H,
    endian: Endianness,
    facts: MachO,
}

impl<'a, 's, H: MachHeader<Endian = Endianness>> Reader<'a, 's, H> {
    fn read(bytes: Data<'a, 's>, window: Window<'s>, bits: u8) -> Result<MachO> {
        let header = H::parse(bytes, 0)?;
        let endian = header.endian()?;
        let facts = MachO {
            bits,
            machine: machine_name(header.cputype(endian), header.cpusubtype(endian)),
            file_type: header.filetype(endian),
            flags: header.flags(endian),
            headers: vec![Part::new("Mach-O header", 0, size_of::<H>() as u64)],
            length: window.size(),
            ..MachO::default()
        };
        let mut reader = Self { window, bytes, header, endian, facts };
        reader.commands()?;
        Ok(reader.facts)
    }

    fn commands(&mut self) -> Result<()> {
        let mut commands = self.header.load_commands(self.endian, self.bytes, 0)?;
        let mut count = 0;
        while let Some(command) = commands.next()? {
            count += 1;
            ensure!(count <= MOST_ENTRIES, "there are too many load commands");
            let kind = format!("{:?}", command.cmd());
            let subject = self.command(command, &kind).with_context(|| kind.clone())?;
            let name = if subject.is_empty() { kind } else { format!("{kind} {subject}") };
            self.facts.headers.push(Part::new(name, command.offset(), command.cmdsize().into()));
        }
        Ok(())
    }

    /// Takes the facts out of one load command and returns what tells it from others of its kind.
    fn command(&mut self, command: read::macho::LoadCommandData<'a, Endianness>, kind: &str) -> Result<String> {
        let endian = self.endian;
        let string = |string| command.string(endian, string).map(text::shown);
        match command.variant()? {
            LoadCommandVariant::Segment32(..) | LoadCommandVariant::Segment64(..) => {
                let (segment, sections) = H::Segment::from_command(command)?.context("of the other class")?;
                return self.segment(segment, sections);
            }
            LoadCommandVariant::Dylib(dylib) => {
                let path = string(dylib.dylib.name)?;
                self.facts.libraries.push((kind.into(), path.clone()));
                return Ok(path);
            }
            LoadCommandVariant::IdDylib(dylib) => return Ok(string(dylib.dylib.name)?),
            LoadCommandVariant::Rpath(rpath) => {
                let path = string(rpath.path)?;
                self.facts.rpaths.push(path.clone());
                return Ok(path);
            }
            // Another way to send the loader elsewhere: DYLD_LIBRARY_PATH and its kin, carried in the file.
            LoadCommandVariant::DyldEnvironment(variable) => self.facts.rpaths.push(string(variable.name)?),
            LoadCommandVariant::LoadDylinker(loader) => self.facts.loader = Some(string(loader.name)?),
            LoadCommandVariant::Uuid(uuid) => self.facts.uuids.push(uuid.uuid),
            LoadCommandVariant::BuildVersion(version, _) => {
                self.facts.minimum_versions.push((version.platform.get(endian), version.minos.get(endian)));
            }
            LoadCommandVariant::VersionMin(version) => {
                let platform = match command.cmd() {
                    macho::LC_VERSION_MIN_MACOSX => macho::PLATFORM_MACOS,
                    macho::LC_VERSION_MIN_IPHONEOS => macho::PLATFORM_IOS,
                    macho::LC_VERSION_MIN_TVOS => macho::PLATFORM_TVOS,
                    _ => macho::PLATFORM_WATCHOS,
                };
                self.facts.minimum_versions.push((platform, version.version.get(endian)));
            }
            LoadCommandVariant::Symtab(symtab) => self.symbols(symtab)?,
            LoadCommandVariant::Dysymtab(table) => {
                let size = u64::from(table.nindirectsyms.get(endian)) * 4;
                self.table("indirect symbol table", table.indirectsymoff.get(endian), size)?;
            }
            LoadCommandVariant::DyldInfo(info) => {
                for (name, offset, size) in [
                    ("rebase information", info.rebase_off, info.rebase_size),
                    ("bind information", info.bind_off, info.bind_size),
                    ("weak bind information", info.weak_bind_off, info.weak_bind_size),
                    ("lazy bind information", info.lazy_bind_off, info.lazy_bind_size),
                    ("export information", info.export_off, info.export_size),
                ] {
                    self.table(name, offset.get(endian), size.get(endian).into())?;
                }
            }
            LoadCommandVariant::LinkeditData(data) => {
                let (offset, size) = (data.dataoff.get(endian), data.datasize.get(endian));
                let name = match command.cmd() {
                    macho::LC_CODE_SIGNATURE => "code signature",
                    macho::LC_FUNCTION_STARTS => "function starts",
                    macho::LC_DATA_IN_CODE => "data in code",
                    macho::LC_DYLD_EXPORTS_TRIE => "exports trie",
                    macho::LC_DYLD_CHAINED_FIXUPS => "chained fixups",
                    _ => kind,
                };
                self.table(name, offset, size.into())?;
                if command.cmd() == macho::LC_CODE_SIGNATURE {
                    self.facts.signature = Some(offset.into()..u64::from(offset) + u64::from(size));
                }
            }
            _ => {}
        }
        Ok(String::new())
    }

    fn segment(&mut self, segment: &'a H::Segment, sections: &'a [u8]) -> Result<String> {
        let endian = self.endian;
        let name = text::shown(segment.name());
        let (offset, size) = segment.file_range(endian);
        ensure_inside(offset, size, self.facts.length).with_context(|| format!("segment {name}"))?;
        let mut parts = Vec::new();
        for section in segment.sections(endian, sections)? {
            let name = format!("{},{}", text::shown(section.segment_name()), text::shown(section.name()));
            // Sections of zeros have a size but no bytes in the file.
            let Some((offset, size)) = section.file_range(endian, section.offset(endian).into()) else { continue };
            ensure_inside(offset, size, self.facts.length).with_context(|| format!("section {name}"))?;
            parts.push(Part::new(name, offset, size));
        }
        self.facts.segments.push(Segment {
            name: name.clone(),
            initial: segment.initprot(endian),
            maximum: segment.maxprot(endian),
            offset,
            size,
            sections: parts,
        });
        Ok(name)
    }

    fn symbols(&mut self, symtab: &macho::SymtabCommand<Endianness>) -> Result<()> {
        ensure!(self.facts.symbol_tables == 0, "there is more than one symbol table");
        self.facts.symbol_tables += 1;
        let (offset, count) = (symtab.symoff.get(self.endian).into(), symtab.nsyms.get(self.endian) as usize);
        let size = (count * size_of::<H::Nlist>()) as u64;
        ensure_inside(offset, size, self.facts.length).context("symbol table")?;
        // A large program's symbols are most of it: they are not kept, as what the cache reads is.
        for first in (0..count).step_by(SYMBOLS) {
            let some = SYMBOLS.min(count - first);
            let content =
                self.window.read(offset + (first * size_of::<H::Nlist>()) as u64, some * size_of::<H::Nlist>())?;
            let symbols = pod::slice_from_bytes::<H::Nlist>(&content, some);
            let symbols = symbols.ok().context("the symbol table cannot be read")?.0;
            let local = |symbol: &&H::Nlist| symbol.is_stab() || !symbol.n_type().is_ext();
            self.facts.local_symbols += symbols.iter().filter(local).count() as u64;
            let objects = symbols.iter().filter(|symbol| symbol.stab() == Some(macho::N_OSO));
            let times = objects.map(|symbol| symbol.n_value(self.endian).into());
            self.facts.object_times.extend(times.take(MOST_ENTRIES.saturating_sub(self.facts.object_times.len())));
        }
        self.table("symbol table", symtab.symoff.get(self.endian), size)?;
        self.table("string table", symtab.stroff.get(self.endian), symtab.strsize.get(self.endian).into())
    }

    /// Remembers a table in __LINKEDIT.
    fn table(&mut self, name: &str, offset: u32, size: u64) -> Result<()> {
        ensure_inside(offset.into(), size, self.facts.length).with_context(|| name.to_owned())?;
        if size > 0 {
            self.facts.headers.push(Part::new(name, offset.into(), size));
        }
        Ok(())
    }
}

/// The machine in the words of `lipo`.
fn machine_name(cpu: macho::CpuType, subtype: macho::CpuSubtype) -> String {
    match (cpu, subtype.id()) {
        (macho::CPU_TYPE_X86_64, macho::CPU_SUBTYPE_X86_64_H) => "x86_64h".into(),
        (macho::CPU_TYPE_X86_64, _) => "x86_64".into(),
        (macho::CPU_TYPE_ARM64, macho::CPU_SUBTYPE_ARM64E) => "arm64e".into(),
        (macho::CPU_TYPE_ARM64, _) => "arm64".into(),
        (macho::CPU_TYPE_X86, _) => "i386".into(),
        (other, _) => format!("{other:?}"),
    }
}

/// `r-x` and so on.
pub(super) fn protection(protection: macho::VmProt) -> String {
    let all = [(macho::VM_PROT_READ, 'r'), (macho::VM_PROT_WRITE, 'w'), (macho::VM_PROT_EXECUTE, 'x')];
    all.into_iter().map(|(bit, name)| if protection.contains(bit) { name } else { '-' }).collect()
}
