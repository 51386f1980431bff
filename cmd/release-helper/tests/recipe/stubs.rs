//! The link stubs: names and nothing else, and exactly what the text beside them says.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use object::elf::{PF_X, PT_DYNAMIC, PT_GNU_RELRO, PT_GNU_STACK, PT_LOAD, SHT_REL, SHT_RELA, STT_NOTYPE};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader, Sym};
use object::{Endianness, elf};
use release_helper::domain::build::stubs;

use crate::recipe::{copy, root};

/// All stubs of the repository.
fn files() -> Vec<PathBuf> {
    let toolchain = release_helper::domain::toolchain::Toolchain::of_tree(&root()).unwrap();
    stubs::make(&toolchain, &root()).unwrap().into_iter().map(|stub| stub.path).collect()
}

/// `release-helper stubs` on `tree`: its exit status and what it tells.
fn command(tree: &std::path::Path, arguments: &[&str]) -> (i32, String) {
    let mut helper = Command::new(env!("CARGO_BIN_EXE_release-helper"));
    let output = helper.arg("stubs").args(arguments).arg("--root").arg(tree).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn they_are_what_the_toolchains_linker_makes_of_their_texts() {
    let (status, told) = command(&root(), &["--check"]);
    assert_eq!((status, told.lines().count()), (0, 6), "{told}");
}

#[test]
fn a_changed_one_is_named_and_made_anew() {
    let tree = copy();
    let name = "cmd/tsuku-dltest/stubs/aarch64-unknown-linux-gnu/libdl.so.2";
    let file = tree.path().join(name);
    let good = fs::read(&file).unwrap();
    let mut bytes = good.clone();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();
    let (status, told) = command(tree.path(), &["--check"]);
    assert_eq!(status, 1, "{told}");
    assert_eq!(told.lines().filter(|line| line.ends_with("not what its text says")).count(), 1, "{told}");
    assert!(told.contains(&format!("{name}: not what")), "{told}");
    let (status, told) = command(tree.path(), &[]);
    assert!(status == 0 && told.contains(&format!("{name}: written")), "{told}");
    assert!(fs::read(&file).unwrap() == good);
}

#[test]
fn they_hold_the_names_of_their_texts_and_no_code() {
    for file in files() {
        let bytes = fs::read(&file).unwrap();
        let header = elf::FileHeader64::<Endianness>::parse(&*bytes).unwrap();
        let endian = header.endian().unwrap();
        for segment in header.program_headers(endian, &*bytes).unwrap() {
            // What is executable, or is bytes that a loader would use, is not there.
            let kind = segment.p_type(endian);
            assert!(!segment.p_flags(endian).contains(PF_X), "{}: an executable segment", file.display());
            let known = [elf::PT_PHDR, PT_LOAD, PT_DYNAMIC, PT_GNU_RELRO, PT_GNU_STACK, elf::PT_NOTE];
            assert!(known.contains(&kind) || kind == elf::PT_GNU_PROPERTY, "{}: segment {kind:#x}", file.display());
        }
        let sections = header.sections(endian, &*bytes).unwrap();
        for section in sections.iter() {
            assert!(![SHT_RELA, SHT_REL].contains(&section.sh_type(endian)), "{}: relocations", file.display());
        }
        let symbols = sections.symbols(endian, &*bytes, elf::SHT_DYNSYM).unwrap();
        let names: Vec<_> = symbols
            .iter()
            .skip(1)
            .inspect(|symbol| assert!(symbol.st_value(endian) == 0 && symbol.st_type() == STT_NOTYPE))
            .map(|symbol| String::from_utf8(symbol.name(endian, symbols.strings()).unwrap().to_vec()).unwrap())
            .collect();
        let text = fs::read_to_string(format!("{}.ld", file.display())).unwrap();
        let told: Vec<_> = text.lines().filter_map(|line| line.strip_suffix(" = 0;")).collect();
        assert_eq!(names, told, "{}", file.display());
        assert!(bytes.len() < 2048, "{}: {} bytes", file.display(), bytes.len());
    }
}
