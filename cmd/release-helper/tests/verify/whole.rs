//! `--platform` rebuilds less, and forgives nothing: the release as a whole must be what it should be.

use std::sync::OnceLock;

use release_helper::domain::contract::record_name;
use release_helper::domain::record::Record;
use release_helper::domain::releases::Sums;
use release_helper::jobs::verify::{Published, Rebuilt, Report};
use release_helper::plumbing::digest;

use crate::common::*;

/// The verdict of a verifier who asked for one platform.
fn judge_one(published: &Published) -> Report {
    static ONE: OnceLock<Rebuilt> = OnceLock::new();
    let one = || Rebuilt::new(&options(world().repository.path(), &["linux-amd64"]), &empty()).unwrap();
    ONE.get_or_init(one).judge(published).unwrap()
}

fn faults_of_one(published: &Published) -> String {
    let report = judge_one(published);
    assert_eq!(report.platforms.len(), 1);
    assert_eq!(report.holds(), Some(false));
    report.faults.join("\n")
}

#[test]
fn an_honest_release_is_reproduced_for_the_one_platform() {
    let report = judge_one(&release());
    assert_eq!(report.holds(), Some(true), "{:?}", report.faults);
}

#[test]
fn finding_8_a_wrong_sum_of_a_platform_that_was_not_asked_for_is_a_fault() {
    let mut published = release();
    published.files.get_mut(DARWIN).unwrap().push(0);
    assert!(faults_of_one(&published).contains(&format!("of {DARWIN}, its bytes have")));
}

#[test]
fn a_platform_that_the_sums_leave_out_is_a_fault_though_it_was_not_asked_for() {
    let mut published = release();
    let bytes = published.files.remove(DARWIN).unwrap();
    sum(&mut published);
    published.files.insert(DARWIN.into(), bytes);
    assert_eq!(faults_of_one(&published), format!("SHA256SUMS does not list {DARWIN}"));
}

#[test]
fn a_lying_record_of_a_platform_that_was_not_asked_for_is_a_fault() {
    let records = world().rebuilt.records();
    let honest = records.iter().find(|record| record.asset == DARWIN).unwrap();
    for lie in [
        Record { sha256: "0".repeat(64), ..honest.clone() },
        Record { commit: Some("1".repeat(40)), ..honest.clone() },
        Record { asset: LINUX.into(), ..honest.clone() },
    ] {
        let mut published = release();
        published.files.insert(record_name(DARWIN), lie.to_bytes().unwrap());
        sum(&mut published);
        assert!(faults_of_one(&published).contains(DARWIN));
    }
}

#[test]
fn a_companion_that_the_sums_leave_out_is_a_fault() {
    let name = record_name(LINUX);
    let mut published = release();
    let bytes = published.files.remove(&name).unwrap();
    sum(&mut published);
    published.files.insert(name.clone(), bytes);
    assert_eq!(refusal_of_all(&published), format!("SHA256SUMS does not list {name}"));
}

#[test]
fn a_companions_lying_sum_is_a_fault() {
    let name = record_name(LINUX);
    let mut published = release();
    let lie = digest::sha256(b"a lie");
    let text = String::from_utf8(published.files["SHA256SUMS"].clone()).unwrap();
    let honest = Sums::parse(&text).unwrap().get(&name).unwrap().to_owned();
    published.files.insert("SHA256SUMS".into(), text.replace(&honest, &lie).into_bytes());
    assert!(refusal_of_all(&published).contains(&format!("SHA256SUMS says {lie} of {name}")));
}

#[test]
fn a_record_that_acts_on_a_terminal_is_shown_so_that_it_does_not() {
    let record = world().rebuilt.records().iter().find(|record| record.asset == LINUX).unwrap();
    let hostile = Record { linker: "\u{1b}[2J\n\u{202e}linux-amd64  reproduced".into(), ..record.clone() };
    let mut published = release();
    published.files.insert(record_name(LINUX), hostile.to_bytes().unwrap());
    sum(&mut published);
    let reason = refusal(&published, "linux-amd64");
    assert!(reason.contains("linker was") && !reason.contains(['\u{1b}', '\n', '\u{202e}']), "{reason:?}");
}
