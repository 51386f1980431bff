//! What must be true of any bytes whatever. The fuzz targets include this file; a test replays what they found.

use std::ops::Range;

use release_helper::domain::codesign::{Linker, PageSize, Signing, Style, sign, unsign, verify};

use crate::images::{ARM, INTEL, INTEL_32, Image, POWER, fat};

/// A file made of a fuzzer's input: the input itself, or a sound file with some of its bytes changed.
pub(crate) fn file(input: &[u8]) -> Vec<u8> {
    let Some((&choice, edits)) = input.split_first() else { return Vec::new() };
    let mut bytes = match choice % 12 {
        0 => return edits.to_vec(),
        1 => Image::new(ARM).bytes(),
        2 => Image::new(INTEL).bytes(),
        3 => Image::new(INTEL_32).bytes(),
        4 => Image::new(POWER).bytes(),
        5 => with_info_plist(),
        6 => fat(&[&Image::new(INTEL).bytes(), &Image::new(ARM).bytes()], false, 12),
        7 => fat(&[&Image::new(INTEL).bytes(), &signed(ARM, None)], true, 14),
        8 => signed(ARM, Some(Linker::Lld)),
        9 => signed(INTEL, Some(Linker::LdPrime)),
        10 => signed(INTEL_32, None),
        _ => signed(ARM, None),
    };
    let all = 0..bytes.len();
    change(&mut bytes, all, edits);
    bytes
}

/// Changes bytes in the range. Of each six bytes of `edits` two say where, one how, two what.
fn change(bytes: &mut Vec<u8>, range: Range<usize>, edits: &[u8]) {
    for edit in edits.chunks_exact(6).take(64) {
        let place = u32::from_le_bytes([edit[0], edit[1], edit[2], 0]) as usize % range.len() + range.start;
        let value = i32::from(i16::from_le_bytes([edit[4], edit[5]])) as u32;
        let value = match edit[3] % 8 {
            0 => {
                bytes.truncate(place + 1);
                return;
            }
            1 | 2 => value.to_le_bytes()[..1].to_vec(),
            3 | 4 => value.to_le_bytes().to_vec(),
            _ => value.to_be_bytes().to_vec(),
        };
        for (byte, value) in bytes[place..].iter_mut().zip(value) {
            *byte = value;
        }
    }
}

fn signed(cpu: (u32, u32), linker: Option<Linker>) -> Vec<u8> {
    let style = linker.map_or(Style::Codesign(None), |linker| Style::Linker(Some(linker)));
    sign(&Image::new(cpu).bytes(), &Signing { identifier: Some("program".into()), style }).unwrap()
}

/// A program whose only section is an Info.plist, so that special slot 1 is used.
fn with_info_plist() -> Vec<u8> {
    let mut bytes = Image::new(INTEL).bytes();
    let name = bytes.windows(7).position(|window| window == b"__text\0").unwrap();
    bytes[name..name + 12].copy_from_slice(b"__info_plist");
    bytes
}

/// A program for a system that needs SHA-1.
fn for_an_old_system() -> Vec<u8> {
    let mut image = Image::new(INTEL);
    image.commands[1] = (0x24, vec![0x000a_0900, 0x000a_0900]);
    image.bytes()
}

/// Reading any file gives an answer.
pub(crate) fn parse(input: &[u8]) {
    let file = file(input);
    let report = verify(&file).unwrap();
    if let Ok(bare) = unsign(&file) {
        assert!(bare.len() <= file.len() + (1 << 18), "{} of {}", bare.len(), file.len());
        let bare = verify(&bare).unwrap();
        assert!(!bare.holds());
        assert_eq!(bare.slices.len(), report.slices.len());
    }
}

/// What can be signed holds when signed, can be signed again without a change, and be removed again.
pub(crate) fn signs(input: &[u8]) {
    let Some((&choice, rest)) = input.split_first() else { return };
    let file = file(rest);
    let style = match choice % 10 {
        0 => Style::Codesign(None),
        1 => Style::Codesign(Some(PageSize::Small)),
        2 => Style::Preserve,
        3 => Style::Linker(None),
        linker => Style::Linker(Some(Linker::ALL[usize::from(linker - 4)])),
    };
    let identifier =
        (style != Style::Preserve).then(|| "org.example.program"[..1 + usize::from(choice) % 19].to_owned());
    let signing = Signing { identifier, style };
    let Ok(signed) = sign(&file, &signing) else { return };
    if style != Style::Preserve {
        assert_eq!(verify(&signed).unwrap().first_problem(), None);
    }
    assert!(sign(&signed, &signing).unwrap() == signed);
    assert!(!verify(&unsign(&signed).unwrap()).unwrap().holds());
}

/// A signature with changes gets an answer; one that holds can be preserved, unless no tool writes such.
pub(crate) fn signature(input: &[u8]) {
    let Some((&choice, edits)) = input.split_first() else { return };
    let mut bytes = match choice % 4 {
        0 => signed(ARM, None),
        1 => signed(INTEL, Some(Linker::Lld)),
        2 => sign(&with_info_plist(), &Signing::adhoc("program")).unwrap(),
        _ => sign(&for_an_old_system(), &Signing::adhoc("program")).unwrap(),
    };
    // 88 bytes of header, hashes and the other blobs: what is behind is slack.
    let end = bytes.len().min(0x1100 + 256);
    change(&mut bytes, 0x1100..end, edits);
    let report = verify(&bytes).unwrap();
    if let Some(signature) = report.signature().filter(|_| report.holds()) {
        let again = sign(&bytes, &Signing { identifier: None, style: Style::Preserve });
        assert_eq!(again.is_ok(), signature.form.is_some());
    }
}
