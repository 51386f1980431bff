//! Signing, verifying and removing: the forms and what they have in common.

use release_helper::codesign::{Linker, Signing, Style, sign, unsign, verify};

use crate::programs::link;

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
