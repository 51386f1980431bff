//! Where files differ.

use release_helper::domain::artifact::compare;

use crate::fixtures::{self, Variant};
use crate::{different, places, platforms};

#[test]
fn a_file_is_the_same_as_itself() {
    for platform in platforms() {
        let bytes = fixtures::artifact(&platform);
        let comparison = compare(&bytes, &bytes);
        assert!(comparison.same && comparison.places.is_empty() && comparison.causes.is_empty());
        assert_eq!(comparison.summary(), "same");
    }
    assert!(compare(b"", b"").same);
}

#[test]
fn any_single_flipped_byte_is_found_with_its_place_and_both_values() {
    for platform in platforms() {
        let bytes = fixtures::artifact(&platform);
        for at in (0..bytes.len()).step_by(1 + bytes.len() / 150) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x20;
            let comparison = different(&bytes, &flipped);
            assert_eq!((comparison.places.len(), comparison.differing()), (1, 1), "{} {at:#x}", platform.name);
            let first = comparison.places[0].first.as_ref().unwrap();
            assert_eq!((first.offset_a, first.offset_b), (at as u64, at as u64));
            assert_eq!((first.byte_a, first.byte_b), (bytes[at], bytes[at] ^ 0x20));
            let part = comparison.places[0].a.as_ref().unwrap();
            assert!((part.offset..part.offset + part.size).contains(&(at as u64)));
        }
    }
}

#[test]
fn sections_load_commands_and_tables_are_called_by_their_names() {
    for platform in platforms() {
        let bytes = fixtures::artifact(&platform);
        let flipped_in = |needle: &[u8]| {
            let at = (0..bytes.len()).find(|&at| bytes[at..].starts_with(needle)).unwrap();
            let mut flipped = bytes.clone();
            flipped[at + needle.len() - 1] ^= 1;
            let comparison = different(&bytes, &flipped);
            places(&comparison).join(", ")
        };
        let expected = if platform.is_darwin() { "__TEXT,__const" } else { ".rodata" };
        assert_eq!(flipped_in(b"tsuku-dltest v1.2.3"), expected, "{}", platform.name);
        if platform.is_darwin() {
            assert_eq!(flipped_in(&0xfade_0cc0u32.to_be_bytes()), "code signature");
            assert_eq!(flipped_in(&[0x1b, 0, 0, 0, 24, 0, 0, 0, bytes_at_uuid(&bytes)]), "LC_UUID");
        } else {
            assert_eq!(flipped_in(b"dlopen"), ".dynstr");
            assert_eq!(flipped_in(b"Linker: LLD"), ".comment");
            assert_eq!(flipped_in(b"\x7fELF\x02\x01\x01\0\x00"), "ELF header");
        }
    }
}

/// The first byte of the UUID.
fn bytes_at_uuid(bytes: &[u8]) -> u8 {
    let at = (0..bytes.len()).find(|&at| bytes[at..].starts_with(&[0x1b, 0, 0, 0, 24, 0, 0, 0])).unwrap();
    bytes[at + 8]
}

#[test]
fn an_elf_file_without_section_headers_still_has_names() {
    for platform in platforms().into_iter().filter(|platform| !platform.is_darwin()) {
        let bare = |version| {
            let variant = Variant { version: Some(version), ..Variant::default() };
            let mut bytes = fixtures::linked(&platform, &variant);
            bytes[40..48].fill(0);
            bytes[58..64].fill(0);
            bytes
        };
        let comparison = different(&bare("1.2.3"), &bare("1.2.4"));
        assert_eq!(comparison.places.len(), 1);
        assert!(comparison.places[0].name.starts_with("segment R"), "{}", comparison.places[0].name);
        assert!(comparison.a.map.parts.iter().any(|part| part.name == ".dynstr"));
        assert!(comparison.a.map.parts.iter().any(|part| part.name == "PT_DYNAMIC"));
    }
}

#[test]
fn the_slices_of_a_fat_file_are_compared_one_by_one() {
    let platforms = platforms();
    let [x86_64, arm64] = &platforms.iter().filter(|platform| platform.is_darwin()).collect::<Vec<_>>()[..] else {
        return;
    };
    let (x86_64, proper) = (fixtures::artifact(x86_64), fixtures::artifact(arm64));
    let other = fixtures::linked(arm64, &Variant { version: Some("1.2.4"), ..Variant::default() });
    let comparison = different(&fixtures::fat(&[&x86_64, &proper]), &fixtures::fat(&[&x86_64, &other]));
    assert!(comparison.places.iter().all(|place| place.name.starts_with("arm64: ")), "{:?}", places(&comparison));
    assert!(places(&comparison).contains(&"arm64: __TEXT,__const"));
    assert_eq!(comparison.same_unsigned, Some(false));

    let comparison = different(&fixtures::fat(&[&x86_64, &proper]), &fixtures::fat(&[&x86_64]));
    assert!(comparison.places.iter().filter(|place| place.b.is_none()).all(|place| !place.name.starts_with("x86_64")));

    let comparison = different(&fixtures::fat(&[&x86_64, &proper]), &proper);
    assert_eq!(crate::cause(&comparison, "slice"), "the thin file is the same as the fat one's slice arm64");
    assert!(crate::cause(&comparison, "kind").contains("fat Mach-O: x86_64, arm64"));
}

#[test]
fn the_byte_map_has_every_differing_byte() {
    for platform in platforms() {
        let a = fixtures::artifact(&platform);
        let b = fixtures::linked(&platform, &Variant { version: Some("10.20.30"), ..Variant::default() });
        let comparison = different(&a, &b);
        for side in [&comparison.a, &comparison.b] {
            let map = &side.map;
            assert!(map.differing.len() <= 512);
            assert_eq!(map.differing.len() as u64, side.size.div_ceil(map.bytes_per_cell));
            assert!(map.differing.iter().all(|count| *count <= map.bytes_per_cell));
        }
        // What differs in both is marked in both; what only one has, there.
        let marked = |side: &release_helper::domain::artifact::compare::Side| side.map.differing.iter().sum::<u64>();
        assert!(marked(&comparison.a).max(marked(&comparison.b)) <= comparison.differing());
        assert!(marked(&comparison.a) + marked(&comparison.b) >= comparison.differing());
    }
}
