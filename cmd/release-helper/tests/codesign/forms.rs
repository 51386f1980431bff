//! Signing, verifying and removing: the forms and what they have in common.

use release_helper::domain::codesign::{
    Linker, PageSize, Signing, Style, same_unsigned, sign, sign_file, unsign, verify, verify_file,
};

use crate::images::{ARM, INTEL, INTEL_32, Image, POWER, fat};
use crate::programs::{link, link_for};

#[test]
fn a_program_linked_without_signature_is_signed_as_codesign_does() {
    for (machine, page_size) in [("arm64", 16384), ("x86_64", 4096)] {
        let Some(program) = link(machine, &["-no_adhoc_codesign"]) else { return };
        assert_eq!(verify(&program).unwrap().first_problem().unwrap(), "not signed: there is no LC_CODE_SIGNATURE");

        let signed = sign(&program, &Signing::adhoc("org.example.tool")).unwrap();
        let report = verify(&signed).unwrap();
        assert_eq!(report.first_problem(), None);
        let signature = report.signature().unwrap();
        assert_eq!(signature.identifier, "org.example.tool");
        assert_eq!(signature.form.as_deref(), Some("codesign"));
        assert_eq!(signature.flags, 0x2);
        assert_eq!(signature.code_directories[0].page_size, page_size);
        assert_eq!(signature.blobs.iter().map(|blob| blob.slot).collect::<Vec<_>>(), [0, 2, 0x10000]);
        assert!(signature.slack_is_zero);
    }
}

#[test]
fn signing_twice_gives_the_same_bytes_and_so_does_signing_over_another_signature() {
    let Some(program) = link("arm64", &["-adhoc_codesign"]) else { return };
    let signing = Signing::adhoc("org.example.tool");
    let once = sign(&program, &signing).unwrap();
    assert_eq!(sign(&once, &signing).unwrap(), once);
    let longer = sign(&program, &Signing::adhoc("org.example.a-much-longer-identifier")).unwrap();
    assert_eq!(sign(&longer, &signing).unwrap(), once);
}

#[test]
fn a_linkers_signature_is_recreated_after_its_removal() {
    for machine in ["arm64", "x86_64"] {
        let Some(program) = link(machine, &["-adhoc_codesign"]) else { return };
        let style = Style::Linker(Some(Linker::Lld));
        let bare = unsign(&program).unwrap();
        assert_eq!(verify(&bare).unwrap().first_problem().unwrap(), "not signed: there is no LC_CODE_SIGNATURE");
        assert!(bare.len() < program.len());
        let again = sign(&bare, &Signing { identifier: Some("program".into()), style }).unwrap();
        assert!(again == program);
        // Nothing is left of the signature but the size of the segment in memory.
        assert!(unsign(&again).unwrap() == bare);
    }
}

/// Security `machorep.cpp`: `pageSize`, and `explicitIdentifier` of section `__info_plist`, which is sealed in slot 1.
#[test]
fn programs_of_other_systems_are_signed_with_their_property_list() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tool");
    for (number, platforms, page_size) in [(3, &["tvos"][..], 4096), (4, &["watchos"], 16384)] {
        let arguments = ["-adhoc_codesign", "-sectcreate", "__TEXT", "__info_plist", "Info.plist"];
        let Some(program) = link_for("arm64", number, platforms, &arguments) else { return };
        let report = verify(&program).unwrap();
        assert_eq!(report.first_problem(), None, "{platforms:?}");
        assert_eq!(report.signature().unwrap().form.as_deref(), Some("lld"), "{platforms:?}");
        std::fs::write(&path, &program).unwrap();
        let signing = Signing { identifier: None, style: Style::Codesign(None) };
        sign_file(&path, &path, &signing, false).unwrap();
        let report = verify_file(&path).unwrap();
        assert_eq!(report.first_problem(), None, "{platforms:?}");
        let signature = report.signature().unwrap();
        assert_eq!(signature.identifier, "org.example.tool", "{platforms:?}");
        let [directory] = &signature.code_directories[..] else { panic!("{:?}", signature.code_directories) };
        assert_eq!((directory.hash, directory.page_size), ("sha256", page_size), "{platforms:?}");
        assert_eq!(directory.special_slots[0].0, 1, "{platforms:?}");
        assert!(same_unsigned(&std::fs::read(&path).unwrap().as_slice(), &program.as_slice()).unwrap());
    }
}

#[test]
fn images_of_32_bits_and_of_the_other_byte_order_are_signed_too() {
    for cpu in [INTEL_32, POWER] {
        let program = Image::new(cpu).bytes();
        for linker in [None, Some(Linker::Cctools), Some(Linker::Lld)] {
            let style = linker.map_or(Style::Codesign(None), |linker| Style::Linker(Some(linker)));
            let signing = Signing { identifier: Some("program".into()), style };
            let signed = sign(&program, &signing).unwrap();
            let report = verify(&signed).unwrap();
            assert_eq!(report.first_problem(), None);
            assert_eq!(report.signature().unwrap().identifier, "program");
            assert!(sign(&signed, &signing).unwrap() == signed);
            // All that stays is the size of __LINKEDIT in memory.
            let bare = unsign(&signed).unwrap();
            let changed = bare.iter().zip(&program).filter(|(one, other)| one != other).count();
            assert!(bare.len() == program.len() && changed <= 4, "{changed}");
        }
    }
}

#[test]
fn fat_files_are_laid_out_as_codesign_does() {
    let (arm, intel) = (Image::new(ARM).bytes(), Image::new(INTEL).bytes());
    for is_64 in [false, true] {
        for alignment in [12, 14] {
            let signed = sign(&fat(&[&intel, &arm], is_64, alignment), &Signing::adhoc("program")).unwrap();
            let report = verify(&signed).unwrap();
            assert_eq!(report.first_problem(), None);
            let places: Vec<_> =
                report.slices.iter().map(|slice| (slice.architecture.as_str(), slice.offset)).collect();
            assert_eq!(places, [("x86_64", 0x4000), ("arm64", 0xc000)]);
            // Each slice is signed as it would be alone.
            for (slice, alone) in report.slices.iter().zip([&intel, &arm]) {
                let start = slice.offset as usize;
                let alone = sign(alone, &Signing::adhoc("program")).unwrap();
                assert!(signed[start..start + slice.size as usize] == alone);
            }
            let bare = verify(&unsign(&signed).unwrap()).unwrap();
            assert_eq!(bare.slices.iter().map(|slice| slice.offset).collect::<Vec<_>>(), [0x4000, 0x8000]);
        }
    }
}

#[test]
fn linkers_forms_keep_the_alignment_of_the_slices() {
    let (arm, intel) = (Image::new(ARM).bytes(), Image::new(INTEL).bytes());
    let signing = Signing { identifier: Some("program".into()), style: Style::Linker(Some(Linker::Ld64)) };
    let signed = sign(&fat(&[&intel, &arm], false, 12), &signing).unwrap();
    let report = verify(&signed).unwrap();
    assert_eq!(report.slices.iter().map(|slice| slice.offset).collect::<Vec<_>>(), [0x1000, 0x3000]);
    assert!(report.holds());
}

#[test]
fn sha1_comes_first_where_the_minimum_system_knows_no_other() {
    let minimum = |version: u32| {
        let mut image = Image::new(INTEL);
        // LC_VERSION_MIN_MACOSX in place of LC_BUILD_VERSION.
        image.commands[1] = (0x24, vec![version, version]);
        image.bytes()
    };
    for (version, hashes) in [(0x000a_0b03, &["sha1", "sha256"][..]), (0x000a_0b04, &["sha256"])] {
        let signed = sign(&minimum(version), &Signing::adhoc("program")).unwrap();
        let report = verify(&signed).unwrap();
        assert_eq!(report.first_problem(), None);
        let directories = &report.signature().unwrap().code_directories;
        assert_eq!(directories.iter().map(|directory| directory.hash).collect::<Vec<_>>(), hashes);
        // The kernel uses the stronger one.
        assert_eq!(report.signature().unwrap().cdhash, directories.last().unwrap().cdhash);
    }
    // One old slice is enough for all of them to get both.
    let both = fat(&[&minimum(0x000a_0900), &Image::new(ARM).bytes()], false, 14);
    let report = verify(&sign(&both, &Signing::adhoc("program")).unwrap()).unwrap();
    assert!(report.slices.iter().all(|slice| slice.signature.as_ref().unwrap().code_directories.len() == 2));
}

#[test]
fn kernels_of_intel_machines_refuse_large_pages() {
    let style = Style::Codesign(Some(PageSize::Large));
    let signing = Signing { identifier: Some("program".into()), style };
    let mut program = sign(&Image::new(ARM).bytes(), &signing).unwrap();
    assert!(verify(&program).unwrap().holds());
    // `cputype` and `cpusubtype`.
    program[4..8].copy_from_slice(&INTEL.0.to_le_bytes());
    program[8..12].copy_from_slice(&INTEL.1.to_le_bytes());
    let report = verify(&program).unwrap();
    assert!(report.first_problem().unwrap().contains("kernels refuse pages of 2^14 bytes on x86_64"));
}
