//! What a report says to people, and what a statement must say to programs.

use release_helper::domain::provenance::Attested;
use release_helper::jobs::vary::{Culprit, Outcome, Tried};
use release_helper::jobs::verify::attest::Statement;
use release_helper::jobs::verify::{Answer, Report};

use crate::common::*;

#[test]
fn the_verdict_in_one_line_counts_what_it_is_about() {
    let mut report = judge(&release());
    assert_eq!(report.conclusion(), "v1.2.3 reproduced: 6 of 6 artifacts, bit for bit");
    report.platforms[0].verdict = Answer::NotRebuiltHere;
    report.platforms[1].verdict = Answer::NotRebuiltHere;
    assert_eq!(report.conclusion(), "v1.2.3 could not be told: 2 of 6 not rebuilt here");
    report.platforms[0].verdict = Answer::Differs;
    assert_eq!(report.conclusion(), "v1.2.3 differs: 4 of 6 artifacts reproduced");
    for text in [report.html(), report.markdown().replace('\\', "")] {
        assert!(text.contains("v1.2.3 differs: 4 of 6 artifacts reproduced"), "{text}");
    }
}

#[test]
fn faults_have_a_heading_where_there_are_some() {
    let mut report = judge(&release());
    let heading = "The release is not what it should be";
    assert!(!report.html().contains(heading));
    report.faults.push("a fault".into());
    assert!(report.html().contains(heading) && report.html().contains("<li>a fault</li>"));
}

#[test]
fn a_report_says_of_each_artifact_whether_it_is_attested_and_why_not() {
    let mut report = judge(&release());
    let answers = [
        (Attested::Yes, "yes", None),
        (Attested::No("there is none".into()), "no", Some("there is none")),
        (Attested::Wrong("of another tag".into()), "wrong", Some("of another tag")),
        (Attested::NotChecked("nobody asked".into()), "not checked", Some("nobody asked")),
    ];
    for (answer, word, why) in answers {
        assert_eq!(answer.why(), why);
        report.platforms[0].attested = answer;
        let shown = why.map(|why| format!(": {why}")).unwrap_or_default();
        assert!(report.html().contains(&format!("<dt>Attested</dt><dd>{word}{shown}</dd>")), "{}", report.html());
        assert!(report.markdown().contains(&format!("| reproduced | {word} |")), "{}", report.markdown());
    }
}

#[test]
fn the_map_of_a_difference_has_a_cell_for_each_piece_of_the_file() {
    let mut published = release();
    // Ten bytes of a piece, and one of another.
    let bytes = published.files.get_mut(LINUX).unwrap();
    (4096..4106).chain([12_000]).for_each(|at| bytes[at] ^= 1);
    sum(&mut published);
    let report = judge(&published);
    let row = report.platforms.iter().find(|row| row.asset == LINUX).unwrap();
    let map = &row.comparison.as_ref().unwrap().a.map;
    assert!(map.differing.len() > 64 && map.differing.iter().sum::<u64>() == 11, "{:?}", map.differing);
    let html = report.html();
    let mut cells = html.split("<rect ").skip(1).map(|rest| rest.split("</rect>").next().unwrap());
    let (mut x, mut y) = (0, 0);
    for (number, &differing) in map.differing.iter().enumerate() {
        let cell = cells.next().unwrap();
        let class = if differing > 0 { "other" } else { "same" };
        assert!(cell.starts_with(&format!("class=\"{class}\" x=\"{x}\" y=\"{y}\" ")), "{number}: {cell}");
        let offset = map.bytes_per_cell * number as u64;
        assert!(cell.ends_with(&format!("<title>{offset:#x}: {differing} differ</title>")), "{number}: {cell}");
        // Seven tenths where one byte differs, ten where all do.
        let tenths = if differing > 0 { 7.0 + 3.0 * (differing as f64 / map.bytes_per_cell as f64) } else { 10.0 };
        let shown: f64 = cell.split("opacity=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap();
        assert!((shown - tenths / 10.0).abs() < 0.006, "{number}: {cell}");
        x += 10;
        if x == 640 {
            (x, y) = (0, y + 10);
        }
    }
    assert_eq!(cells.count(), 0);
}

#[test]
fn what_was_varied_is_listed_and_what_changed_bytes_is_marked() {
    let tried = |name, obstacle: Option<&str>| Tried {
        name,
        what: "another <time>",
        rounds: 3,
        obstacle: obstacle.map(str::to_owned),
    };
    let outcome = Outcome {
        rounds: 7,
        platforms: vec!["linux-amd64".into()],
        variations: vec![tried("clock", None), tried("locale", Some("there is no other"))],
        culprits: Vec::new(),
    };
    let mut report = Report { variations: Some(outcome.clone()), ..judge(&release()) };
    let page = report.html();
    assert!(page.contains("7 more rebuilds: no byte differs."), "{page}");
    assert!(page.contains("<tr><td>clock</td><td>3</td><td>another &lt;time&gt;</td></tr>"), "{page}");
    assert!(page.contains("<td>not tried: there is no other</td></tr></table>"), "{page}");
    let culprits = vec![Culprit { variations: vec!["clock"], effects: Vec::new() }];
    report.variations = Some(Outcome { culprits, ..outcome });
    let page = report.html();
    assert!(page.contains("7 more rebuilds: bytes differ."), "{page}");
    assert!(page.contains("<tr class=\"differs\"><td>clock</td>") && page.contains("<tr><td>locale</td>"), "{page}");
}

#[test]
fn a_statement_of_another_kind_or_about_something_else_is_none() {
    let statement = serde_json::to_value(Statement::of(&judge(&release()))).unwrap();
    let parse = |statement: &serde_json::Value| Statement::parse(statement.to_string().as_bytes());
    assert!(parse(&statement).is_ok());
    for (field, refusal) in [("_type", "it is a \"x\", not a "), ("predicateType", "it says \"x\", not ")] {
        let mut other = statement.clone();
        assert!(other.as_object_mut().unwrap().insert(field.into(), "x".into()).is_some());
        let refused = format!("{:#}", parse(&other).err().unwrap());
        assert!(refused.starts_with(refusal), "{refused}");
    }
}
