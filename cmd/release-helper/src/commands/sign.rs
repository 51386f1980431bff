//! `sign`: ad-hoc signatures for Mach-O files.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::builder::{PossibleValuesParser, TypedValueParser};

use crate::Verdict;
use crate::domain::codesign::{self, Linker, Outcome, PageSize, Signing, Style};
use crate::plumbing::{error, output};

#[derive(clap::Args)]
pub struct Sign {
    /// The Mach-O files, thin or fat
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The identifier; by default made of the file's name as codesign does (thin files only)
    #[arg(long, value_name = "ID")]
    identifier: Option<String>,
    /// Write what a linker writes; by default the linker is recognised from the file
    #[arg(long, value_name = "LINKER", value_parser = linker(), num_args = 0..=1, require_equals = true, conflicts_with_all = ["page_size", "preserve"])]
    linker_signed: Option<Option<Linker>>,
    /// Keep the form of the existing signature, and its identifier unless another is given
    #[arg(long, conflicts_with = "page_size")]
    preserve: bool,
    /// The size of the pages that are hashed; by default 16384 on 64-bit ARM, as since macOS 26, else 4096
    #[arg(long, value_name = "BYTES", value_parser = page_size())]
    page_size: Option<PageSize>,
    /// Write the result here and leave FILE alone
    #[arg(short, long, value_name = "OUT")]
    output: Option<PathBuf>,
    /// Write nothing; exit with 1 if a file is not signed like this already
    #[arg(long, conflicts_with = "output")]
    check_only: bool,
}

/// Takes the linkers' names.
fn linker() -> impl TypedValueParser<Value = Linker> {
    PossibleValuesParser::new(Linker::ALL.map(Linker::name))
        .try_map(|name| Linker::by_name(&name).ok_or("there is no such linker"))
}

/// Takes the two sizes that there are.
fn page_size() -> impl TypedValueParser<Value = PageSize> {
    PossibleValuesParser::new(["4096", "16384"]).map(|size| match size.as_str() {
        "4096" => PageSize::Small,
        _ => PageSize::Large,
    })
}

/// Does `work` to each file, also after one that fails: what becomes of a file does not depend on the ones named before
/// it. Every failure but the last is told here, and the last one is the result.
pub(super) fn each(files: &[PathBuf], work: impl Fn(&Path) -> Result<Verdict>) -> Result<Verdict> {
    let (mut verdict, mut failure) = (Verdict::Yes, None);
    for file in files {
        match work(file) {
            Ok(Verdict::Yes) => {}
            Ok(Verdict::No) => verdict = Verdict::No,
            Err(error) => {
                if let Some(earlier) = failure.replace(error) {
                    error::report(&earlier);
                }
            }
        }
    }
    failure.map_or(Ok(verdict), Err)
}

impl Sign {
    pub fn run(&self) -> Result<Verdict> {
        ensure!(
            self.output.is_none() || self.files.len() == 1,
            "--output takes the result of one file, but {} are given",
            self.files.len()
        );
        let signing = Signing { identifier: self.identifier.clone(), style: self.style() };
        each(&self.files, |file| {
            let output = self.output.as_deref().unwrap_or(file);
            let outcome = codesign::sign_file(file, output, &signing, self.check_only)?;
            let (name, output) = (file.display(), output.display());
            match outcome {
                Outcome::Changed if self.check_only => {
                    output::step(format!("{name}: not signed so"));
                    return Ok(Verdict::No);
                }
                Outcome::Unchanged if self.output.is_none() => output::step(format!("{name}: already signed so")),
                _ => output::step(format!("{output}: signed")),
            }
            Ok(Verdict::Yes)
        })
    }

    fn style(&self) -> Style {
        if self.preserve {
            return Style::Preserve;
        }
        match self.linker_signed {
            Some(linker) => Style::Linker(linker),
            None => Style::Codesign(self.page_size),
        }
    }
}
