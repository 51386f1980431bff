//! What must be true of any bytes whatever. The fuzz targets include this file; a test replays what they found.

use release_helper::codesign::{Linker, PageSize, Signing, Style, sign, unsign, verify};

use crate::images::{ARM, INTEL, INTEL_32, Image, POWER, SIGNATURE, fat};

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
    // Four bytes say where, two what; the upper bits of the place say in which width and order.
    for edit in edits.chunks_exact(6).take(64) {
        let place = u32::from_le_bytes([edit[0], edit[1], edit[2], 0]) as usize % bytes.len();
        let value = u32::from(u16::from_le_bytes([edit[4], edit[5]]));
        let value = if edit[3] & 4 == 0 { value } else { (value as u16).cast_signed() as i32 as u32 };
        let value = match edit[3] % 4 {
            0 => value.to_le_bytes()[..1].to_vec(),
            1 => value.to_le_bytes().to_vec(),
            2 => value.to_be_bytes().to_vec(),
            _ => {
                bytes.truncate(place + 1);
                continue;
            }
        };
        for (byte, value) in bytes[place..].iter_mut().zip(value) {
            *byte = value;
        }
    }
    bytes
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

/// A signature made of anything gets an answer, and one that holds can be preserved or has no known form.
pub(crate) fn signature(input: &[u8]) {
    let Some((&choice, rest)) = input.split_first() else { return };
    let mut image = Image::new(if choice % 2 == 0 { ARM } else { INTEL });
    image.segments[1].4 = 0x100 + rest.len() as u64;
    image.commands.push((SIGNATURE, vec![0x1100, rest.len() as u32]));
    let mut bytes = image.bytes();
    bytes[0x1100..].copy_from_slice(rest);
    let report = verify(&bytes).unwrap();
    if let Some(signature) = report.signature().filter(|_| report.holds()) {
        let again = sign(&bytes, &Signing { identifier: None, style: Style::Preserve });
        assert_eq!(again.is_ok(), signature.form.is_some());
    }
}
