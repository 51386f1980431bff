//! What an ELF file says about itself (System V ABI, chapters 4 and 5, and the GNU extensions in `elf.h`).
//!
//! What the loader would do counts, so dependencies and symbol versions are read through PT_DYNAMIC: a file needs no
//! section headers to run, and may carry ones that say something else.

use std::ops::Range;

use anyhow::{Context, Result, bail, ensure};
use object::elf;
use object::read::elf::{Dyn, FileHeader, NoteIterator, ProgramHeader, SectionHeader};
use object::{Endianness, ReadCache, ReadRef, U16, U32, pod};

use super::layout::{self, Part};
use super::reading::{Data, MOST_READ, ensure_inside};
use super::text;
use crate::plumbing::bytes::{Source, Stream, Window};

/// More symbol versions, notes or sections than any real program has: reading stops with an error.
const MOST_ENTRIES: usize = 1 << 16;
/// A longer name is no name.
const LONGEST_NAME: usize = 4096;
/// More than any compiler's and linker's names take, in bytes.
const LONGEST_COMMENT: u64 = 1 << 16;

/// The facts of one ELF file.
pub(super) struct Elf {
    /// 32 or 64.
    pub(super) bits: u8,
    pub(super) little_endian: bool,
    pub(super) machine: elf::Machine,
    pub(super) os_abi: elf::OsAbi,
    pub(super) file_type: elf::FileType,
    pub(super) segments: Vec<Segment>,
    pub(super) sections: Vec<Section>,
    /// PT_INTERP.
    pub(super) interpreter: Option<String>,
    pub(super) dynamic: Dynamic,
    /// The GNU build-id as hexadecimal digits, from any note.
    pub(super) build_id: Option<String>,
    /// The ELF header and the tables it points to.
    headers: Vec<Part>,
    length: u64,
}

/// A program header.
pub(super) struct Segment {
    pub(super) kind: elf::ProgramType,
    pub(super) flags: elf::ProgramFlags,
    pub(super) offset: u64,
    pub(super) size: u64,
    pub(super) address: u64,
    pub(super) size_in_memory: u64,
}

/// A section header.
pub(super) struct Section {
    pub(super) name: String,
    pub(super) kind: elf::SectionType,
    pub(super) offset: u64,
    /// Bytes in the file; none for a section without content.
    pub(super) size: u64,
}

/// What PT_DYNAMIC says.
#[derive(Default)]
pub(super) struct Dynamic {
    /// DT_NEEDED; other entries that have a library loaded stand behind the name.
    pub(super) needed: Vec<String>,
    pub(super) rpath: Option<String>,
    pub(super) runpath: Option<String>,
    pub(super) text_relocations: bool,
    /// Packed relative relocations (DT_RELR), which need glibc 2.36 or musl 1.2.4.
    pub(super) packed_relocations: bool,
    pub(super) bind_now: bool,
    /// DF_1_PIE.
    pub(super) pie: bool,
    /// Library and version of DT_VERNEED, in the file's order.
    pub(super) versions: Vec<(String, String)>,
    /// The tables it points to whose size it tells.
    tables: Vec<Part>,
}

impl Elf {
    /// Reads the ELF file in `window`. Fails where a header, segment or section is damaged or outside of the file.
    pub(super) fn read(window: Window<'_>) -> Result<Self> {
        let cache = ReadCache::new(Stream::new(&window, MOST_READ));
        match window.head(5)?.get(4) {
            Some(1) => Self::read_class::<elf::FileHeader32<Endianness>>(&cache, window.size(), 32),
            Some(2) => Self::read_class::<elf::FileHeader64<Endianness>>(&cache, window.size(), 64),
            _ => bail!("the ELF class is neither 32 nor 64 bits"),
        }
    }

    fn read_class<H: FileHeader<Endian = Endianness>>(bytes: Data<'_, '_>, length: u64, bits: u8) -> Result<Self> {
        let header = H::parse(bytes)?;
        let endian = header.endian()?;
        let program_headers = header.program_headers(endian, bytes)?;
        let section_headers = header.section_headers(endian, bytes)?;
        ensure!(program_headers.len() <= MOST_ENTRIES, "there are {} program headers", program_headers.len());
        ensure!(section_headers.len() <= MOST_ENTRIES, "there are {} section headers", section_headers.len());

        let mut segments = Vec::new();
        let mut interpreter = None;
        for header in program_headers {
            let (offset, size) = header.file_range(endian);
            let kind = header.p_type(endian);
            ensure_inside(offset, size, length).with_context(|| format!("segment {kind:?}"))?;
            if interpreter.is_none() {
                interpreter = header.interpreter(endian, bytes)?.map(text::shown);
            }
            segments.push(Segment {
                kind,
                flags: header.p_flags(endian),
                offset,
                size,
                address: header.p_vaddr(endian).into(),
                size_in_memory: header.p_memsz(endian).into(),
            });
        }

        let names = match header.shstrndx(endian, bytes) {
            Ok(index) if !section_headers.is_empty() => {
                let table = section_headers.get(index as usize).context("there is no section header string table")?;
                table.data(endian, bytes).unwrap_or_default()
            }
            _ => &[],
        };
        let mut sections = Vec::new();
        for header in section_headers {
            let name = name_in(names, header.sh_name(endian).into()).unwrap_or_default();
            let (offset, size) = header.file_range(endian).unwrap_or_default();
            ensure_inside(offset, size, length).with_context(|| format!("section {name}"))?;
            sections.push(Section { name, kind: header.sh_type(endian), offset, size });
        }

        // Loaders disagree on which of several counts.
        for kind in [elf::PT_DYNAMIC, elf::PT_INTERP] {
            let count = segments.iter().filter(|segment| segment.kind == kind).count();
            ensure!(count <= 1, "there are {count} segments {kind:?}");
        }
        let dynamic = match program_headers.iter().find(|header| header.p_type(endian) == elf::PT_DYNAMIC) {
            Some(header) => {
                let entries = header.dynamic(endian, bytes)?.unwrap_or_default();
                Image { bytes, endian, segments: &segments }.dynamic(entries).context("dynamic section")?
            }
            None => Dynamic::default(),
        };

        let notes = program_headers
            .iter()
            .filter_map(|header| header.notes(endian, bytes).ok().flatten())
            .chain(section_headers.iter().filter_map(|header| header.notes(endian, bytes).ok().flatten()));
        let table = |count: usize, size: u16| (count as u64).saturating_mul(size.into());
        Ok(Self {
            bits,
            little_endian: header.is_little_endian(),
            machine: header.e_machine(endian),
            os_abi: header.e_ident().os_abi,
            file_type: header.e_type(endian),
            interpreter,
            dynamic,
            build_id: build_id(notes, endian)?,
            headers: vec![
                Part::new("ELF header", 0, size_of::<H>() as u64),
                Part::new(
                    "program headers",
                    header.e_phoff(endian).into(),
                    table(segments.len(), header.e_phentsize(endian)),
                ),
                Part::new(
                    "section headers",
                    header.e_shoff(endian).into(),
                    table(sections.len(), header.e_shentsize(endian)),
                ),
            ],
            segments,
            sections,
            length,
        })
    }

    /// The machine in common words, else as in `elf.h`.
    pub(super) fn machine_name(&self) -> String {
        match self.machine {
            elf::EM_X86_64 => "x86-64".into(),
            elf::EM_AARCH64 => "AArch64".into(),
            other => format!("{other:?}"),
        }
    }

    /// `ELF 64-bit x86-64 PIE`.
    pub(super) fn describe(&self) -> String {
        let kind = match self.file_type {
            elf::ET_DYN if self.is_pie() => "PIE".into(),
            elf::ET_DYN => "shared object".into(),
            elf::ET_EXEC => "executable at a fixed address".into(),
            elf::ET_REL => "relocatable object".into(),
            other => format!("{other:?}"),
        };
        let order = if self.little_endian { "" } else { " big-endian" };
        format!("ELF {}-bit{order} {} {kind}", self.bits, self.machine_name())
    }

    /// Whether this is a program that can be mapped anywhere: ET_DYN, and marked as a program in one way or another.
    pub(super) fn is_pie(&self) -> bool {
        self.file_type == elf::ET_DYN && (self.dynamic.pie || self.interpreter.is_some())
    }

    /// The segments of one kind.
    pub(super) fn segments_of(&self, kind: elf::ProgramType) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(move |segment| segment.kind == kind)
    }

    /// The names of the tools in section `.comment`, as far as its first [`LONGEST_COMMENT`] bytes tell.
    pub(super) fn comment(&self, window: Window<'_>) -> Result<Vec<Vec<u8>>> {
        let Some(section) = self.sections.iter().find(|section| section.name == ".comment") else {
            return Ok(Vec::new());
        };
        let content = window.read(section.offset, section.size.min(LONGEST_COMMENT) as usize)?;
        Ok(content.split(|&byte| byte == 0).filter(|tool| !tool.is_empty()).map(<[u8]>::to_vec).collect())
    }

    /// How many bytes at the end belong to no header, segment or section.
    pub(super) fn trailing(&self) -> u64 {
        let ends = self.inner().into_iter().map(|part| part.range.end);
        let ends = ends.chain(self.segments.iter().map(|segment| segment.offset.saturating_add(segment.size)));
        self.length.saturating_sub(ends.max().unwrap_or(0))
    }

    /// The file cut into headers and sections, or, without section headers, into what the program headers tell.
    pub(super) fn parts(&self) -> Vec<Part> {
        let segments: Vec<Part> = self
            .segments_of(elf::PT_LOAD)
            .map(|segment| Part::new(format!("segment {}", permissions(segment.flags)), segment.offset, segment.size))
            .collect();
        // With sections, what lies between them is padding, whatever segment it is in.
        layout::cut(self.length, self.inner(), if self.sections.is_empty() { &segments } else { &[] })
    }

    fn inner(&self) -> Vec<Part> {
        let mut parts = self.headers.clone();
        if self.sections.is_empty() {
            let named = self.segments.iter().filter(|segment| {
                matches!(segment.kind, elf::PT_INTERP | elf::PT_DYNAMIC | elf::PT_NOTE | elf::PT_GNU_EH_FRAME)
            });
            parts.extend(named.map(|segment| Part::new(format!("{:?}", segment.kind), segment.offset, segment.size)));
            parts.extend(self.dynamic.tables.iter().cloned());
        } else {
            let filled = self.sections.iter().filter(|section| section.size > 0);
            parts.extend(filled.map(|section| Part::new(section.name.clone(), section.offset, section.size)));
        }
        parts
    }
}

/// `R X` and so on.
pub(super) fn permissions(flags: elf::ProgramFlags) -> String {
    let all = [(elf::PF_R, "R"), (elf::PF_W, "W"), (elf::PF_X, "X")];
    let set: Vec<_> = all.into_iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, name)| name).collect();
    if set.is_empty() { "none".into() } else { set.join(" ") }
}

/// The name at `offset` of a string table.
fn name_in(table: &[u8], offset: u64) -> Option<String> {
    let rest = table.get(usize::try_from(offset).ok()?..)?;
    text::terminated(&rest[..rest.len().min(LONGEST_NAME)]).map(text::shown)
}

fn build_id<'a, H: FileHeader<Endian = Endianness>>(
    tables: impl Iterator<Item = NoteIterator<'a, H>>,
    endian: Endianness,
) -> Result<Option<String>> {
    for (count, note) in tables.flatten().enumerate() {
        ensure!(count < MOST_ENTRIES, "there are too many notes");
        // The rest of a table that cannot be read is not read: no tool would find a build-id in it.
        let Ok(note) = note else { continue };
        if note.name() == elf::ELF_NOTE_GNU && note.n_type(endian) == elf::NT_GNU_BUILD_ID {
            return Ok(Some(note.desc().iter().take(64).map(|byte| format!("{byte:02x}")).collect()));
        }
    }
    Ok(None)
}

/// The file as a loader sees it.
struct Image<'a, 's, 'g> {
    bytes: Data<'a, 's>,
    endian: Endianness,
    segments: &'g [Segment],
}

impl<'a> Image<'a, '_, '_> {
    /// Where the bytes at a virtual address are in the file, up to the end of their segment.
    fn at(&self, address: u64) -> Option<Range<u64>> {
        self.segments.iter().filter(|segment| segment.kind == elf::PT_LOAD).find_map(|segment| {
            let inside = address.checked_sub(segment.address).filter(|inside| *inside < segment.size)?;
            Some(segment.offset + inside..segment.offset + segment.size)
        })
    }

    fn dynamic<D: Dyn<Endian = Endianness>>(&self, entries: &[D]) -> Result<Dynamic> {
        let entries = entries.iter().map(|entry| (entry.tag(self.endian), entry.val(self.endian)));
        let entries: Vec<_> = entries.take_while(|(tag, _)| *tag != elf::DT_NULL).collect();
        ensure!(entries.len() <= MOST_ENTRIES, "it has {} entries", entries.len());
        let value = |wanted| entries.iter().rev().find(|(tag, _)| *tag == wanted).map(|(_, value)| *value);
        let flag = |tag, bit: u64| value(tag).unwrap_or(0) & bit != 0;

        let strings = match (value(elf::DT_STRTAB), value(elf::DT_STRSZ)) {
            (Some(address), Some(size)) => {
                let range = self.at(address).context("DT_STRTAB points outside of the file")?;
                let end = range.start.checked_add(size).filter(|end| *end <= range.end);
                let end = end.context("the dynamic string table ends outside of its segment")?;
                self.bytes.read_bytes_at(range.start, end - range.start).ok().context("it cannot be read")?
            }
            _ => &[],
        };
        let name = |offset| name_in(strings, offset).context("a name lies outside of the dynamic string table");
        let optional = |tag| value(tag).map(name).transpose();

        let mut dynamic = Dynamic {
            needed: Vec::new(),
            rpath: optional(elf::DT_RPATH)?,
            runpath: optional(elf::DT_RUNPATH)?,
            text_relocations: value(elf::DT_TEXTREL).is_some() || flag(elf::DT_FLAGS, elf::DF_TEXTREL.0),
            packed_relocations: value(elf::DT_RELR).is_some(),
            bind_now: value(elf::DT_BIND_NOW).is_some()
                || flag(elf::DT_FLAGS, elf::DF_BIND_NOW.0)
                || flag(elf::DT_FLAGS_1, elf::DF_1_NOW.0),
            pie: flag(elf::DT_FLAGS_1, elf::DF_1_PIE.0),
            versions: Vec::new(),
            tables: Vec::new(),
        };
        for (tag, offset) in &entries {
            match *tag {
                elf::DT_NEEDED => dynamic.needed.push(name(*offset)?),
                // Rarer ways to have a library loaded.
                elf::DT_AUXILIARY | elf::DT_FILTER | elf::DT_AUDIT | elf::DT_DEPAUDIT => {
                    dynamic.needed.push(format!("{} ({tag:?})", name(*offset)?));
                }
                _ => {}
            }
        }
        if let Some(address) = value(elf::DT_VERNEED) {
            let range = self.at(address).context("DT_VERNEED points outside of the file")?;
            dynamic.versions = self.versions(range, &name).context("symbol versions")?;
        }
        let sized = [
            (".dynstr", elf::DT_STRTAB, elf::DT_STRSZ),
            (".rela.dyn", elf::DT_RELA, elf::DT_RELASZ),
            (".rel.dyn", elf::DT_REL, elf::DT_RELSZ),
            (".relr.dyn", elf::DT_RELR, elf::DT_RELRSZ),
            (".rela.plt", elf::DT_JMPREL, elf::DT_PLTRELSZ),
            (".init_array", elf::DT_INIT_ARRAY, elf::DT_INIT_ARRAYSZ),
            (".fini_array", elf::DT_FINI_ARRAY, elf::DT_FINI_ARRAYSZ),
        ];
        for (name, address, size) in sized {
            if let (Some(range), Some(size)) = (value(address).and_then(|address| self.at(address)), value(size)) {
                dynamic.tables.push(Part::new(name, range.start, size.min(range.end - range.start)));
            }
        }
        Ok(dynamic)
    }

    /// Follows the chains of DT_VERNEED as loaders do: by `vn_next` and `vna_next`, not by the counts beside them.
    fn versions(&self, table: Range<u64>, name: &impl Fn(u64) -> Result<String>) -> Result<Vec<(String, String)>> {
        let mut versions = Vec::new();
        let mut need_at = table.start;
        loop {
            let need: &elf::Verneed<Endianness> = self.record(need_at, &table)?;
            let library = name(need.vn_file.get(self.endian).into())?;
            let mut version_at = need_at.saturating_add(need.vn_aux.get(self.endian).into());
            loop {
                let version: &elf::Vernaux<Endianness> = self.record(version_at, &table)?;
                versions.push((library.clone(), name(version.vna_name.get(self.endian).into())?));
                ensure!(versions.len() <= MOST_ENTRIES, "there are too many");
                match version.vna_next.get(self.endian) {
                    0 => break,
                    next => version_at = version_at.saturating_add(next.into()),
                }
            }
            match need.vn_next.get(self.endian) {
                0 => break,
                next => need_at = need_at.saturating_add(next.into()),
            }
        }
        Ok(versions)
    }

    fn record<T: pod::Pod>(&self, at: u64, table: &Range<u64>) -> Result<&'a T> {
        let inside = at >= table.start && at.saturating_add(size_of::<T>() as u64) <= table.end;
        ensure!(inside, "a record at {at:#x} lies outside of its segment");
        self.bytes.read_at(at).ok().context("a record cannot be read")
    }
}

// Both record types are made of these; object's feature `unaligned` lets them begin at any byte.
const _: () = assert!(align_of::<U16<Endianness>>() == 1 && align_of::<U32<Endianness>>() == 1);
