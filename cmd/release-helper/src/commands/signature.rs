//! `signature`: what the signatures of Mach-O files say, and whether they hold.

use std::fmt::Write as _;
use std::path::PathBuf;

use anyhow::Result;
use serde::Serialize;

use crate::Verdict;
use crate::domain::codesign::{self, CodeDirectory, Report, Slice};
use crate::plumbing::error::Hint;
use crate::plumbing::output;

#[derive(clap::Args)]
pub struct Signature {
    /// The Mach-O files, thin or fat
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Print everything as JSON: an array with one object per file
    #[arg(long)]
    json: bool,
}

/// A report with the file it is about.
#[derive(Serialize)]
struct Entry<'a> {
    file: String,
    holds: bool,
    #[serde(flatten)]
    report: &'a Report,
}

impl Signature {
    pub fn run(&self) -> Result<Verdict> {
        let mut reports = Vec::new();
        for file in &self.files {
            let report = codesign::verify_file(file).hint("name files that exist and can be read")?;
            if !self.json {
                output::print(describe(&file.display().to_string(), &report))?;
            }
            reports.push((file.display().to_string(), report));
        }
        if self.json {
            let entry = |(file, report): &(String, Report)| {
                serde_json::to_value(Entry { file: file.clone(), holds: report.holds(), report })
            };
            output::print_json(&reports.iter().map(entry).collect::<Result<Vec<_>, _>>()?)?;
        }
        Ok(Verdict::from_bool(reports.iter().all(|(_, report)| report.holds())))
    }
}

/// A report as people read it.
fn describe(file: &str, report: &Report) -> String {
    let mut text = String::new();
    for slice in &report.slices {
        describe_slice(&mut text, file, slice);
    }
    // A file with several slices gets a verdict of its own, as does one that is no Mach-O file.
    if report.slices.len() != 1 || report.problem.is_some() {
        match report.first_problem() {
            None => line(&mut text, format_args!("{file}: all {} signatures hold", report.slices.len())),
            Some(problem) => line(&mut text, format_args!("{file}: does not hold: {problem}")),
        }
    }
    text
}

fn describe_slice(text: &mut String, file: &str, slice: &Slice) {
    line(text, format_args!("{file} ({} at {:#x}, {} bytes)", slice.architecture, slice.offset, slice.size));
    if let Some(signature) = &slice.signature {
        let mut field = |name: &str, value: &dyn std::fmt::Display| line(text, format_args!("  {name:<16}{value}"));
        field("identifier", &signature.identifier);
        if let Some(team) = &signature.team {
            field("team", team);
        }
        field("cdhash", &signature.cdhash);
        let names = [(signature.adhoc, "adhoc"), (signature.linker_signed, "linker-signed")];
        let names: Vec<_> = names.iter().filter(|(set, _)| *set).map(|(_, name)| *name).collect();
        field("flags", &format_args!("{:#x} {}", signature.flags, names.join(",")));
        field("form", &signature.form.as_deref().unwrap_or("of no known tool"));
        let slack = if signature.slack_is_zero { "zero" } else { "not zero" };
        let unused = signature.size - signature.length;
        field(
            "place",
            &format_args!(
                "{:#x}, {} bytes, of which {} used{}",
                signature.offset,
                signature.size,
                signature.length,
                if unused > 0 { format!(", the rest is {slack}") } else { String::new() }
            ),
        );
        let blobs: Vec<_> = signature
            .blobs
            .iter()
            .map(|blob| format!("{:#x} ({:#010x}, {} bytes)", blob.slot, blob.magic, blob.length))
            .collect();
        field("blobs", &blobs.join(", "));
        for directory in &signature.code_directories {
            field(&format!("directory {:#x}", directory.slot), &describe_directory(directory));
            for (slot, hash) in &directory.special_slots {
                field(&format!("  slot -{slot}"), hash);
            }
        }
        for note in &signature.notes {
            field("note", note);
        }
    }
    match &slice.problem {
        None => line(text, format_args!("  {:<16}yes", "holds")),
        Some(problem) => line(text, format_args!("  {:<16}no: {problem}", "holds")),
    }
}

fn describe_directory(directory: &CodeDirectory) -> String {
    let mut text = format!(
        "{}, version {:#x}, {} pages of {} bytes, code limit {:#x}, cdhash {}",
        directory.hash, directory.version, directory.pages, directory.page_size, directory.code_limit, directory.cdhash
    );
    if let Some(segment) = &directory.exec_segment {
        let main = if segment.flags & 1 != 0 { ", main program" } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(text, ", executable segment {:#x}+{:#x}{main}", segment.base, segment.limit);
    }
    text
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{arguments}");
}
