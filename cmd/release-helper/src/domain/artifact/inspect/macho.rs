//! The clauses of Mach-O artifacts.

use anyhow::Result;
use object::macho;

use super::clauses::{Clauses, list, machine_of};
use crate::domain::artifact::macho::{MachO, protection};
use crate::domain::codesign;
use crate::domain::contract::{Contract, Platform};
use crate::plumbing::bytes::Window;

/// The dynamic loader of every macOS program.
const LOADER: &str = "/usr/lib/dyld";

/// Measures what only a Mach-O file has.
pub(super) fn clauses(
    macho: &MachO,
    bytes: Window<'_>,
    platform: &Platform,
    contract: &Contract,
    clauses: &mut Clauses,
) -> Result<()> {
    clauses.equal("class", format!("{}-bit", macho.bits), "64-bit");
    let machine = if machine_of(platform)? == "x86_64" { "x86_64" } else { "arm64" };
    clauses.equal("machine", macho.machine.clone(), machine);
    let kind = match macho.file_type {
        macho::MH_EXECUTE if macho.flags.contains(macho::MH_PIE) => "PIE".into(),
        macho::MH_EXECUTE => "executable at a fixed address".into(),
        other => format!("{other:?}"),
    };
    clauses.equal("type", kind, "PIE");
    clauses.equal("loader", macho.loader.clone().unwrap_or("none".into()), LOADER);

    let known = |(kind, path): &(String, String)| kind == "LC_LOAD_DYLIB" && platform.needed.contains(path);
    let shown = |(kind, path): &(String, String)| match kind.as_str() {
        "LC_LOAD_DYLIB" => path.clone(),
        _ => format!("{path} ({kind})"),
    };
    let libraries: Vec<_> = macho.libraries.iter().map(shown).collect();
    let all_known = !libraries.is_empty() && macho.libraries.iter().all(known);
    clauses.add("needed", list(&libraries), format!("only {}", platform.needed.join(", ")), all_known);
    clauses.none("run path", &macho.rpaths);

    let minimum = |(platform, version): &(macho::Platform, macho::Version)| match *platform {
        macho::PLATFORM_MACOS if version.update() == 0 => format!("{}.{}", version.major(), version.minor()),
        macho::PLATFORM_MACOS => version.to_string(),
        other => format!("{other:?} {version}"),
    };
    let minimums: Vec<_> = macho.minimum_versions.iter().map(minimum).collect();
    clauses.equal("minimum macOS", list(&minimums), platform.minimum_macos.clone().unwrap_or("none".into()));

    // macOS 26 refuses programs without one.
    let uuids: Vec<_> = macho.uuids.iter().map(uuid_text).collect();
    clauses.add("UUID", list(&uuids), "exactly one, not zero", uuids.len() == 1 && macho.uuids[0] != [0; 16]);

    hardening(macho, clauses);
    clauses.equal("local symbols", macho.local_symbols.to_string(), "0");
    let sections = macho.segments.iter().flat_map(|segment| &segment.sections);
    let debug = sections.filter(|section| section.name.contains("__debug_") || section.name.starts_with("__DWARF,"));
    clauses.none("debug", &debug.map(|section| section.name.clone()).collect::<Vec<_>>());
    clauses.equal("trailing bytes", macho.trailing().to_string(), "0");
    signature(&codesign::verify_source(&bytes)?, &contract.signing_identifier, clauses);
    Ok(())
}

fn signature(report: &codesign::Report, identifier: &str, clauses: &mut Clauses) {
    let signature = report.signature();
    let (measured, expected) = match (report.first_problem(), signature) {
        (Some(problem), _) => (problem, false),
        (None, None) => ("none".into(), false),
        (None, Some(signature)) => {
            let kind = if signature.adhoc { "ad hoc" } else { "not ad hoc" };
            let form = signature.form.as_deref().unwrap_or("no known tool");
            let measured = format!("valid, {kind}, identifier {}, as made by {form}", signature.identifier);
            // A signature does not cover itself: only its form shows a change in a field that no verifier looks at.
            (measured, signature.adhoc && signature.identifier == identifier && signature.form.is_some())
        }
    };
    clauses.add("signature", measured, format!("valid, ad hoc, identifier {identifier}"), expected);
}

fn hardening(macho: &MachO, clauses: &mut Clauses) {
    let executable_stack = macho.flags.contains(macho::MH_ALLOW_STACK_EXECUTION);
    clauses.equal("stack", if executable_stack { "executable" } else { "not executable" }, "not executable");
    let both = |bits: macho::VmProt| bits.contains(macho::VM_PROT_WRITE) && bits.contains(macho::VM_PROT_EXECUTE);
    let writable = macho.segments.iter().filter(|segment| both(segment.initial) || both(segment.maximum));
    let shown = writable.map(|segment| {
        format!("{} {}, at most {}", segment.name, protection(segment.initial), protection(segment.maximum))
    });
    clauses.none("writable code", &shown.collect::<Vec<_>>());
}

/// A UUID in its usual form.
fn uuid_text(uuid: &[u8; 16]) -> String {
    let mut text = String::new();
    for (index, byte) in uuid.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            text.push('-');
        }
        text += &format!("{byte:02X}");
    }
    text
}
