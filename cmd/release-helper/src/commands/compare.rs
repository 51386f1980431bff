//! `compare`: whether two files are the same, and if not, where and most likely why.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::Result;
use serde::Serialize;

use crate::Verdict;
use crate::domain::artifact::{self, Comparison, compare::Place};
use crate::plumbing::files::Regular;
use crate::plumbing::output::{self, Table};

/// At most this many places are printed as a table; JSON has them all.
const PRINTED: usize = 40;

#[derive(clap::Args)]
pub struct Compare {
    /// The first file
    a: PathBuf,
    /// The second file
    b: PathBuf,
    /// Print everything as JSON, with the data to draw a byte map
    #[arg(long)]
    json: bool,
}

/// The comparison of two files of the file system.
#[derive(Serialize)]
struct Compared<'a> {
    file_a: &'a Path,
    file_b: &'a Path,
    #[serde(flatten)]
    comparison: &'a Comparison,
}

impl Compare {
    pub fn run(&self) -> Result<Verdict> {
        let (a, b) = (Regular::open(&self.a)?, Regular::open(&self.b)?);
        let comparison = artifact::compare_sources(&a.source(), &b.source(), self.json)?;
        if self.json {
            output::print_json(&Compared { file_a: &self.a, file_b: &self.b, comparison: &comparison })?;
        } else {
            output::print(self.report(&comparison))?;
        }
        Ok(Verdict::from_bool(comparison.same))
    }

    fn report(&self, comparison: &Comparison) -> String {
        if comparison.same {
            let hash = comparison.a.sha256.as_deref().unwrap_or_default();
            return format!("same: {} bytes, sha256 {hash}\n", comparison.a.size);
        }
        let mut sides = Table::new(["", "file", "bytes", "kind"]);
        for (name, file, side) in [("A", &self.a, &comparison.a), ("B", &self.b, &comparison.b)] {
            sides.row([name.into(), file.display().to_string(), side.size.to_string(), side.kind.clone()]);
        }
        let count = comparison.places.len();
        let (bytes, where_) = (output::counted(comparison.differing(), "byte"), output::counted(count as u64, "place"));
        let mut report = format!("{sides}\ndifferent: {bytes} in {where_}\n\n");
        let mut places =
            Table::new(["place", "size A", "size B", "differing", "first in A", "first in B", "bytes", "text"]);
        for place in comparison.places.iter().take(PRINTED) {
            places.row(row(place));
        }
        report += &places.to_string();
        if count > PRINTED {
            let _ = writeln!(report, "and {} more; --json has all", count - PRINTED);
        }
        report.push('\n');
        match comparison.same_unsigned {
            Some(true) => report += "with the signatures set aside they are the same\n",
            Some(false) => report += "with the signatures set aside they still differ\n",
            None => {}
        }
        for cause in &comparison.causes {
            let _ = writeln!(report, "likely cause: {}", cause.text);
        }
        report
    }
}

fn row(place: &Place) -> [String; 8] {
    let none = || "-".to_owned();
    let size =
        |extent: &Option<artifact::compare::Extent>| extent.as_ref().map_or(none(), |extent| extent.size.to_string());
    let (mut first_a, mut first_b, mut bytes, mut text) = (none(), none(), none(), String::new());
    if let Some(first) = &place.first {
        (first_a, first_b) = (format!("{:#x}", first.offset_a), format!("{:#x}", first.offset_b));
        bytes = format!("{:02x} / {:02x}", first.byte_a, first.byte_b);
        if first.text_a.len() >= 4 && first.text_b.len() >= 4 {
            text = format!("{} / {}", short(&first.text_a), short(&first.text_b));
        }
    }
    [place.name.clone(), size(&place.a), size(&place.b), place.differing.to_string(), first_a, first_b, bytes, text]
}

/// `text`, cut to fit beside the other columns.
fn short(text: &str) -> String {
    const WIDTH: usize = 24;
    if text.chars().count() <= WIDTH { text.into() } else { text.chars().take(WIDTH - 1).chain(['…']).collect() }
}
