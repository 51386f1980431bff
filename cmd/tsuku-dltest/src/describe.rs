//! What a file is, where a loader only says that it cannot load it: glibc calls a library for another machine
//! "No such file or directory".

/// The first bytes [`mismatch`] looks at.
pub(crate) const HEAD: usize = 64;

/// `e_machine` of this program (System V ABI, ELF header).
#[cfg(target_arch = "x86_64")]
const MACHINE: u16 = 62;
#[cfg(target_arch = "aarch64")]
const MACHINE: u16 = 183;

/// What a file that starts with `head` is, if it is not a shared object for this machine; as pieces of one phrase.
pub(crate) fn mismatch(head: &[u8]) -> Option<[&'static str; 4]> {
    let phrase = |text| Some([text, "", "", ""]);
    if head.is_empty() {
        return phrase("an empty file");
    }
    if let Some(elf) = head.strip_prefix(b"\x7fELF") {
        return if cfg!(target_os = "linux") { elf_mismatch(elf) } else { phrase("an ELF file, not Mach-O") };
    }
    match head {
        // A universal file goes on with the number of its parts; a class with its version, which is 45 or more.
        [0xca, 0xfe, 0xba, 0xbe, _, _, _, 45..=255, ..] => phrase("a Java class"),
        [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] | [0xca, 0xfe, 0xba, 0xbe | 0xbf, ..] if cfg!(target_os = "macos") => None,
        [0xfe, 0xed, 0xfa, 0xce | 0xcf, ..] => phrase("a Mach-O file for PowerPC"),
        [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] => phrase("a Mach-O file for macOS"),
        [0xca, 0xfe, 0xba, 0xbe | 0xbf, ..] => phrase("a universal Mach-O file for macOS"),
        [b'M', b'Z', ..] => phrase("a Windows library or program"),
        [b'\0', b'a', b's', b'm', ..] => phrase("a WebAssembly module"),
        _ if head.starts_with(b"!<arch>\n") => phrase("a static library (ar archive)"),
        _ if head.starts_with(b"!<thin>\n") => phrase("a static library (thin ar archive)"),
        _ if head.starts_with(b"#!") => phrase("a script"),
        _ if head.starts_with(b"/* GNU ld script") || head.starts_with(b"INPUT") || head.starts_with(b"GROUP") => {
            phrase("a linker script")
        }
        _ if head.starts_with(b"version https://git-lfs") => phrase("a Git LFS pointer, not the file itself"),
        _ if head.iter().all(|&b| matches!(b, b'\t'..=b'\r' | b' '..=b'~')) => phrase("a text file"),
        _ => phrase("no ELF or Mach-O file").filter(|_| head.len() < HEAD || cfg!(target_os = "linux")),
    }
}

/// What a library's death by `signal` most likely means, if it is not plain.
pub(crate) fn death(signal: u8) -> &'static str {
    match signal {
        9 if cfg!(target_os = "macos") => " (macOS kills what is not validly signed)",
        _ => "",
    }
}

/// `rest`: an ELF header after its magic. Offsets are those of the header less four.
fn elf_mismatch(rest: &[u8]) -> Option<[&'static str; 4]> {
    let Some((&[class, order, _, abi], fields)) = rest.split_first_chunk::<4>().filter(|(_, rest)| rest.len() >= 12)
    else {
        return Some(["a truncated ELF file", "", "", ""]);
    };
    let half = |at: usize| {
        let bytes = [fields[at], fields[at + 1]];
        if order == 2 { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    };
    // e_ident has eight more bytes; then e_type and e_machine.
    let (kind, machine) = (half(8), half(10));
    let kind = match kind {
        3 => "an ELF library",
        1 => "an ELF object file (.o)",
        2 => "an ELF program at a fixed address",
        4 => "an ELF core dump",
        _ => "an ELF file of unknown type",
    };
    if class == 2 && order == 1 && machine == MACHINE && matches!(abi, 0 | 3) {
        return if kind == "an ELF library" { None } else { Some([kind, "", "", ""]) };
    }
    let bits = match (class, order) {
        (2, 1) => "",
        (1, 1) => " (32-bit)",
        (1, 2) => " (32-bit, big-endian)",
        (2, 2) => " (big-endian)",
        _ => " (damaged header)",
    };
    let system = match abi {
        0 | 3 => "",
        6 => " and Solaris",
        9 => " and FreeBSD",
        12 => " and OpenBSD",
        _ => " and another system",
    };
    Some([kind, machine_name(machine), bits, system])
}

/// The machine's usual name, by `e_machine`.
fn machine_name(machine: u16) -> &'static str {
    match machine {
        2 | 18 | 43 => " for SPARC",
        3 => " for x86",
        8 => " for MIPS",
        20 => " for PowerPC",
        21 => " for PowerPC 64",
        22 => " for s390",
        40 => " for arm",
        62 => " for x86_64",
        183 => " for aarch64",
        243 => " for RISC-V",
        258 => " for LoongArch",
        _ => " for an unknown machine",
    }
}
