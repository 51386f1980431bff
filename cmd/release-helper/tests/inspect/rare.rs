//! Files of classes that no release has: 32-bit ones that fulfil every other clause.

use std::process::Command;

use release_helper::domain::contract::Platform;

use crate::fixtures;

/// An artifact of `platform` for the x32 ABI: 32-bit ELF for the same machine. No compiler makes it: it holds only data.
pub(crate) fn x32(platform: &Platform) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    std::fs::write(at("empty.ld"), "unused = 0;\n").unwrap();
    let data = format!(
        ".text : {{ LONG(0) }} .rodata : {{ {} }}",
        bytes_of(&format!("tsuku-dltest v{}\n\0", fixtures::VERSION))
    );
    std::fs::write(at("program.ld"), format!("ENTRY(unused) unused = 0; SECTIONS {{ {data} }}\n")).unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(fixtures::linker())
            .args(["-flavor", "gnu", "-m", "elf32_x86_64"])
            .args(arguments)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    let path = |name: &str| at(name).to_str().unwrap().to_owned();
    run(&["-shared", "-soname", &platform.needed[0], "-o", &path("stub"), &path("empty.ld")]);
    let interpreter = format!("--dynamic-linker={}", platform.interpreter.as_ref().unwrap());
    let flags = ["-pie", "-znow", "-zrelro", "-znoexecstack", "--strip-all", &interpreter];
    run(&[&flags[..], &["-o", &path("out"), &path("stub"), &path("program.ld")]].concat());
    std::fs::read(at("out")).unwrap()
}

/// `text` in the language of linker scripts.
fn bytes_of(text: &str) -> String {
    text.bytes().map(|byte| format!("BYTE({byte}) ")).collect()
}

/// A Mach-O file in the 32-bit format that is otherwise as the contract of `platform` wants it. No linker makes such a
/// thing any more: macOS ended its 32-bit programs before macOS 11.
pub(crate) fn mach_o_32(platform: &Platform) -> Vec<u8> {
    let word = |value: u32| value.to_le_bytes();
    let cpu: u32 = if platform.target.starts_with("x86_64") { 0x0100_0007 } else { 0x0100_000c };
    let string = |command: u32, fixed: &[u32], text: &str| {
        let size = (8 + 4 * fixed.len() + text.len()).next_multiple_of(4) as u32 + 4;
        let mut bytes = [word(command), word(size)].concat();
        bytes.extend(fixed.iter().flat_map(|value| word(*value)));
        bytes.extend(text.bytes());
        bytes.resize(size as usize, 0);
        bytes
    };
    let segment = |name: &str, offset: u32, size: u32, protection: u32| {
        let mut bytes = [word(1), word(56)].concat();
        bytes.extend(name.bytes().chain(std::iter::repeat(0)).take(16));
        for value in [offset, 0x4000, offset, size, protection, protection, 0, 0] {
            bytes.extend(word(value));
        }
        bytes
    };
    let uuid = [&word(0x1b)[..], &word(24), &[7; 16]].concat();
    let minimum = [0x32, 24, 1, 0x000b_0000, 0x000b_0000, 0].map(word).concat();
    let commands = [
        segment("__TEXT", 0, 0x4000, 5),
        segment("__LINKEDIT", 0x4000, 16, 1),
        string(0xe, &[12], "/usr/lib/dyld"),
        string(0xc, &[24, 2, 0, 0], &platform.needed[0]),
        uuid,
        minimum,
    ];
    let size: usize = commands.iter().map(Vec::len).sum();
    let mut bytes = [0xfeed_face, cpu, 0, 2, commands.len() as u32, size as u32, 0x20_0085].map(word).concat();
    bytes.extend(commands.concat());
    bytes.resize(0x1000, 0);
    bytes.extend(format!("tsuku-dltest v{}\n", fixtures::VERSION).bytes());
    bytes.resize(0x4010, 0);
    fixtures::signed(&bytes)
}
