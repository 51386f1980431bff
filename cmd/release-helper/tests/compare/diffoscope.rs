//! diffoscope names the same sections on the same pairs. How much longer it takes: `tests/compare/benchmark`.

use std::collections::BTreeSet;
use std::process::Command;

use release_helper::domain::artifact::compare;

use crate::skipped::skipped;
use crate::{places, wheels};

/// The commands whose output diffoscope compares, with the part of the file that each is about.
fn parts_of(command: &str) -> Vec<String> {
    for option in ["--hex-dump=", "--string-dump=", "--section="] {
        if let Some((_, rest)) = command.split_once(option) {
            return vec![rest.split(' ').next().unwrap().to_owned()];
        }
    }
    let known = [
        ("--file-header", &["ELF header"][..]),
        ("--program-header", &["program headers"]),
        ("--sections", &["section headers", ".shstrtab"]),
        ("--symbols", &[".symtab", ".strtab", ".dynsym"]),
        ("--relocs", &[".rela.dyn", ".rela.plt"]),
        ("--dynamic", &[".dynamic"]),
        ("--notes", &[".note.gnu.build-id"]),
        ("--version-info", &[".gnu.version", ".gnu.version_r"]),
        ("--debug-dump=info", &[".debug_info"]),
        ("--debug-dump=rawline", &[".debug_line"]),
        ("--debug-dump=abbrev", &[".debug_abbrev"]),
        ("--debug-dump=aranges", &[".debug_aranges"]),
        ("--debug-dump=frames", &[".debug_frame", ".eh_frame"]),
        ("--debug-dump=loc", &[".debug_loc"]),
        ("--debug-dump=ranges", &[".debug_ranges"]),
    ];
    let found = known.iter().find(|(option, _)| command.contains(option));
    found.map(|(_, parts)| parts.iter().map(|part| part.to_string()).collect()).unwrap_or_default()
}

#[test]
fn diffoscope_names_the_same_sections() {
    let Some((a, b)) = wheels::pair(wheels::LINUX) else { return };
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("a.so"), &a).unwrap();
    std::fs::write(path("b.so"), &b).unwrap();
    let output =
        Command::new("diffoscope").args(["--no-progress", "--text", "-", &path("a.so"), &path("b.so")]).output();
    let Ok(output) = output else { return skipped("diffoscope is not installed") };
    let text = String::from_utf8_lossy(&output.stdout);
    let commands: Vec<&str> = text.lines().filter(|line| line.starts_with("├── ")).collect();
    assert!(commands.iter().any(|command| command.contains("readelf")), "{:?}", commands);
    let theirs: BTreeSet<String> = commands.iter().flat_map(|command| parts_of(command)).collect();

    let comparison = compare(&a, &b);
    let ours: BTreeSet<String> =
        places(&comparison).into_iter().filter(|name| !name.starts_with("padding")).map(String::from).collect();
    let missed: Vec<_> = ours.difference(&theirs).collect();
    assert!(missed.is_empty(), "only named here: {missed:?}; diffoscope has {theirs:?}");
    // It disassembles with line numbers, so that other debug information makes equal code look different; a command
    // about several sections does not say which. What it shows byte by byte differs here too.
    let shown: BTreeSet<String> = commands
        .iter()
        .filter(|command| command.contains("-dump=.") || command.contains("--debug-dump"))
        .flat_map(|command| parts_of(command))
        .collect();
    let missed: Vec<_> = shown.difference(&ours).collect();
    assert!(missed.is_empty(), "only named by diffoscope: {missed:?}");
}
