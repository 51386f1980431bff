//! What cannot be signed is refused with a reason, and stays as it was.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;

use release_helper::domain::codesign::{Signing, Style, sign, sign_file, unsign, verify};

use crate::images::{ARM, INTEL, INTEL_32, Image, SIGNATURE, fat};

fn signing() -> Signing {
    Signing::adhoc("program")
}

/// Why the file is refused, after seeing that it and its directory stay as they were.
fn refusal(bytes: &[u8], signing: &Signing) -> String {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("program");
    fs::write(&path, bytes).unwrap();
    let before = fs::metadata(&path).unwrap();
    let error = sign_file(&path, &path, signing, false).unwrap_err();
    assert!(fs::read(&path).unwrap() == bytes);
    assert_eq!(fs::metadata(&path).unwrap().modified().unwrap(), before.modified().unwrap());
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
    let text = format!("{error:#}");
    let prefix = format!("cannot sign {}: ", path.display());
    text.strip_prefix(&prefix).unwrap_or_else(|| panic!("{text}")).to_owned()
}

fn image(change: impl FnOnce(&mut Image)) -> Vec<u8> {
    let mut image = Image::new(INTEL);
    change(&mut image);
    image.bytes()
}

#[test]
fn what_is_no_mach_o_file_is_refused() {
    for (bytes, reason) in [
        (&b""[..], "not a Mach-O file: 0 bytes are too few"),
        (b"#!/bin/sh\necho this is a script\n", "not a Mach-O file"),
        (b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0\0\0\0\0\0", "not a Mach-O file"),
        // A Java class file has the magic number of a fat file.
        (b"\xca\xfe\xba\xbe\0\0\0\x41\0\x10\x0a\0\x02\0\x03", "not a Mach-O file: a fat header with 65 slices"),
    ] {
        assert_eq!(refusal(bytes, &signing()), reason);
        assert!(!verify(bytes).unwrap().holds());
        assert!(unsign(bytes).is_err());
    }
}

#[test]
fn only_what_is_loaded_is_signed() {
    let object = image(|image| image.file_type = 1);
    assert_eq!(
        refusal(&object, &signing()),
        "x86_64: only programs, libraries and bundles can be signed, not Mach-O files of type 1"
    );
}

#[test]
fn a_file_without_room_for_the_load_command_is_refused() {
    for room in [0, 8, 15] {
        let full = image(|image| image.room = room);
        assert!(refusal(&full, &signing()).starts_with("x86_64: no room for LC_CODE_SIGNATURE: "));
    }
    assert!(sign(&image(|image| image.room = 16), &signing()).is_ok());
}

#[test]
fn segments_that_overlap_or_lie_are_refused() {
    let text = ("__TEXT", 0x1000, 0x1000, 0, 0x1000);
    for (linkedit, reason) in [
        (("__LINKEDIT", 0x2000, 0x1000, 0xff0, 0x110), "segments __TEXT and __LINKEDIT overlap in the file"),
        (
            ("__LINKEDIT", 0x2000, 0x1000, 0x1000, 0x10_0000_0000),
            "segment __LINKEDIT reaches beyond the end: 0x1000000000 bytes at 0x1000, the image has 0x1100",
        ),
        (
            ("__LINKEDIT", 0x2000, 0x1000, u64::MAX, 0x100),
            "segment __LINKEDIT reaches beyond the end: 0x100 bytes at 0xffffffffffffffff, the image has 0x1100",
        ),
        (("__LINKEDIT", u64::MAX, 0x1000, 0x1000, 0x100), "segment __LINKEDIT reaches beyond the address space"),
        (("__OTHER", 0x2000, 0x1000, 0x1000, 0x100), "x86_64: there is no __LINKEDIT segment"),
    ] {
        let lying = image(|image| image.segments = vec![text, linkedit]);
        assert_eq!(refusal(&lying, &signing()), reason);
    }
    let behind = image(|image| image.segments.push(("__DATA", 0x4000, 0x100, 0x1100, 0x100)));
    assert_eq!(refusal(&behind, &signing()), "x86_64: __LINKEDIT is not the last segment");
    let crowded = image(|image| image.segments.insert(1, ("__ABOVE", 0x3000, 0x1000, 0, 0)));
    assert!(refusal(&crowded, &signing()).contains("no room in the address space for a __LINKEDIT of 0x8000 bytes"));
}

#[test]
fn a_signature_in_the_wrong_place_is_refused() {
    for (offset, size, reason) in [
        (0x1080, 0x100, "the signature reaches beyond the end: 0x100 bytes at 0x1080, the image has 0x1100"),
        (
            0xffff_ffff,
            0xffff_ffff,
            "the signature reaches beyond the end: 0xffffffff bytes at 0xffffffff, the image has 0x1100",
        ),
        (0x1080, 0x70, "there are 16 bytes behind the signature"),
        (0x800, 0x900, "the signature at 0x800 is outside of __LINKEDIT"),
    ] {
        let wrong = image(|image| image.commands.push((SIGNATURE, vec![offset, size])));
        assert_eq!(refusal(&wrong, &signing()), format!("x86_64: {reason}"));
        assert_eq!(verify(&wrong).unwrap().first_problem().unwrap(), reason);
        assert_eq!(format!("{:#}", unsign(&wrong).unwrap_err()), format!("x86_64: {reason}"));
    }
    let twice =
        image(|image| image.commands.extend([(SIGNATURE, vec![0x1080, 0x80]), (SIGNATURE, vec![0x1080, 0x80])]));
    assert_eq!(refusal(&twice, &signing()), "there is more than one LC_CODE_SIGNATURE");
    let long = image(|image| image.commands.push((SIGNATURE, vec![0x1080, 0x80, 0])));
    assert_eq!(refusal(&long, &signing()), "LC_CODE_SIGNATURE has 20 bytes instead of 16");
}

#[test]
fn load_commands_that_lie_about_their_size_are_refused() {
    let mut bytes = image(|_| ());
    bytes[20..24].copy_from_slice(&0x1000_u32.to_le_bytes());
    assert!(refusal(&bytes, &signing()).contains("load command"));
    bytes[20..24].copy_from_slice(&0xf000_u32.to_le_bytes());
    assert!(refusal(&bytes, &signing()).starts_with("the load commands are cut off: "));
    // What is not there is not allocated either.
    bytes[20..24].copy_from_slice(&u32::MAX.to_le_bytes());
    assert_eq!(
        refusal(&bytes, &signing()),
        "the load commands claim 4294967295 bytes, more than the 1048576 supported"
    );
}

#[test]
fn a_damaged_fat_file_is_refused() {
    let (arm, intel) = (Image::new(ARM).bytes(), Image::new(INTEL).bytes());
    let sound = fat(&[&intel, &arm], false, 12);
    let with = |at: usize, value: u32| {
        let mut bytes = sound.clone();
        bytes[at..at + 4].copy_from_slice(&value.to_be_bytes());
        bytes
    };
    for (bytes, reason) in [
        (with(4, 0), "not a Mach-O file: a fat header without slices"),
        (sound[..40].to_vec(), "the fat header is cut off: 40 bytes at 0x8 reach beyond the end, 0x28"),
        (with(16, 0), "slice x86_64 overlaps the fat header"),
        (with(16, 0x1008), "slice x86_64 at 0x1008 is not aligned to 2^12"),
        (with(24, 40), "slice x86_64 claims an alignment of 2^40"),
        (
            with(40, 0x2000),
            "slice arm64 reaches beyond the end of the file: 0x2000 bytes at 0x3000, the file has 0x4100",
        ),
        (with(36, 0x1000), "slices x86_64 and arm64 overlap"),
        (fat(&[&arm, &arm], false, 12), "there are two slices for arm64"),
        (with(8, 7), "i386: the fat header says i386, the slice itself says x86_64"),
    ] {
        assert_eq!(refusal(&bytes, &signing()), reason);
        assert!(!verify(&bytes).unwrap().holds());
    }
    let unnamed = Signing { identifier: None, style: Style::Codesign(None) };
    assert!(refusal(&sound, &unnamed).starts_with("a file with several slices has no default identifier"));
}

#[test]
fn files_of_4_gib_and_more_are_refused_without_reading_them() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("huge");
    let size: u64 = (4 << 30) + 0x1100;
    // Sparse: it takes no room on the disk.
    let file = File::create(&path).unwrap();
    file.set_len(size).unwrap();
    let mut program = Image::new(ARM);
    program.segments[1].4 = size - 0x1000;
    file.write_all_at(&program.bytes(), 0).unwrap();
    let error = sign_file(&path, &path, &signing(), false).unwrap_err();
    assert!(format!("{error:#}").contains("4 GiB"), "{error:#}");
    assert_eq!(fs::metadata(&path).unwrap().len(), size);
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
}

#[test]
fn an_identifier_must_be_a_name() {
    for identifier in ["", "zero\0byte"] {
        let reason = refusal(&image(|_| ()), &Signing::adhoc(identifier));
        assert_eq!(reason, "x86_64: an identifier has at least one character, and no zero byte");
    }
}

#[test]
fn there_is_nothing_to_preserve_in_an_unsigned_file() {
    let preserve = Signing { identifier: None, style: Style::Preserve };
    assert_eq!(refusal(&image(|_| ()), &preserve), "it has no signature that could be preserved");
}

#[test]
fn images_of_32_bits_are_held_to_their_address_space() {
    let mut program = Image::new(INTEL_32);
    program.segments[1].1 = 0xffff_f000;
    assert!(refusal(&program.bytes(), &signing()).contains("no room in the address space"));
}

#[test]
fn an_info_plist_inside_of_the_signature_is_refused() {
    let mut bytes = image(|_| ());
    let name = bytes.windows(7).position(|window| window == b"__text\0").unwrap();
    bytes[name..name + 12].copy_from_slice(b"__info_plist");
    let mut signed = sign(&bytes, &signing()).unwrap();
    assert!(verify(&signed).unwrap().holds());
    // struct section_64: sectname, segname, addr, size.
    signed[name + 40..name + 48].copy_from_slice(&0x1000_u64.to_le_bytes());
    assert_eq!(
        refusal(&signed, &signing()),
        "x86_64: section __info_plist overlaps the load commands or the signature"
    );
}
