//! Releases that are not what they should be, held against the rebuilt artifacts.

use release_helper::domain::contract::record_name;
use release_helper::domain::{codesign, record};
use release_helper::jobs::verify::{Answer, Published, Row};
use release_helper::plumbing::digest;

use crate::common::*;

#[test]
fn a_true_release_is_reproduced_six_times() {
    let report = judge(&release());
    assert_eq!(report.holds(), Some(true), "{:?}", report.faults);
    assert_eq!(report.platforms.len(), 6);
    assert!(report.platforms.iter().all(|row| row.verdict == Answer::Reproduced && row.published == row.rebuilt));
}

#[test]
fn a_flipped_byte_anywhere_differs_and_its_offset_is_told() {
    let true_release = release();
    for asset in [LINUX, DARWIN] {
        let length = true_release.files[asset].len();
        for offset in (0..length).step_by(length / 40).chain([length - 1]) {
            let mut published = release();
            published.files.get_mut(asset).unwrap()[offset] ^= 1;
            sum(&mut published);
            let reason = refusal(&published, asset.trim_start_matches("tsuku-dltest-"));
            assert!(offset < 8 || reason.contains(&format!("{offset:#x}")), "{asset} {offset:#x}: {reason}");
        }
    }
}

#[test]
fn a_truncated_asset_differs() {
    let mut published = release();
    let bytes = published.files.get_mut(LINUX).unwrap();
    bytes.truncate(bytes.len() - 1);
    sum(&mut published);
    refusal(&published, "linux-amd64");
}

#[test]
fn an_extended_asset_differs() {
    let mut published = release();
    published.files.get_mut(DARWIN).unwrap().push(0);
    sum(&mut published);
    refusal(&published, "darwin-arm64");
}

#[test]
fn swapped_platforms_differ() {
    let mut published = release();
    let arm = published.files["tsuku-dltest-linux-arm64"].clone();
    let amd = published.files.insert(LINUX.into(), arm).unwrap();
    published.files.insert("tsuku-dltest-linux-arm64".into(), amd);
    sum(&mut published);
    refusal(&published, "linux-amd64");
    refusal(&published, "linux-arm64");
}

#[test]
fn an_asset_of_another_version_differs() {
    let mut published = release();
    let bytes = published.files.get_mut(LINUX).unwrap();
    let at = bytes.windows(5).position(|window| window == b"1.2.3").unwrap();
    bytes[at + 4] = b'4';
    sum(&mut published);
    assert!(refusal(&published, "linux-amd64").contains("version"));
}

#[test]
fn another_signing_identifier_differs_and_the_signature_is_named() {
    let mut published = release();
    let bytes = published.files.get_mut(DARWIN).unwrap();
    let signing = codesign::Signing {
        identifier: Some("somebody-else".into()),
        style: codesign::Style::Linker(Some(codesign::Linker::Lld)),
    };
    *bytes = codesign::sign(bytes, &signing).unwrap();
    sum(&mut published);
    assert!(refusal(&published, "darwin-arm64").contains("with the signatures set aside they are the same"));
}

#[test]
fn wrong_sums_are_believed_by_nobody() {
    let mut published = release();
    let text = String::from_utf8(published.files["SHA256SUMS"].clone()).unwrap();
    let true_digest = digest::sha256(&published.files[LINUX]);
    let lie = digest::sha256(b"a lie");
    published.files.insert("SHA256SUMS".into(), text.replace(&true_digest, &lie).into_bytes());
    assert!(refusal(&published, "linux-amd64").contains(&lie));
    assert_eq!(judge(&published).platforms.iter().filter(|row| row.verdict == Answer::Differs).count(), 1);
    published.files.insert("SHA256SUMS".into(), b"not sums at all\n".to_vec());
    assert!(refusal_of_all(&published).contains("SHA256SUMS cannot be read"));
}

#[test]
fn sums_that_leave_an_asset_out_are_no_sums() {
    let mut published = release();
    let bytes = published.files.remove(LINUX).unwrap();
    sum(&mut published);
    published.files.insert(LINUX.into(), bytes);
    assert!(refusal(&published, "linux-amd64").contains("do not list it"));
}

#[test]
fn missing_sums_leave_nothing_reproduced() {
    let mut published = release();
    published.files.remove("SHA256SUMS");
    assert_eq!(refusal_of_all(&published), "SHA256SUMS is missing");
}

#[test]
fn a_missing_asset_is_named() {
    let mut published = release();
    published.files.remove(LINUX);
    sum(&mut published);
    assert!(refusal(&published, "linux-amd64").contains("no such asset"));
    assert!(refusal_of_all(&published).contains(LINUX));
}

#[test]
fn an_extra_asset_is_named() {
    let mut published = release();
    published.files.insert("tsuku-dltest-linux-riscv".into(), vec![1]);
    sum(&mut published);
    assert!(refusal_of_all(&published).contains("tsuku-dltest-linux-riscv does not belong"));
}

#[test]
fn what_is_wrong_with_an_asset_or_its_record_is_said_of_its_platform_alone() {
    for (name, reason) in [(LINUX.to_owned(), "a fault"), (record_name(LINUX), "linux-amd64.build.json: a fault")] {
        let published = Published { faults: vec![(name, "a fault".into())], ..release() };
        assert!(refusal(&published, "linux-amd64").ends_with(reason));
        let report = judge(&published);
        assert!(report.faults.is_empty(), "{:?}", report.faults);
        let is_told = |row: &Row| (row.verdict == Answer::Differs) == (row.asset == LINUX);
        assert!(report.platforms.iter().all(is_told), "{reason}");
    }
}

#[test]
fn a_page_in_place_of_a_file_is_called_a_page() {
    let mut published = release();
    published.files.insert(LINUX.into(), b"<!DOCTYPE html>\n<html><body>Please log in</body></html>".to_vec());
    sum(&mut published);
    assert!(refusal(&published, "linux-amd64").contains("an HTML page"));
}

#[test]
fn a_tag_that_the_server_moved_after_the_fact_is_noticed() {
    let published = Published { commit: Some("1".repeat(40)), ..release() };
    assert!(refusal_of_all(&published).contains("the tag was moved"));
}

#[test]
fn a_tag_moved_to_a_commit_that_builds_the_same_bytes_is_noticed_by_the_record() {
    let mut published = release();
    for record in world().rebuilt.records() {
        let moved = record::Record { commit: Some("2".repeat(40)), ..record.clone() };
        published.files.insert(record_name(&record.asset), moved.to_bytes().unwrap());
    }
    sum(&mut published);
    assert!(refusal(&published, "linux-amd64").contains("the tag was moved"));
    assert!(judge(&published).platforms.iter().all(|row| row.verdict == Answer::Differs));
}

#[test]
fn a_mismatch_begins_with_what_the_records_say() {
    let mut published = release();
    let record = world().rebuilt.records().iter().find(|record| record.asset == LINUX).unwrap();
    let other = record::Record { linker: "LLD 1.0".into(), ..record.clone() };
    published.files.insert(record_name(LINUX), other.to_bytes().unwrap());
    published.files.get_mut(LINUX).unwrap()[4000] ^= 1;
    sum(&mut published);
    let reason = refusal(&published, "linux-amd64");
    let (record, bytes) = (reason.find("linker was").unwrap(), reason.find("published (A)").unwrap());
    assert!(record < bytes, "{reason}");
}

#[test]
fn the_report_is_one_page_that_loads_nothing() {
    let mut published = release();
    published.files.get_mut(LINUX).unwrap()[4000] ^= 1;
    published.files.insert("<script>alert(1)</script>".into(), vec![1]);
    let html = judge(&published).html();
    assert!(html.contains("<svg") && html.contains("linux-arm64-musl") && !html.contains("<script"));
    assert!(!html.contains("src=") && !html.contains("href=") && !html.contains("@import"));
}

#[test]
fn every_report_says_who_said_the_commit_and_whether_the_build_was_confined() {
    let report = judge(&release());
    let strength = release_helper::plumbing::confine::Strength::here().to_string();
    for text in [report.html(), report.markdown().replace('\\', "")] {
        assert!(text.contains(&strength) && text.contains(&report.commit) && text.contains("a test"), "{text}");
    }
    assert!(report.html().contains("<dt>Says</dt><dd>this repository</dd>"), "{}", report.html());
    assert!(report.markdown().contains(", says this repository"), "{}", report.markdown());
    let own = release_helper::jobs::verify::Report { contract: release_helper::jobs::verify::Whose::Tag, ..report };
    assert!(own.html().contains("the tag's own") && own.markdown().contains("held to the tag's own contract"));
}
