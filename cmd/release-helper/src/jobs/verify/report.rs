//! The report for people: one self-contained HTML page, or Markdown for the summary of a job.

use std::fmt::Write;

use super::options::Whose;
use super::verdict::{Answer, Report, Row};
use crate::domain::artifact::Comparison;
use crate::plumbing::foreign::markdown;

/// Everything a page needs: readable on a phone, in the dark and on paper, without a request to anywhere.
const STYLE: &str = include_str!("report.css");

impl Report {
    /// The verdict in one line.
    pub fn conclusion(&self) -> String {
        let count = |answer| self.platforms.iter().filter(|row| row.verdict == answer).count();
        let total = self.platforms.len();
        match self.holds() {
            Some(true) => format!("{} reproduced: {total} of {total} artifacts, bit for bit", self.tag),
            Some(false) => {
                format!("{} differs: {} of {total} artifacts reproduced", self.tag, count(Answer::Reproduced))
            }
            None => {
                format!("{} could not be told: {} of {total} not rebuilt here", self.tag, count(Answer::NotRebuiltHere))
            }
        }
    }

    /// What was rebuilt, in one line: the release, the commit, who says so, and whose contract it was held to.
    pub fn source(&self) -> String {
        let said_by = self.said_by.join(" and ");
        let contract = match self.contract {
            Whose::Own => "",
            Whose::Tag => ", held to the tag's own contract",
        };
        format!("{} of {}: commit {}, says {said_by}{contract}", self.tag, self.origin, self.commit)
    }

    /// Markdown.
    pub fn markdown(&self) -> String {
        let mut text = format!("## {}\n\n", markdown(&self.conclusion()));
        let [source, by, how] = [&self.source(), &self.rebuilder, &self.confinement].map(|text| markdown(text));
        let _ = writeln!(text, "{source}. Rebuilt by {by}, {how}.\n");
        self.faults.iter().for_each(|fault| text += &format!("- **{}**\n", markdown(fault)));
        text += "\n| platform | verdict | attested | sha256 | why |\n| --- | --- | --- | --- | --- |\n";
        for row in &self.platforms {
            let sha256 = row.published.as_deref().unwrap_or("none");
            let why = markdown(&row.reasons.join("; "));
            let _ = writeln!(text, "| {} | {} | {} | `{sha256}` | {why} |", row.platform, row.verdict, row.attested);
        }
        text
    }

    /// A complete HTML page.
    pub fn html(&self) -> String {
        let class = match self.holds() {
            Some(true) => "reproduced",
            Some(false) => "differs",
            None => "unknown",
        };
        let title = escape(&self.conclusion());
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
             <title>{title}</title><style>{STYLE}</style></head><body>\n<h1 class=\"{class}\">{title}</h1>\n<dl>"
        );
        for (name, value) in [
            ("Release", &self.origin),
            ("Commit", &self.commit),
            ("Says", &self.said_by.join(" and ")),
            ("Rebuilt by", &self.rebuilder),
            ("Build", &self.confinement),
        ] {
            let _ = write!(page, "<dt>{name}</dt><dd>{}</dd>", escape(value));
        }
        if self.contract == Whose::Tag {
            page += "<dt>Contract</dt><dd>the tag's own</dd>";
        }
        page += "</dl>\n";
        if !self.faults.is_empty() {
            page += "<h2>The release is not what it should be</h2><ul class=\"faults\">";
            self.faults.iter().for_each(|fault| page += &format!("<li>{}</li>", escape(fault)));
            page += "</ul>\n";
        }
        page += "<h2>Platforms</h2>\n";
        self.platforms.iter().for_each(|row| page += &section(row));
        self.add_variations(&mut page);
        page + "</body></html>\n"
    }

    fn add_variations(&self, page: &mut String) {
        let Some(outcome) = &self.variations else { return };
        let verdict = if outcome.holds() { "no byte differs" } else { "bytes differ" };
        let _ = write!(
            page,
            "<h2>Variations</h2><p>{} more rebuilds: {verdict}.</p><table><tr><th>Variation</th><th>Rounds</th><th>What was different</th></tr>",
            outcome.rounds
        );
        for tried in &outcome.variations {
            let guilty = outcome.culprits.iter().any(|culprit| culprit.variations.contains(&tried.name));
            let class = if guilty { " class=\"differs\"" } else { "" };
            let what =
                tried.obstacle.as_deref().map_or_else(|| tried.what.to_owned(), |why| format!("not tried: {why}"));
            let _ = write!(
                page,
                "<tr{class}><td>{}</td><td>{}</td><td>{}</td></tr>",
                tried.name,
                tried.rounds,
                escape(&what)
            );
        }
        page.push_str("</table>\n");
    }
}

fn section(row: &Row) -> String {
    let class = match row.verdict {
        Answer::Reproduced => "reproduced",
        Answer::Differs => "differs",
        Answer::NotRebuiltHere => "unknown",
    };
    let mut text = format!("<section class=\"{class}\"><h3>{} <b>{}</b></h3>", escape(&row.platform), row.verdict);
    for reason in &row.reasons {
        let _ = write!(text, "<p>{}</p>", escape(reason));
    }
    let size = row.size.map(|size| format!(" ({size} bytes)")).unwrap_or_default();
    let published = row.published.as_deref().unwrap_or("nothing");
    let rebuilt = row.rebuilt.as_deref().unwrap_or("nothing");
    let why = row.attested.why().map(|why| format!(": {}", escape(why))).unwrap_or_default();
    let _ = write!(text, "<dl><dt>Published</dt><dd><code>{published}</code>{size}</dd>");
    let _ = write!(text, "<dt>Attested</dt><dd>{}{why}</dd>", row.attested);
    let _ = write!(text, "<dt>Rebuilt</dt><dd><code>{rebuilt}</code></dd></dl>");
    if let Some(comparison) = &row.comparison {
        text += &map(comparison);
    }
    if let Some(record) = &row.record {
        let json = serde_json::to_string_pretty(record).unwrap_or_default();
        let _ = write!(text, "<details><summary>Build record</summary><pre>{}</pre></details>", escape(&json));
    }
    text + "</section>\n"
}

/// Draws where two files differ: the published one as a grid of cells, darker where more bytes differ.
fn map(comparison: &Comparison) -> String {
    const COLUMNS: usize = 64;
    let side = &comparison.a.map;
    let rows = side.differing.len().div_ceil(COLUMNS).max(1);
    let mut text =
        format!("<figure><svg role=\"img\" aria-label=\"byte map\" viewBox=\"0 0 {} {}\">", COLUMNS * 10, rows * 10);
    for (index, &differing) in side.differing.iter().enumerate() {
        let (x, y) = (index % COLUMNS * 10, index / COLUMNS * 10);
        let share = differing as f64 / side.bytes_per_cell.max(1) as f64;
        let class = if differing == 0 { "same" } else { "other" };
        let opacity = if differing == 0 { 1.0 } else { 0.7 + 0.3 * share.min(1.0) };
        let offset = index as u64 * side.bytes_per_cell;
        let _ = write!(
            text,
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"9\" height=\"9\" opacity=\"{opacity:.2}\"><title>{offset:#x}: {differing} differ</title></rect>"
        );
    }
    let places: Vec<String> = comparison.places.iter().take(8).map(|place| escape(&place.summary())).collect();
    let _ = write!(
        text,
        "</svg><figcaption>Each cell is {} bytes of the published file; marked cells differ. A is published, B rebuilt.<br>{}</figcaption></figure>",
        side.bytes_per_cell,
        places.join("<br>")
    );
    text
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::provenance::Attested;
    use crate::jobs::vary::{Culprit, Outcome};

    fn report(verdicts: &[Answer]) -> Report {
        let row = |&verdict: &Answer| Row {
            platform: "linux-amd64".to_owned(),
            asset: "asset".to_owned(),
            verdict,
            attested: Attested::No(String::new()),
            reasons: Vec::new(),
            size: None,
            published: None,
            rebuilt: None,
            record: None,
            comparison: None,
        };
        Report {
            tag: "v1.2.3".to_owned(),
            origin: String::new(),
            commit: String::new(),
            said_by: Vec::new(),
            contract: Whose::Own,
            rebuilder: String::new(),
            confinement: String::new(),
            faults: Vec::new(),
            platforms: verdicts.iter().map(row).collect(),
            variations: None,
        }
    }

    #[test]
    fn yes_is_said_only_if_everything_was_rebuilt_and_nothing_differs() {
        use Answer::{Differs, NotRebuiltHere, Reproduced};
        assert_eq!(report(&[Reproduced, Reproduced]).holds(), Some(true));
        assert_eq!(report(&[Reproduced, NotRebuiltHere]).holds(), None);
        assert_eq!(report(&[]).holds(), None);
        assert_eq!(report(&[Reproduced, Differs, NotRebuiltHere]).holds(), Some(false));
        let fault = Report { faults: vec!["a fault".to_owned()], ..report(&[Reproduced]) };
        assert_eq!(fault.holds(), Some(false));
        let varied = |culprits| {
            let outcome = Outcome { rounds: 1, platforms: Vec::new(), variations: Vec::new(), culprits };
            Report { variations: Some(outcome), ..report(&[Reproduced]) }.holds()
        };
        assert_eq!(varied(Vec::new()), Some(true));
        assert_eq!(varied(vec![Culprit { variations: vec!["path"], effects: Vec::new() }]), Some(false));
    }
}
