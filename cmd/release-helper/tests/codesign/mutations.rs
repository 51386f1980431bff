//! No change of a signed file goes unnoticed.

use std::panic::{AssertUnwindSafe, catch_unwind};

use release_helper::domain::codesign::{Linker, Signing, Style, sign, verify};

use crate::images::{ARM, INTEL, INTEL_32, Image, fat};

/// Flips every bit of `bytes[range]`, one at a time.
fn each_flip(bytes: &[u8], range: std::ops::Range<usize>, mut check: impl FnMut(&[u8], usize, u8)) {
    let mut bytes = bytes.to_vec();
    for place in range {
        for bit in 0..8 {
            bytes[place] ^= 1 << bit;
            let checked = catch_unwind(AssertUnwindSafe(|| check(&bytes, place, bit)));
            assert!(checked.is_ok(), "bit {bit} of byte {place:#x}");
            bytes[place] ^= 1 << bit;
        }
    }
}

#[test]
fn every_single_bit_below_the_code_limit_counts() {
    let lld = Signing { identifier: Some("program".into()), style: Style::Linker(Some(Linker::Lld)) };
    for (cpu, signing) in [(ARM, lld), (INTEL_32, Signing::adhoc("program"))] {
        let signed = sign(&Image::new(cpu).bytes(), &signing).unwrap();
        let report = verify(&signed).unwrap();
        assert!(report.holds());
        let limit = report.signature().unwrap().offset as usize;
        each_flip(&signed, 0..limit, |damaged, _, _| assert!(!verify(damaged).unwrap().holds()));
    }
}

#[test]
fn every_single_bit_of_the_signature_counts_or_makes_another_identity() {
    let program = Image::new(INTEL).bytes();
    let ld64 = Signing { identifier: Some("program".into()), style: Style::Linker(Some(Linker::Ld64)) };
    for signing in [Signing::adhoc("program"), ld64] {
        let signed = sign(&program, &signing).unwrap();
        let report = verify(&signed).unwrap();
        let signature = report.signature().unwrap();
        let start = signature.offset as usize;
        each_flip(&signed, start..start + signature.length as usize, |damaged, _, _| {
            let report = verify(damaged).unwrap();
            // An ad-hoc signature has no signer to vouch for its own fields: they can only be told.
            let other = report.signature().is_some_and(|other| {
                other.form.is_none() || (&other.identifier, &other.cdhash) != (&signature.identifier, &signature.cdhash)
            });
            assert!(!report.holds() || other);
        });
        // The unused rest is nobody's, but it is told. All of its bytes are alike, so the outer ones will do.
        let end = start + signature.length as usize;
        for range in [end..signed.len().min(end + 32), signed.len().max(end + 32) - 32..signed.len()] {
            each_flip(&signed, range, |damaged, _, _| {
                assert!(!verify(damaged).unwrap().signature().unwrap().slack_is_zero);
            });
        }
    }
}

#[test]
fn every_single_bit_of_a_fat_file_outside_of_its_signatures_counts() {
    for is_64 in [false, true] {
        let (arm, intel) = (Image::new(ARM).bytes(), Image::new(INTEL).bytes());
        let signed = sign(&fat(&[&intel, &arm], is_64, 12), &Signing::adhoc("program")).unwrap();
        let report = verify(&signed).unwrap();
        assert_eq!(report.first_problem(), None);
        let ends = report.slices.iter().map(|slice| (slice.offset as usize, (slice.offset + slice.size) as usize));
        let ends: Vec<_> = ends.collect();
        // The table, and the bytes between the slices. A smaller alignment is as true as the right one.
        let alignments = if is_64 { [8 + 24..8 + 28, 40 + 24..40 + 28] } else { [8 + 16..8 + 20, 28 + 16..28 + 20] };
        for range in [0..256, ends[0].0 - 8..ends[0].0, ends[0].1..ends[0].1 + 8, ends[1].0 - 8..ends[1].0] {
            each_flip(&signed, range, |damaged, place, _| {
                let harmless = alignments.iter().any(|alignment| alignment.contains(&place));
                assert!(harmless || !verify(damaged).unwrap().holds());
            });
        }
    }
}

#[test]
fn the_first_bad_page_is_named() {
    let mut signed = sign(&Image::new(INTEL).bytes(), &Signing::adhoc("program")).unwrap();
    signed[0x1001] ^= 1;
    let report = verify(&signed).unwrap();
    assert_eq!(report.slices[0].bad_page, Some(1));
    assert_eq!(
        report.first_problem().unwrap(),
        "page 1 (0x1000 to 0x1100) does not have the sha256 hash that was signed"
    );
    signed[0xfff] ^= 1;
    assert_eq!(verify(&signed).unwrap().slices[0].bad_page, Some(0));
}

#[test]
fn a_file_cut_short_anywhere_does_not_hold() {
    let signed = sign(&Image::new(ARM).bytes(), &Signing::adhoc("program")).unwrap();
    for length in (0..signed.len()).step_by(7) {
        assert!(!verify(&signed[..length]).unwrap().holds(), "{length}");
    }
    // Apple's tools, and so we, tolerate up to 7 bytes of padding.
    assert!(!verify(&[signed, vec![0; 8]].concat()).unwrap().holds());
}
