//! Where Apple's published source decides (Security-61901, `libsecurity_codesigning` and `libsecurity_utilities`).

use std::fs;
use std::path::Path;
use std::process::Command;

use release_helper::domain::codesign::{
    CodeDirectory, ExecSegment, Linker, PageSize, Report, Signing, Style, sign, sign_file, verify,
};

use crate::images::{ARM, INTEL, Image, fat};

/// LC_VERSION_MIN_MACOSX and LC_BUILD_VERSION.
const VERSION_MIN_MACOS: u32 = 0x24;
const BUILD_VERSION: u32 = 0x32;
/// LC_UUID is left out of these images, so that an identifier made unique has a hash of the load commands.
const MACOS: u32 = 1;
const TVOS: u32 = 3;

/// A program with these version commands: number and content.
fn image(cpu: (u32, u32), versions: &[(u32, Vec<u32>)]) -> Vec<u8> {
    let mut image = Image::new(cpu);
    image.commands.truncate(1);
    image.commands.extend(versions.iter().cloned());
    image.bytes()
}

fn build_version(platform: u32, minimum: u32) -> (u32, Vec<u32>) {
    (BUILD_VERSION, vec![platform, minimum, minimum, 0])
}

fn version_min(minimum: u32) -> (u32, Vec<u32>) {
    (VERSION_MIN_MACOS, vec![minimum, minimum])
}

fn directories(bytes: &[u8]) -> Vec<CodeDirectory> {
    let report = verify(&sign(bytes, &Signing::adhoc("program")).unwrap()).unwrap();
    assert_eq!(report.first_problem(), None);
    report.signature().unwrap().code_directories.clone()
}

fn hashes(bytes: &[u8]) -> Vec<&'static str> {
    directories(bytes).iter().map(|directory| directory.hash).collect()
}

/// `machorep.cpp`, `prepareForSigning` and `needsExecSeg`; `cdbuilder.cpp`, `build`.
#[test]
fn a_program_without_a_version_command_has_one_hash_and_no_executable_segment() {
    let directories = directories(&image(INTEL, &[]));
    let [directory] = &directories[..] else { panic!("{directories:?}") };
    assert_eq!((directory.hash, directory.version), ("sha256", 0x20100));
    assert!(directory.exec_segment.is_none());
    let named = &self::directories(&image(INTEL, &[build_version(MACOS, 0x000b_0000)]))[0];
    assert_eq!(named.version, 0x20400);
    assert!(matches!(named.exec_segment, Some(ExecSegment { limit: 0x1000, flags: 1, .. })));
}

/// `machorep.cpp`, `pageSize`: a device with tvOS has small pages.
#[test]
fn pages_are_small_on_tvos() {
    let page_size = |versions: &[(u32, Vec<u32>)]| directories(&image(ARM, versions))[0].page_size;
    assert_eq!(page_size(&[build_version(TVOS, 0x0010_0000)]), 4096);
    assert_eq!(page_size(&[build_version(MACOS, 0x000b_0000)]), 16384);
    assert_eq!(page_size(&[]), 16384);
}

/// `macho++.cpp`, `version`: the first LC_BUILD_VERSION, without any the first LC_VERSION_MIN_….
#[test]
fn of_several_version_commands_apples_choice_counts() {
    const OLD: u32 = 0x000a_0900;
    const NEW: u32 = 0x000b_0000;
    const BOTH: &[&str] = &["sha1", "sha256"];
    for (versions, expected) in [
        (vec![build_version(MACOS, NEW), build_version(MACOS, OLD)], &["sha256"][..]),
        (vec![build_version(MACOS, OLD), build_version(MACOS, NEW)], BOTH),
        (vec![version_min(OLD), build_version(MACOS, NEW)], &["sha256"]),
        (vec![build_version(MACOS, NEW), version_min(OLD)], &["sha256"]),
        (vec![version_min(OLD), version_min(NEW)], BOTH),
        (vec![version_min(NEW), version_min(OLD)], &["sha256"]),
    ] {
        assert_eq!(hashes(&image(INTEL, &versions)), expected, "{versions:x?}");
    }
}

/// The default identifier of a file called `tool` with this property list inside.
fn identifier(plist: &[u8]) -> Result<String, String> {
    // A program whose one section is the property list.
    let mut bytes = Image::new(INTEL).bytes();
    let name = bytes.windows(7).position(|window| window == b"__text\0").unwrap();
    bytes[name..name + 12].copy_from_slice(b"__info_plist");
    let size = name + 32 + 8;
    bytes[size..size + 8].copy_from_slice(&(plist.len() as u64).to_le_bytes());
    let offset = u32::from_le_bytes(bytes[size + 8..size + 12].try_into().unwrap()) as usize;
    bytes[offset..offset + plist.len()].copy_from_slice(plist);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tool");
    fs::write(&path, bytes).unwrap();
    let signing = Signing { identifier: None, style: Style::Codesign(None) };
    sign_file(&path, &path, &signing, false).map_err(|error| format!("{error:#}"))?;
    let report = verify(&fs::read(&path).unwrap()).unwrap();
    assert_eq!(report.first_problem(), None);
    Ok(report.signature().unwrap().identifier.clone())
}

fn xml(content: &str) -> Vec<u8> {
    format!("<?xml version=\"1.0\"?>\n<plist version=\"1.0\"><dict>{content}</dict></plist>").into_bytes()
}

/// `machorep.cpp`, `explicitIdentifier`; `signer.cpp`: only what the file's name gives is made unique.
#[test]
fn what_a_program_says_of_itself_is_its_identifier_with_a_dot_or_without() {
    let own = "<key>CFBundleIdentifier</key><!-- why not --><string>program</string>";
    let nested = "<key>x</key><dict><key>CFBundleIdentifier</key><string>org.wrong</string></dict>";
    assert_eq!(identifier(&xml(own)).unwrap(), "program");
    assert_eq!(identifier(&xml(&format!("{nested}{own}"))).unwrap(), "program");
    assert!(identifier(&xml(nested)).unwrap().starts_with("tool-"));
    // {"CFBundleIdentifier": "a.b"} in the binary format.
    let mut binary = b"bplist00\xd1\x01\x02\x5f\x10\x12CFBundleIdentifier\x53a.b".to_vec();
    let table = binary.len() as u8;
    binary.extend_from_slice(&[8, 11, 32, 0, 0, 0, 0, 0, 0, 1, 1]);
    for number in [3, 0, table] {
        binary.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, number]);
    }
    assert_eq!(identifier(&binary).unwrap(), "a.b");
    for damaged in [&b"no list"[..], &xml("<key>CFBundleIdentifier</key><true/>"), b"bplist00"] {
        let error = identifier(damaged).unwrap_err();
        assert!(error.contains("section __info_plist holds no property list that can be read"), "{error}");
    }
}

#[test]
fn what_its_own_verification_would_refuse_is_not_signed() {
    let both = fat(&[&image(INTEL, &[]), &image(ARM, &[])], false, 12);
    let large = Signing { style: Style::Codesign(Some(PageSize::Large)), ..Signing::adhoc("program") };
    let error = format!("{:#}", sign(&both, &large).unwrap_err());
    assert_eq!(error, "x86_64: kernels refuse pages of 16384 bytes on x86_64");
    assert!(verify(&sign(&image(ARM, &[]), &large).unwrap()).unwrap().holds());
    let error = sign(&image(ARM, &[]), &Signing::adhoc("i".repeat(4096))).unwrap_err();
    assert!(format!("{error:#}").contains("an identifier of 4096 bytes is longer than the 4095"), "{error:#}");
    assert!(verify(&sign(&image(ARM, &[]), &Signing::adhoc("i".repeat(4095))).unwrap()).unwrap().holds());
}

fn problem(bytes: &[u8]) -> String {
    verify(bytes).unwrap().first_problem().unwrap_or_else(|| "holds".to_owned())
}

/// `macho++.cpp`, `validateStructure` and `Universal`: what `codesign --verify --strict` calls suspicious.
#[test]
fn bytes_that_nothing_seals_are_refused() {
    let signed = |cpu| sign(&image(cpu, &[]), &Signing::adhoc("program")).unwrap();
    let thin = signed(ARM);
    for extra in [1, 7, 8, 4096] {
        let longer = [thin.as_slice(), &vec![0; extra]].concat();
        assert!(!verify(&longer).unwrap().holds(), "{extra} bytes behind a thin file");
    }
    let both = fat(&[&signed(INTEL), &thin], false, 14);
    assert_eq!(problem(&both), "holds");
    assert!(problem(&[both.as_slice(), &[0]].concat()).contains("behind the last slice"));
    // The second slice is put 2^14 further than it must be, then as far as it may be.
    let second = u32::from_be_bytes(both[8 + 20 + 8..][..4].try_into().unwrap()) as usize;
    let mut wide = both.clone();
    wide.splice(second..second, vec![0; 1 << 14]);
    wide[8 + 20 + 8..][..4].copy_from_slice(&((second + (1 << 14)) as u32).to_be_bytes());
    assert!(problem(&wide).contains("more than its alignment of 2^14 needs"), "{}", problem(&wide));
}

/// A signature follows from the code, the identifier and the form; an earlier, longer one leaves no trace.
#[test]
fn a_signature_does_not_depend_on_the_one_before() {
    for cpu in [INTEL, ARM] {
        for linker in Linker::ALL {
            for (long, short) in [(300, 1), (16, 15), (2000, 40), (60, 30), (4000, 7)] {
                let signing =
                    |length| Signing { identifier: Some("i".repeat(length)), style: Style::Linker(Some(linker)) };
                for memory in [0x100, 0x1000, 0x4000] {
                    let mut image = Image::new(cpu);
                    image.segments[1].2 = memory;
                    let image = image.bytes();
                    let direct = sign(&image, &signing(short)).unwrap();
                    let again = sign(&sign(&image, &signing(long)).unwrap(), &signing(short)).unwrap();
                    assert!(direct == again, "{} {long} then {short}", linker.name());
                }
            }
        }
    }
}

/// The helper on these arguments: its exit status and what it tells. Ended by force after a while: it must not hang.
fn helper(directory: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new("timeout")
        .args(["20", env!("CARGO_BIN_EXE_release-helper")])
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_pipe_is_refused_at_once_and_a_directory_is_no_output() {
    let directory = tempfile::tempdir().unwrap();
    assert!(Command::new("mkfifo").arg(directory.path().join("pipe")).status().unwrap().success());
    for command in ["signature", "sign", "unsign"] {
        let (status, told) = helper(directory.path(), &[command, "pipe"]);
        assert!(status == Some(2) && told.contains("not a regular file"), "{command}: {told}");
    }
    fs::write(directory.path().join("program"), image(ARM, &[])).unwrap();
    let (status, told) = helper(directory.path(), &["sign", "program", "-o", "."]);
    assert_eq!(status, Some(2));
    assert_eq!(told.matches("is no regular file").count(), 1, "{told}");
    assert!(told.contains("hint: name the file itself"), "{told}");
}

#[test]
fn a_file_that_fails_keeps_no_other_from_being_signed() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    for name in ["a", "c"] {
        fs::write(path(name), image(ARM, &[])).unwrap();
    }
    fs::write(path("b"), "no program").unwrap();
    let (status, told) = helper(directory.path(), &["sign", "a", "b", "c", "d", "--identifier", "x"]);
    assert_eq!(status, Some(2));
    assert!(told.contains("cannot sign b: not a Mach-O file") && told.contains("cannot sign d: "), "{told}");
    let holds = |name: &str| verify(&fs::read(path(name)).unwrap()).as_ref().is_ok_and(Report::holds);
    assert!(holds("a") && holds("c") && fs::read(path("b")).unwrap() == b"no program");
}
