//! The clauses of ELF artifacts.

use std::collections::BTreeMap;

use anyhow::Result;
use object::elf;

use super::clauses::{Clauses, list, machine_of};
use crate::domain::artifact::elf::{Elf, Segment, permissions};
use crate::domain::artifact::text;
use crate::domain::contract::Platform;
use crate::plumbing::bytes::Window;

/// Measures what only an ELF file has.
pub(super) fn clauses(elf: &Elf, bytes: Window<'_>, platform: &Platform, clauses: &mut Clauses) -> Result<()> {
    identity(elf, platform, clauses)?;
    dependencies(elf, platform, clauses);
    hardening(elf, clauses);
    leftovers(elf, bytes, clauses)
}

fn identity(elf: &Elf, platform: &Platform, clauses: &mut Clauses) -> Result<()> {
    let order = if elf.little_endian { "little-endian" } else { "big-endian" };
    clauses.equal("class", format!("{}-bit {order}", elf.bits), "64-bit little-endian");
    let machine = if machine_of(platform)? == "x86_64" { "x86-64" } else { "AArch64" };
    clauses.equal("machine", elf.machine_name(), machine);
    // Linux also takes files marked as GNU, but only those that use GNU extensions need it.
    let os_abi = match elf.os_abi {
        elf::ELFOSABI_NONE => "System V".into(),
        other => format!("{other:?}"),
    };
    clauses.equal("OS/ABI", os_abi, "System V");
    let kind = match elf.file_type {
        elf::ET_DYN if elf.dynamic.pie => "PIE".into(),
        elf::ET_DYN => "ET_DYN without DF_1_PIE".into(),
        other => format!("{other:?}"),
    };
    clauses.equal("type", kind, "PIE");
    Ok(())
}

fn dependencies(elf: &Elf, platform: &Platform, clauses: &mut Clauses) {
    let text = |name: &Option<String>| name.clone().unwrap_or("none".into());
    clauses.equal("interpreter", text(&elf.interpreter), text(&platform.interpreter));

    let dynamic = &elf.dynamic;
    let allowed = !dynamic.needed.is_empty() && dynamic.needed.iter().all(|name| platform.needed.contains(name));
    clauses.add("needed", list(&dynamic.needed), format!("only {}", platform.needed.join(", ")), allowed);

    let rpath = dynamic.rpath.iter().map(|path| format!("RPATH {path}"));
    let runpath = dynamic.runpath.iter().map(|path| format!("RUNPATH {path}"));
    clauses.none("run path", &rpath.chain(runpath).collect::<Vec<_>>());

    symbol_versions(elf, platform, clauses);
    clauses.equal("text relocations", yes_no(dynamic.text_relocations), "no");
    clauses.equal("packed relocations", yes_no(dynamic.packed_relocations), "no");
}

/// The highest version asked of each library. Nodes that are no version of glibc's public interface, such as
/// GLIBC_PRIVATE or GLIBC_ABI_DT_RELR, rank above every version.
fn symbol_versions(elf: &Elf, platform: &Platform, clauses: &mut Clauses) {
    let rank = |name: &str| name.strip_prefix("GLIBC_").and_then(numbers).unwrap_or(vec![u64::MAX]);
    let mut highest: BTreeMap<&str, &str> = BTreeMap::new();
    for (library, version) in &elf.dynamic.versions {
        let known = highest.entry(library).or_insert(version);
        if rank(version) > rank(known) {
            *known = version;
        }
    }
    let measured: Vec<_> = highest.iter().map(|(library, version)| format!("{library} {version}")).collect();
    match &platform.glibc_ceiling {
        Some(ceiling) => {
            let ceiling_rank = numbers(ceiling).unwrap_or_default();
            let holds = highest.values().all(|version| rank(version) <= ceiling_rank);
            clauses.add("symbol versions", list(&measured), format!("at most GLIBC_{ceiling}"), holds);
        }
        // musl has no versions; its loader ignores those a file asks for.
        None => clauses.none("symbol versions", &measured),
    }
}

/// `2.2.5` as numbers that compare as versions do.
fn numbers(version: &str) -> Option<Vec<u64>> {
    version.split('.').map(|number| number.parse().ok()).collect()
}

fn hardening(elf: &Elf, clauses: &mut Clauses) {
    // Without the header Linux decides by machine; on x86-64 the stack is then executable.
    let stack = elf.segments_of(elf::PT_GNU_STACK).map(|segment| permissions(segment.flags)).next();
    let executable = elf.segments_of(elf::PT_GNU_STACK).any(|segment| segment.flags.contains(elf::PF_X));
    let stack_is_data = stack.is_some() && !executable;
    clauses.add("stack", stack.unwrap_or("no PT_GNU_STACK".into()), "not executable", stack_is_data);

    // Full RELRO also takes BIND_NOW, a clause of its own; what must be under it is the table that loaders trust.
    let covers = |outer: &Segment, inner: &Segment| {
        outer.address <= inner.address
            && inner.address.saturating_add(inner.size_in_memory) <= outer.address.saturating_add(outer.size_in_memory)
    };
    let relro = elf.segments_of(elf::PT_GNU_RELRO).next();
    let covered = relro.is_some_and(|relro| elf.segments_of(elf::PT_DYNAMIC).all(|dynamic| covers(relro, dynamic)));
    let measured = relro.map_or("none".into(), |relro| {
        format!("{} bytes, {} the dynamic section", relro.size_in_memory, if covered { "with" } else { "without" })
    });
    clauses.add("RELRO", measured, "with the dynamic section", covered);
    clauses.equal("bind now", yes_no(elf.dynamic.bind_now), "yes");

    let both = |flags: elf::ProgramFlags| flags.contains(elf::PF_W) && flags.contains(elf::PF_X);
    let writable = elf.segments_of(elf::PT_LOAD).filter(|segment| both(segment.flags));
    let writable: Vec<_> = writable.map(|segment| format!("at {:#x}", segment.address)).collect();
    clauses.none("writable code", &writable);
}

/// What a build leaves behind: marks, symbols, debug information, compiler names, appended bytes.
fn leftovers(elf: &Elf, bytes: Window<'_>, clauses: &mut Clauses) -> Result<()> {
    clauses.none("build-id", elf.build_id.as_slice());

    let prefixes = [".debug", ".zdebug", ".gnu_debug", ".gnu.debug", ".gdb_index", ".stab", ".symtab", ".strtab"];
    let superfluous = elf.sections.iter().filter(|section| {
        section.kind == elf::SHT_SYMTAB || prefixes.iter().any(|prefix| section.name.starts_with(prefix))
    });
    let superfluous: Vec<_> = superfluous.map(|section| section.name.clone()).collect();
    clauses.none("symbols, debug", &superfluous);

    // rustc and lld sign their work; with the pinned toolchain that is the same everywhere.
    let rustc = concat!("rustc version ", env!("CARGO_PKG_RUST_VERSION"), ".");
    let tools = elf.comment(bytes)?;
    let pinned = tools.iter().all(|tool| tool.starts_with(rustc.as_bytes()) || tool.starts_with(b"Linker: LLD "));
    // Behind the version stands the commit in parentheses.
    let short = |tool: &Vec<u8>| text::shown(tool).split(" (").next().unwrap_or_default().to_owned();
    let tools: Vec<_> = tools.iter().map(short).collect();
    clauses.add("comment", list(&tools), format!("only {rustc}x and its LLD"), pinned);

    clauses.equal("trailing bytes", elf.trailing().to_string(), "0");
    Ok(())
}

fn yes_no(yes: bool) -> &'static str {
    if yes { "yes" } else { "no" }
}
