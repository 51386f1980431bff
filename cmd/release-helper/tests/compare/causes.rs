//! Why files differ.

use release_helper::domain::codesign::{self, Signing, Style};

use crate::fixtures::{self, Variant};
use crate::wheels;
use crate::{cause, different, places, platforms};

fn with(change: impl FnOnce(&mut Variant)) -> Variant {
    let mut variant = Variant::default();
    change(&mut variant);
    variant
}

fn link(arguments: &[&str]) -> Variant {
    with(|variant| variant.link = arguments.iter().map(|argument| argument.to_string()).collect())
}

#[test]
fn another_version() {
    for platform in platforms() {
        let other = fixtures::linked(&platform, &with(|variant| variant.version = Some("1.2.4")));
        let comparison = different(&fixtures::artifact(&platform), &other);
        assert_eq!(comparison.causes[0].text, "version strings: 1.2.3 in A, 1.2.4 in B", "{}", platform.name);
        let section = if platform.is_darwin() { "__TEXT,__const" } else { ".rodata" };
        let summary = comparison.summary();
        assert!(summary.starts_with(&format!("{section} differs at 0x")), "{summary}");
        assert!(summary.ends_with(": 33 in A, 34 in B; version strings: 1.2.3 in A, 1.2.4 in B"), "{summary}");
        if platform.is_darwin() {
            assert_eq!(comparison.same_unsigned, Some(false));
            cause(&comparison, "uuid");
        } else {
            assert_eq!(places(&comparison), [".rodata"]);
            assert_eq!(comparison.differing(), 1);
        }
    }
}

#[test]
fn a_path_or_a_date_in_the_text() {
    for platform in platforms() {
        let of = |extra: &'static str| fixtures::linked(&platform, &with(|variant| variant.extra = extra));
        let comparison = different(&of("built in /home/one/src/x"), &of("built in /home/two/src/x"));
        assert_eq!(cause(&comparison, "path"), "paths: /home/one/src/x in A, /home/two/src/x in B");
        let comparison = different(&of("built Nov 22 2026 10:00:00"), &of("built Nov 23 2026 10:00:00"));
        assert_eq!(cause(&comparison, "date"), "dates or times: Nov 22 2026 in A, Nov 23 2026 in B");
    }
}

#[test]
fn what_an_elf_linker_was_told() {
    for platform in platforms().into_iter().filter(|platform| !platform.is_darwin()) {
        let proper = fixtures::artifact(&platform);
        let against = |variant: Variant| different(&proper, &fixtures::linked(&platform, &variant));
        assert!(cause(&against(link(&["--build-id=sha1"])), "build-id").contains("only B has "));
        assert_eq!(cause(&against(link(&["-rpath=/opt/lib"])), "run-path"), "RUNPATH: only B has /opt/lib");
        let comparison = against(with(|variant| variant.soname = Some("libgcc_s.so.1")));
        assert!(cause(&comparison, "needed").ends_with("in A, libgcc_s.so.1 in B"));
        let comparison = against(with(|variant| variant.symbol_version = Some("GLIBC_2.34")));
        assert!(cause(&comparison, "symbol-versions").contains("GLIBC_2.34"));
        let comparison = against(with(|variant| variant.without = vec!["--strip-all"]));
        assert_eq!(cause(&comparison, "stripped"), "A is stripped: only B has .symtab, .strtab");
        // The linker's own version comes and goes with the toolchain.
        let at = (0..proper.len()).find(|&at| proper[at..].starts_with(b"Linker: LLD ")).unwrap();
        let mut comment = proper.clone();
        comment[at + 12] = b'9';
        let comparison = different(&proper, &comment);
        assert!(cause(&comparison, "toolchain").starts_with("compiler or linker: Linker: LLD "));
        assert_eq!(places(&comparison), [".comment"]);
    }
}

#[test]
fn what_a_mach_o_linker_was_told() {
    for platform in platforms().into_iter().filter(|platform| platform.is_darwin()) {
        let proper = fixtures::artifact(&platform);
        let against = |variant: Variant| different(&proper, &fixtures::linked(&platform, &variant));
        assert_eq!(cause(&against(link(&["-rpath", "@loader_path"])), "run-path"), "LC_RPATH: only B has @loader_path");
        let comparison = against(with(|variant| variant.soname = Some("/usr/lib/libiconv.2.dylib")));
        assert!(cause(&comparison, "needed").contains("/usr/lib/libiconv.2.dylib (LC_LOAD_DYLIB) in B"));
        let comparison = against(with(|variant| variant.without = vec!["-S", "-x"]));
        assert!(cause(&comparison, "symbols").starts_with("symbols: the symbol table has "));
        let build = (0..proper.len()).find(|&at| proper[at..].starts_with(&[0x32, 0, 0, 0])).unwrap();
        let mut newer = proper.clone();
        newer[build + 14] = 12;
        let comparison = different(&proper, &fixtures::signed(&newer));
        assert_eq!(
            cause(&comparison, "minimum"),
            "oldest system: PLATFORM_MACOS 11.0.0 in A, PLATFORM_MACOS 12.0.0 in B"
        );
        assert_eq!(places(&comparison)[0], "LC_BUILD_VERSION");
    }
}

#[test]
fn only_the_signature() {
    for platform in platforms().into_iter().filter(|platform| platform.is_darwin()) {
        let proper = fixtures::artifact(&platform);
        let codesign_form = codesign::sign(&proper, &Signing::adhoc("tsuku-dltest")).unwrap();
        let go_form = Signing { identifier: Some("a.out".into()), style: Style::Linker(Some(codesign::Linker::Go)) };
        for other in [
            fixtures::signed_as(&proper, "another"),
            codesign_form,
            codesign::sign(&proper, &go_form).unwrap(),
            codesign::unsign(&proper).unwrap(),
        ] {
            for (a, b) in [(&proper, &other), (&other, &proper)] {
                let comparison = different(a, b);
                assert_eq!(comparison.same_unsigned, Some(true));
                assert!(
                    comparison.causes[0].text.starts_with("only the signatures differ: "),
                    "{:?}",
                    comparison.causes
                );
            }
        }
        let comparison = different(&proper, &fixtures::signed_as(&proper, "another"));
        assert!(cause(&comparison, "signature").contains("identifier another"));
        let comparison = different(&proper, &codesign::unsign(&proper).unwrap());
        assert!(cause(&comparison, "signature").ends_with("unsigned in B"));
    }
}

#[test]
fn other_kinds_of_file_are_told_plainly() {
    let platforms = platforms();
    for a in &platforms {
        for b in platforms.iter().filter(|b| b.target.split('-').next() != a.target.split('-').next()) {
            let comparison = different(&fixtures::artifact(a), &fixtures::artifact(b));
            let text = cause(&comparison, "kind");
            assert!(text.contains("they are different kinds of file: A is ") && text.contains(", B is "), "{text}");
        }
        let comparison = different(&fixtures::artifact(a), b"<!DOCTYPE html><title>404</title>");
        assert!(cause(&comparison, "kind").ends_with("B is an HTML page"));
        assert_eq!(places(&comparison), ["file"]);
    }
}

#[test]
fn cut_off_or_appended_to() {
    for platform in platforms() {
        let bytes = fixtures::artifact(&platform);
        let comparison = different(&bytes, &bytes[..bytes.len() - 7]);
        assert_eq!(cause(&comparison, "length"), "B is A without its last 7 bytes: cut off, or appended to");
        let comparison = different(&bytes, &[&bytes[..], b"x"].concat());
        assert_eq!(cause(&comparison, "length"), "A is B without its last 1 byte: cut off, or appended to");
    }
}

#[test]
fn a_flipped_bit_looks_like_damage() {
    for platform in platforms().into_iter().filter(|platform| !platform.is_darwin()) {
        let bytes = fixtures::artifact(&platform);
        let code = (0..bytes.len()).find(|&at| bytes[at..].starts_with(b"tsuku-dltest v")).unwrap();
        let mut flipped = bytes.clone();
        flipped[code] ^= 0x80;
        assert_eq!(
            cause(&different(&bytes, &flipped), "edit"),
            "1 byte changed in place: damaged in transfer, or edited"
        );
    }
}

#[test]
fn two_releases_of_a_module_for_linux() {
    let Some((a, b)) = wheels::pair(wheels::LINUX) else { return };
    let comparison = different(&a, &b);
    let sections: Vec<_> = places(&comparison).into_iter().filter(|name| name.starts_with('.')).collect();
    assert_eq!(sections, [".note.gnu.build-id", ".debug_info", ".debug_line", ".debug_str"]);
    assert!(
        cause(&comparison, "path").contains("cpython-3.12.0") && cause(&comparison, "path").contains("cpython-3.12.1")
    );
    assert!(cause(&comparison, "build-id").starts_with("build-id, which linkers compute from the content: "));
}

#[test]
fn two_releases_of_a_module_for_macos() {
    let Some((a, b)) = wheels::pair(wheels::MACOS) else { return };
    let comparison = different(&a, &b);
    assert_eq!(places(&comparison), ["x86_64: symbol table", "arm64: symbol table", "arm64: code signature"]);
    // The same code: only when the object files were written differs, and what is signed.
    let text =
        "arm64: modification times of object files (N_OSO): 2024-01-19T22:27:24Z in A, 2024-02-02T16:08:18Z in B";
    assert!(comparison.causes.iter().any(|cause| cause.text == text), "{:#?}", comparison.causes);
    assert_eq!(comparison.same_unsigned, Some(false));
}

#[test]
fn a_published_module_signed_and_unsigned() {
    let Some(signed) = wheels::module(wheels::MARKUPSAFE[1], wheels::MACOS) else { return };
    let comparison = different(&signed, &codesign::unsign(&signed).unwrap());
    assert_eq!(comparison.same_unsigned, Some(true));
    assert!(cause(&comparison, "signature").starts_with("only the signatures differ: "));
}
