//! What may have made two files differ.

use std::collections::BTreeSet;

use anyhow::Result;

use super::comparison::{Cause, Comparison, Extent, Place, byte_count};
use super::tokens::Tokens;
use crate::domain::artifact::elf::Elf;
use crate::domain::artifact::macho::MachO;
use crate::domain::artifact::text;
use crate::domain::artifact::view::{Content, View};
use crate::domain::codesign;
use crate::plumbing::bytes::{self, Source, Window};
use crate::plumbing::date;

/// At most this many items of a kind are shown.
const SHOWN: usize = 2;
/// A change of at most this many bytes looks like damage or an edit, not like another build.
const FEW: u64 = 8;

/// The causes that the differing parts of `comparison` and the `tokens` in them suggest, the most telling first.
pub(super) fn find(a: &View<'_>, b: &View<'_>, comparison: &Comparison, tokens: &[Tokens; 2]) -> Result<Vec<Cause>> {
    let mut causes = Causes(Vec::new());
    let (kind_a, kind_b) = (&comparison.a.kind, &comparison.b.kind);
    if kind_a != kind_b {
        causes.add("kind", format!("they are different kinds of file: A is {kind_a}, B is {kind_b}"));
        slice_of_fat(a, b.file, &mut causes)?;
        slice_of_fat(b, a.file, &mut causes)?;
    }
    let (size_a, size_b) = (a.file.size(), b.file.size());
    if size_a != size_b && bytes::agree(&a.file, &b.file)? {
        let (longer, shorter) = if size_a > size_b { ("A", "B") } else { ("B", "A") };
        let missing = byte_count(size_a.abs_diff(size_b));
        causes.add("length", format!("{shorter} is {longer} without its last {missing}: cut off, or appended to"));
    } else if a.container == b.container {
        signatures(a.file, b.file, comparison, &mut causes);
        stripped(&comparison.places, &mut causes);
        match (&a.content, &b.content) {
            (Content::Elf(elf_a), Content::Elf(elf_b)) => elf((elf_a, a.file), (elf_b, b.file), &mut causes),
            (Content::MachO(macho_a), Content::MachO(macho_b)) => mach_o("", macho_a, macho_b, &mut causes),
            (Content::Fat(slices_a), Content::Fat(slices_b)) => {
                for (slice, macho_a) in slices_a {
                    let twin = slices_b.iter().find(|(other, _)| other.machine == slice.machine);
                    if let (Some(macho_a), Some((_, Some(macho_b)))) = (macho_a, twin) {
                        mach_o(&format!("{}: ", slice.machine), macho_a, macho_b, &mut causes);
                    }
                }
            }
            _ => {}
        }
        content(comparison, tokens, &mut causes);
    }
    Ok(causes.0)
}

struct Causes(Vec<Cause>);

impl Causes {
    fn add(&mut self, kind: &'static str, text: String) {
        self.0.push(Cause { kind, text });
    }

    /// One sentence about what only one of two sets has.
    fn sets(&mut self, kind: &'static str, noun: &str, a: &BTreeSet<String>, b: &BTreeSet<String>) {
        let (only_a, only_b): (Vec<_>, Vec<_>) = (a.difference(b).collect(), b.difference(a).collect());
        match (only_a.is_empty(), only_b.is_empty()) {
            (true, true) => {}
            (false, true) => self.add(kind, format!("{noun}: only A has {}", some(&only_a))),
            (true, false) => self.add(kind, format!("{noun}: only B has {}", some(&only_b))),
            (false, false) => self.add(kind, format!("{noun}: {} in A, {} in B", some(&only_a), some(&only_b))),
        }
    }
}

/// The first few of `items`.
fn some(items: &[&String]) -> String {
    let shown: Vec<_> = items.iter().take(SHOWN).map(|item| item.as_str()).collect();
    let more = items.len().saturating_sub(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

fn slice_of_fat(fat: &View<'_>, thin: Window<'_>, causes: &mut Causes) -> Result<()> {
    let Content::Fat(slices) = &fat.content else { return Ok(()) };
    for (slice, _) in slices {
        let content = slice.content(fat.file);
        if content.size() == thin.size() && bytes::agree(&content, &thin)? {
            causes.add("slice", format!("the thin file is the same as the fat one's slice {}", slice.machine));
            break;
        }
    }
    Ok(())
}

/// What the signatures of two Mach-O files say, where they are all the difference.
fn signatures(a: Window<'_>, b: Window<'_>, comparison: &Comparison, causes: &mut Causes) {
    if comparison.same_unsigned != Some(true) {
        return;
    }
    let (Ok(report_a), Ok(report_b)) = (codesign::verify_source(&a), codesign::verify_source(&b)) else { return };
    let (said_a, said_b) = (said(&report_a), said(&report_b));
    let difference =
        if said_a == said_b { "in bytes that say nothing".into() } else { format!("{said_a} in A, {said_b} in B") };
    causes.add("signature", format!("only the signatures differ: {difference}"));
}

/// What the signatures of a file say, in a few words.
fn said(report: &codesign::Report) -> String {
    let words = report.slices.iter().map(|slice| match &slice.signature {
        None => "unsigned".into(),
        Some(signature) => {
            let form = signature.form.as_deref().unwrap_or("unknown");
            let pages: BTreeSet<_> = signature.code_directories.iter().map(|directory| directory.page_size).collect();
            let pages: Vec<_> = pages.into_iter().map(|size| size.to_string()).collect();
            let problem = slice.problem.as_deref().map(|problem| format!(" ({problem})")).unwrap_or_default();
            format!("{form} form, identifier {}, pages of {}{problem}", signature.identifier, pages.join(" and "))
        }
    });
    let words: BTreeSet<String> = words.collect();
    Vec::from_iter(words).join("; ")
}

/// Symbols or debug information in one file only.
fn stripped(places: &[Place], causes: &mut Causes) {
    let is_symbols = |name: &str| {
        [".symtab", ".strtab", ".debug", ".zdebug", ".gnu_debug", "symbol table", "string table", "__DWARF,"]
            .iter()
            .any(|prefix| name.rsplit(": ").next().unwrap_or(name).starts_with(prefix))
    };
    let superfluous: Vec<&Place> = places.iter().filter(|place| is_symbols(&place.name)).collect();
    for (stripped, full, chosen) in [
        ("B", "A", superfluous.iter().filter(|place| place.b.is_none()).collect::<Vec<_>>()),
        ("A", "B", superfluous.iter().filter(|place| place.a.is_none()).collect()),
    ] {
        let names: Vec<_> = chosen.iter().map(|place| &place.name).collect();
        if !names.is_empty() {
            causes.add("stripped", format!("{stripped} is stripped: only {full} has {}", some(&names)));
        }
    }
    let smaller = |place: &&&Place| {
        let size = |extent: &Option<Extent>| extent.as_ref().map_or(0, |extent| extent.size);
        place.name.ends_with("symbol table")
            && size(&place.a).min(size(&place.b)) > 0
            && size(&place.a) != size(&place.b)
    };
    if let Some(place) = superfluous.iter().find(smaller) {
        let size = |extent: &Option<Extent>| byte_count(extent.as_ref().map_or(0, |extent| extent.size));
        let text = format!("symbols: the {} has {} in A, {} in B", place.name, size(&place.a), size(&place.b));
        causes.add("symbols", text);
    }
}

fn elf((elf_a, a): (&Elf, Window<'_>), (elf_b, b): (&Elf, Window<'_>), causes: &mut Causes) {
    let set = |items: &[String]| items.iter().cloned().collect::<BTreeSet<_>>();
    let one = |item: &Option<String>| item.iter().cloned().collect::<BTreeSet<_>>();
    let comment = |elf: &Elf, file| -> BTreeSet<String> {
        elf.comment(file).unwrap_or_default().iter().map(|tool| text::shown(tool)).collect()
    };
    let versions = |elf: &Elf| -> BTreeSet<String> {
        elf.dynamic.versions.iter().map(|(library, version)| format!("{library} {version}")).collect()
    };
    causes.sets("toolchain", "compiler or linker", &comment(elf_a, a), &comment(elf_b, b));
    causes.sets("interpreter", "interpreter", &one(&elf_a.interpreter), &one(&elf_b.interpreter));
    causes.sets("needed", "needed libraries", &set(&elf_a.dynamic.needed), &set(&elf_b.dynamic.needed));
    causes.sets("run-path", "RPATH", &one(&elf_a.dynamic.rpath), &one(&elf_b.dynamic.rpath));
    causes.sets("run-path", "RUNPATH", &one(&elf_a.dynamic.runpath), &one(&elf_b.dynamic.runpath));
    causes.sets("symbol-versions", "symbol versions", &versions(elf_a), &versions(elf_b));
    causes.sets(
        "build-id",
        "build-id, which linkers compute from the content",
        &one(&elf_a.build_id),
        &one(&elf_b.build_id),
    );
}

fn mach_o(prefix: &str, macho_a: &MachO, macho_b: &MachO, causes: &mut Causes) {
    let minimum = |macho: &MachO| -> BTreeSet<String> {
        macho.minimum_versions.iter().map(|(platform, version)| format!("{platform:?} {version}")).collect()
    };
    let libraries = |macho: &MachO| -> BTreeSet<String> {
        macho.libraries.iter().map(|(kind, path)| format!("{path} ({kind})")).collect()
    };
    let rpaths = |macho: &MachO| -> BTreeSet<String> { macho.rpaths.iter().cloned().collect() };
    let times =
        |macho: &MachO| -> BTreeSet<String> { macho.object_times.iter().map(|time| date::rfc3339(*time)).collect() };
    let mut sets = |kind, noun: &str, a, b| causes.sets(kind, &format!("{prefix}{noun}"), &a, &b);
    sets("minimum", "oldest system", minimum(macho_a), minimum(macho_b));
    sets("needed", "needed libraries", libraries(macho_a), libraries(macho_b));
    sets("run-path", "LC_RPATH", rpaths(macho_a), rpaths(macho_b));
    sets("time", "modification times of object files (N_OSO)", times(macho_a), times(macho_b));
    if macho_a.uuids != macho_b.uuids {
        let text = "LC_UUID, which linkers compute from the content or the output's name";
        causes.add("uuid", format!("{prefix}{text}"));
    }
}

fn is_code(part: &str) -> bool {
    part.ends_with("text")
}

/// Whether the text in a part tells why files differ. Tables of numbers are large and hold none.
pub(super) fn may_tell(part: &str) -> bool {
    let numbers = [".debug_loc", ".debug_ranges", ".debug_rnglists", ".debug_abbrev", ".eh_frame", ".rela", ".symtab"];
    !is_code(part) && !numbers.iter().any(|prefix| part.starts_with(prefix)) && !part.ends_with("symbol table")
}

/// Causes that the differing bytes themselves tell.
fn content(comparison: &Comparison, [tokens_a, tokens_b]: &[Tokens; 2], causes: &mut Causes) {
    // A signature's hashes read as no text, and the rest is the same.
    if comparison.same_unsigned == Some(true) {
        return;
    }
    if !tokens_a.are_too_many() && !tokens_b.are_too_many() {
        causes.sets("version", "version strings", &tokens_a.versions, &tokens_b.versions);
        causes.sets("path", "paths", &tokens_a.paths, &tokens_b.paths);
        causes.sets("date", "dates or times", &tokens_a.dates, &tokens_b.dates);
    }
    // What follows from the rest of the content explains least.
    causes.0.sort_by_key(|cause| matches!(cause.kind, "build-id" | "uuid"));
    if !causes.0.is_empty() {
        return;
    }
    let differing = comparison.differing();
    if differing <= FEW && comparison.a.size == comparison.b.size {
        causes.add("edit", format!("{} changed in place: damaged in transfer, or edited", byte_count(differing)));
    } else if comparison.places.iter().any(|place| is_code(&place.name)) {
        causes.add("code", "the code itself: other sources, features, flags or another compiler".into());
    }
}
