//! Each clause, broken alone: a file that is proper but for one thing must be refused for that one thing.

use release_helper::domain::artifact::inspect::{Surroundings, inspect_in};
use release_helper::domain::codesign;
use release_helper::domain::contract::Platform;

use crate::fixtures::{self, Variant};
use crate::{inspect, rare};

fn platform(name: &str) -> Platform {
    fixtures::contract().platform(name).unwrap().clone()
}

/// The platforms whose artifacts can be linked here.
fn platforms(names: &[&str]) -> Vec<Platform> {
    names.iter().map(|name| platform(name)).filter(fixtures::has_target).collect()
}

const GLIBC: [&str; 2] = ["linux-amd64", "linux-arm64"];
const MUSL: [&str; 2] = ["linux-amd64-musl", "linux-arm64-musl"];
const LINUX: [&str; 4] = ["linux-amd64", "linux-arm64", "linux-amd64-musl", "linux-arm64-musl"];
/// Clauses about strings do not ask for the machine: one file of each kind will do.
const CONTENT: [&str; 2] = ["linux-amd64", "darwin-arm64"];
const DARWIN: [&str; 2] = ["darwin-amd64", "darwin-arm64"];

#[track_caller]
fn breaks_only(clause: &str, bytes: &[u8], platform: &Platform) {
    let inspection = inspect(bytes, platform).unwrap();
    let broken: Vec<_> = inspection.broken().map(|clause| clause.clause).collect();
    assert_eq!(broken, [clause], "{}: {:#?}", platform.name, inspection.broken().collect::<Vec<_>>());
    assert!(!inspection.holds());
}

fn linked(platform: &Platform, change: impl FnOnce(&mut Variant)) -> Vec<u8> {
    let mut variant = Variant::default();
    change(&mut variant);
    fixtures::linked(platform, &variant)
}

/// `bytes` with the one occurrence of `from` replaced by `to`.
#[track_caller]
fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let places: Vec<_> = (0..bytes.len()).filter(|&at| bytes[at..].starts_with(from)).collect();
    assert_eq!(places.len(), 1, "{} occurs at {places:?}", String::from_utf8_lossy(from));
    patched(bytes, places[0], to)
}

fn patched(bytes: &[u8], at: usize, to: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[at..at + to.len()].copy_from_slice(to);
    bytes
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn long(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

/// Where the program headers of `kind` begin in a 64-bit ELF file.
fn program_headers(bytes: &[u8], kind: u32) -> Vec<usize> {
    let (start, count) = (long(bytes, 32) as usize, u16::from_le_bytes([bytes[56], bytes[57]]) as usize);
    (0..count).map(|index| start + index * 56).filter(|&at| word(bytes, at) == kind).collect()
}

/// Where the entry with `tag` begins in the dynamic section.
fn dynamic_entry(bytes: &[u8], tag: u64) -> usize {
    let table = long(bytes, program_headers(bytes, 2)[0] + 8) as usize;
    (0..).map(|index| table + index * 16).find(|&at| long(bytes, at) == tag).unwrap()
}

#[test]
fn a_proper_artifact_fulfils_every_clause() {
    for platform in platforms(&[&LINUX[..], &DARWIN].concat()) {
        let inspection = inspect(&fixtures::artifact(&platform), &platform).unwrap();
        assert!(inspection.holds(), "{}: {:#?}", platform.name, inspection.broken().collect::<Vec<_>>());
    }
}

#[test]
fn elf_identity() {
    for platform in platforms(&LINUX) {
        let proper = fixtures::artifact(&platform);
        let other_machine: u16 = if platform.target.starts_with("x86_64") { 183 } else { 62 };
        breaks_only("machine", &patched(&proper, 18, &other_machine.to_le_bytes()), &platform);
        breaks_only("OS/ABI", &patched(&proper, 7, &[3]), &platform);
        breaks_only("type", &patched(&proper, 16, &[2]), &platform);
        // Still ET_DYN, but without DF_1_PIE: a library, as far as tools can tell.
        let flags = dynamic_entry(&proper, 0x6fff_fffb) + 8;
        breaks_only("type", &patched(&proper, flags, &(long(&proper, flags) & !0x0800_0000).to_le_bytes()), &platform);
    }
}

#[test]
fn an_elf_file_of_32_bits() {
    for platform in platforms(&["linux-amd64"]) {
        breaks_only("class", &rare::x32(&platform), &platform);
    }
}

#[test]
fn another_container() {
    for (one, other) in [("linux-amd64", "darwin-amd64"), ("linux-amd64-musl", "darwin-amd64")] {
        if let [one, other] = &platforms(&[one, other])[..] {
            breaks_only("container", &fixtures::artifact(one), other);
            breaks_only("container", &fixtures::artifact(other), one);
        }
    }
}

#[test]
fn elf_interpreter() {
    for platform in platforms(&GLIBC) {
        let path = platform.interpreter.clone().unwrap();
        let other = path.replace("ld-linux", "ld-other");
        breaks_only(
            "interpreter",
            &replaced(&fixtures::artifact(&platform), path.as_bytes(), other.as_bytes()),
            &platform,
        );
    }
    for platform in platforms(&MUSL) {
        let loader = platform.loader.clone().unwrap();
        let bytes = linked(&platform, |variant| {
            variant.without = vec!["--no-dynamic-linker"];
            variant.link = vec![format!("--dynamic-linker={loader}")];
        });
        breaks_only("interpreter", &bytes, &platform);
    }
}

#[test]
fn elf_dependencies() {
    for platform in platforms(&LINUX) {
        breaks_only("needed", &linked(&platform, |variant| variant.soname = Some("libgcc_s.so.1")), &platform);
        breaks_only("run path", &linked(&platform, |variant| variant.link = vec!["-rpath=/opt/lib".into()]), &platform);
        let old_style = ["-rpath=$ORIGIN", "--disable-new-dtags"].map(String::from).to_vec();
        breaks_only("run path", &linked(&platform, |variant| variant.link = old_style), &platform);
        for version in ["GLIBC_2.34", "GLIBC_PRIVATE", "GLIBC_ABI_DT_RELR", "GCC_3.0"] {
            let bytes = linked(&platform, |variant| variant.symbol_version = Some(version));
            breaks_only("symbol versions", &bytes, &platform);
            breaks_only("symbol versions", &without_section_headers(&bytes), &platform);
        }
        // DT_DEBUG (21) means nothing to the loader of a program; DT_TEXTREL (22) does.
        let proper = fixtures::artifact(&platform);
        breaks_only("text relocations", &patched(&proper, dynamic_entry(&proper, 21), &[22]), &platform);
        // DT_AUXILIARY with the name of the first library: another way to have one loaded.
        let name = long(&proper, dynamic_entry(&proper, 1) + 8).to_le_bytes();
        let auxiliary = [&0x7fff_fffdu64.to_le_bytes()[..], &name].concat();
        breaks_only("needed", &patched(&proper, dynamic_entry(&proper, 21), &auxiliary), &platform);
        let packed = vec!["--pack-dyn-relocs=relr".to_owned()];
        breaks_only("packed relocations", &linked(&platform, |variant| variant.link = packed), &platform);
    }
}

/// What `llvm-strip --strip-sections` leaves.
fn without_section_headers(bytes: &[u8]) -> Vec<u8> {
    let end = long(bytes, 40) as usize;
    let mut bytes = patched(&bytes[..end], 40, &[0; 8]);
    bytes[58..64].fill(0);
    // The names of sections, .comment and padding lie behind the last segment.
    let end = program_headers(&bytes, 1).into_iter().map(|at| long(&bytes, at + 8) + long(&bytes, at + 32)).max();
    bytes.truncate(end.unwrap() as usize);
    bytes
}

#[test]
fn an_artifact_without_section_headers_is_judged_as_surely() {
    for platform in platforms(&LINUX) {
        let inspection = inspect(&without_section_headers(&fixtures::artifact(&platform)), &platform).unwrap();
        assert!(inspection.holds(), "{:#?}", inspection.broken().collect::<Vec<_>>());
        let versions = inspection.clauses.iter().find(|clause| clause.clause == "symbol versions").unwrap();
        let expected = platform
            .glibc_ceiling
            .as_ref()
            .map_or("none".into(), |ceiling| format!("libc.so.6 GLIBC_{ceiling}, libdl.so.2 GLIBC_{ceiling}"));
        assert_eq!(versions.measured, expected);
    }
}

#[test]
fn elf_hardening() {
    for platform in platforms(&LINUX) {
        let proper = fixtures::artifact(&platform);
        let instead = |without: &'static str, with: &str| {
            linked(&platform, |variant| {
                variant.without = vec![without];
                variant.link = vec![with.into()];
            })
        };
        breaks_only("stack", &instead("-znoexecstack", "-zexecstack"), &platform);
        let stack_header = program_headers(&proper, 0x6474_e551)[0];
        breaks_only("stack", &patched(&proper, stack_header, &[0; 4]), &platform);
        breaks_only("RELRO", &instead("-zrelro", "-znorelro"), &platform);
        // A RELRO that ends before the dynamic section.
        let relro = program_headers(&proper, 0x6474_e552)[0];
        breaks_only("RELRO", &patched(&proper, relro + 40, &[8, 0, 0, 0, 0, 0, 0, 0]), &platform);
        breaks_only("bind now", &instead("-znow", "-zlazy"), &platform);
        let code = program_headers(&proper, 1).into_iter().find(|&at| word(&proper, at + 4) & 1 != 0).unwrap();
        breaks_only("writable code", &patched(&proper, code + 4, &[7]), &platform);
    }
}

#[test]
fn two_dynamic_sections_cannot_be_judged() {
    for platform in platforms(&LINUX) {
        let proper = fixtures::artifact(&platform);
        let stack_header = program_headers(&proper, 0x6474_e551)[0];
        let error = inspect(&patched(&proper, stack_header, &[2, 0, 0, 0]), &platform).unwrap_err();
        assert!(format!("{error:#}").ends_with("there are 2 segments PT_DYNAMIC"), "{error:#}");
    }
}

#[test]
fn elf_leftovers() {
    for platform in platforms(&LINUX) {
        let build_id = linked(&platform, |variant| variant.link = vec!["--build-id=sha1".into()]);
        breaks_only("build-id", &build_id, &platform);
        breaks_only("build-id", &without_section_headers(&build_id), &platform);
        breaks_only("symbols, debug", &linked(&platform, |variant| variant.without = vec!["--strip-all"]), &platform);
        let proper = fixtures::artifact(&platform);
        breaks_only("comment", &replaced(&proper, b"rustc version ", b"GCC: (Debian) "), &platform);
        breaks_only("trailing bytes", &[&proper[..], b"x"].concat(), &platform);
    }
}

/// Where the load commands of `kind` begin in a 64-bit Mach-O file.
fn load_commands(bytes: &[u8], kind: u32) -> Vec<usize> {
    let (mut at, mut found) = (32, Vec::new());
    for _ in 0..word(bytes, 16) {
        if word(bytes, at) == kind {
            found.push(at);
        }
        at += word(bytes, at + 4) as usize;
    }
    found
}

/// `bytes` with `to` at `at`, and signed anew: a change that nobody tried to hide.
fn resigned(bytes: &[u8], at: usize, to: &[u8]) -> Vec<u8> {
    fixtures::signed(&patched(bytes, at, to))
}

#[test]
fn mach_o_identity() {
    for platform in platforms(&DARWIN) {
        let proper = fixtures::artifact(&platform);
        let other_machine: u32 = if platform.target.starts_with("x86_64") { 0x0100_000c } else { 0x0100_0007 };
        breaks_only("machine", &resigned(&proper, 4, &other_machine.to_le_bytes()), &platform);
        breaks_only("type", &resigned(&proper, 12, &[8]), &platform);
        breaks_only("type", &resigned(&proper, 24, &(word(&proper, 24) & !0x20_0000).to_le_bytes()), &platform);
        let dyld = replaced(&proper, b"/usr/lib/dyld", b"/usr/lib/dylt");
        breaks_only("loader", &fixtures::signed(&dyld), &platform);
        breaks_only("class", &rare::mach_o_32(&platform), &platform);
    }
}

#[test]
fn mach_o_dependencies() {
    for platform in platforms(&DARWIN) {
        for library in ["/usr/lib/libiconv.2.dylib", "/nix-store/libiconv.dylib", "@rpath/libSystem.B.dylib"] {
            breaks_only("needed", &linked(&platform, |variant| variant.soname = Some(library)), &platform);
        }
        let proper = fixtures::artifact(&platform);
        let load = load_commands(&proper, 0xc)[0];
        breaks_only("needed", &resigned(&proper, load, &0x8000_0018u32.to_le_bytes()), &platform);
        let rpath = ["-rpath", "@loader_path/../lib"].map(String::from).to_vec();
        breaks_only("run path", &linked(&platform, |variant| variant.link = rpath), &platform);
    }
}

#[test]
fn mach_o_minimum_and_uuid() {
    for platform in platforms(&DARWIN) {
        let proper = fixtures::artifact(&platform);
        let build = load_commands(&proper, 0x32)[0];
        breaks_only("minimum macOS", &resigned(&proper, build + 12, &0x000c_0000u32.to_le_bytes()), &platform);
        breaks_only("minimum macOS", &resigned(&proper, build + 12, &0x000b_0001u32.to_le_bytes()), &platform);
        // Built for iOS.
        breaks_only("minimum macOS", &resigned(&proper, build + 8, &[2]), &platform);
        let uuid = load_commands(&proper, 0x1b)[0];
        breaks_only("UUID", &resigned(&proper, uuid + 8, &[0; 16]), &platform);
        breaks_only("UUID", &linked(&platform, |variant| variant.link = vec!["-no_uuid".into()]), &platform);
    }
}

#[test]
fn mach_o_hardening_and_leftovers() {
    for platform in platforms(&DARWIN) {
        let proper = fixtures::artifact(&platform);
        let flags = word(&proper, 24);
        breaks_only("stack", &resigned(&proper, 24, &(flags | 0x2_0000).to_le_bytes()), &platform);
        let text =
            load_commands(&proper, 0x19).into_iter().find(|&at| proper[at + 8..].starts_with(b"__TEXT\0")).unwrap();
        breaks_only("writable code", &resigned(&proper, text + 60, &[7]), &platform);
        breaks_only("writable code", &resigned(&proper, text + 56, &[7]), &platform);
        let section = text + 72;
        breaks_only("debug", &resigned(&proper, section, b"__debug_info\0"), &platform);
        let symbols = linked(&platform, |variant| variant.without = vec!["-S", "-x"]);
        breaks_only("local symbols", &symbols, &platform);
    }
}

#[test]
fn mach_o_signature() {
    for platform in platforms(&DARWIN) {
        let proper = fixtures::artifact(&platform);
        let text = (0..proper.len()).find(|&at| proper[at..].starts_with(b"tsuku-dltest v1.2.3")).unwrap();
        breaks_only("signature", &patched(&proper, text + 20, b"!"), &platform);
        breaks_only("signature", &codesign::unsign(&proper).unwrap(), &platform);
        for identifier in ["tsuku_dltest-55554944", "tsuku", "tsuku-dltest2"] {
            breaks_only("signature", &fixtures::signed_as(&proper, identifier), &platform);
        }
        // Behind the end of the signature nothing may follow; macOS says so too.
        let inspection = inspect(&[&proper[..], b"x"].concat(), &platform).unwrap();
        let broken: Vec<_> = inspection.broken().map(|clause| clause.clause).collect();
        assert!(broken.contains(&"trailing bytes"), "{broken:?}");
    }
}

#[test]
fn a_file_that_is_too_large() {
    let large: &'static str = "large ".repeat(30_000).leak();
    for platform in platforms(&CONTENT) {
        breaks_only("size", &linked(&platform, |variant| variant.extra = large), &platform);
    }
}

#[test]
fn another_version_or_none_or_two() {
    for platform in platforms(&CONTENT) {
        for other in ["1.2.4", "11.2.3", "1.2.30", "1.2.3-rc.1", "1.2.3.4", "1.2"] {
            breaks_only("version", &linked(&platform, |variant| variant.version = Some(other)), &platform);
        }
        for second in ["1.2.3", "v1.2.3", "tsuku-dltest v1.2.4"] {
            breaks_only("version", &linked(&platform, |variant| variant.extra = second), &platform);
        }
        for harmless in ["GLIBC_1.2.3", "1.2.33", "1.2.3-beta", "0.1.2.3"] {
            let bytes = linked(&platform, |variant| variant.extra = harmless);
            assert!(inspect(&bytes, &platform).unwrap().holds(), "{harmless}");
        }
    }
}

#[test]
fn without_a_given_version_any_one_will_do_but_only_one() {
    let (contract, nowhere) = (fixtures::contract(), Surroundings::default());
    for platform in platforms(&["linux-amd64"]) {
        let holds = |bytes: &[u8]| inspect_in(bytes, &platform, &contract, None, &nowhere).unwrap().holds();
        assert!(holds(&fixtures::artifact(&platform)));
        assert!(holds(&linked(&platform, |variant| variant.version = Some("0.0.0-rehearsal.1"))));
        assert!(!holds(&linked(&platform, |variant| variant.version = Some("one"))));
        assert!(!holds(&linked(&platform, |variant| variant.extra = "tsuku-dltest v1.2.4")));
    }
}

#[test]
fn strings_of_a_build_machine() {
    for platform in platforms(&CONTENT) {
        for path in [
            "/nix/store/abc-libiconv",
            "/home/me/x.rs",
            "/root/x",
            "/build/x",
            "/Users/me/x",
            "/tmp/x",
            "/var/folders/x",
        ] {
            breaks_only("build paths", &linked(&platform, |variant| variant.extra = path), &platform);
        }
    }
}

#[test]
fn strings_of_this_very_machine() {
    let contract = fixtures::contract();
    let here = Surroundings {
        directories: vec!["/srv/ci/work".into(), "/lib".into(), "/dev".into(), "/".into(), "relative".into()],
        names: vec!["somebody".into(), "jobs".into(), "root".into(), "tsuku".into(), "ci".into()],
    };
    for platform in platforms(&CONTENT) {
        let holds = |extra: &'static str| {
            let bytes = linked(&platform, |variant| variant.extra = extra);
            inspect_in(&bytes, &platform, &contract, Some(fixtures::VERSION), &here).unwrap().holds()
        };
        for trace in ["/srv/ci/work/main.rs", "by somebody@host", "/mnt/somebody/x", "user=jobs"] {
            assert!(!holds(trace), "{trace}");
        }
        // The name of a user may be a word that is rightly there.
        for harmless in ["", "--jobs N", "steve.jobs", "/srv/ci", "the root of all", "/dev/null"] {
            assert!(holds(harmless), "{harmless}");
        }
    }
}
