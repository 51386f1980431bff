//! `verify`: rebuilds a published release and compares it bit for bit.

use std::path::PathBuf;

use anyhow::{Context, Result};

use crate::Verdict;
use crate::domain::build::Backend;
use crate::domain::provenance::Checker;
use crate::domain::releases::{Limits, runner};
use crate::domain::source;
use crate::domain::version::Tag;
use crate::jobs::verify::attest::{NAMESPACE, Statement};
use crate::jobs::verify::{self, Answer, Demands, Options, Published, Report, Whose};
use crate::plumbing::error::hinted;
use crate::plumbing::files;
use crate::plumbing::output;

/// One line for each platform: reproduced, differs, or not rebuilt here. Exit status 0: all reproduced; 1: something
/// differs; 2: could not tell.
#[derive(clap::Args)]
pub struct Verify {
    /// The release's tag, such as v1.2.3
    tag: Tag,
    /// Take the published assets from this directory instead of the repository's release
    #[arg(long, value_name = "DIR")]
    assets: Option<PathBuf>,
    /// What rebuilds the artifacts
    #[arg(long, value_name = "auto|nix|cargo", default_value = "auto")]
    backend: Choice,
    /// Only this platform; may be given again
    #[arg(long = "platform", value_name = "PLATFORM")]
    platforms: Vec<String>,
    /// The commit that the tag must mean
    #[arg(long, value_name = "REVISION")]
    commit: Option<String>,
    /// Rebuild so many times more under varied surroundings
    #[arg(long, value_name = "N", default_value_t = 0)]
    rounds: usize,
    /// A repository that has the commit [default: the one around the current directory, else a fresh clone]
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Whose contract the release is held to
    #[arg(long, value_enum, default_value = "own")]
    contract: Whose,
    /// Print everything as JSON
    #[arg(long)]
    json: bool,
    /// Write a report: HTML, or Markdown if the name ends in .md; may be given again
    #[arg(long, value_name = "FILE")]
    report: Vec<PathBuf>,
    /// Take an artifact without a valid attestation for a fault
    #[arg(long)]
    require_attestation: bool,
    /// The repository whose reusable workflow made the artifacts, if it is not the release's own
    #[arg(long, value_name = "OWNER/NAME", value_parser = runner::repository)]
    signer_repo: Option<String>,
    /// Believe these keys of a Sigstore instance instead of the public one's that are compiled in
    #[arg(long, value_name = "FILE")]
    trusted_root: Option<PathBuf>,
    /// Write the verdict as an in-toto statement, to be signed
    #[arg(long, value_name = "FILE")]
    attest: Option<PathBuf>,
    #[command(flatten)]
    remote: runner::Remote,
}

/// A backend, or whichever works.
#[derive(Clone, Copy, clap::ValueEnum)]
enum Choice {
    /// cargo where the toolchain is at hand, else nix
    Auto,
    /// The flake's packages, by Nix
    Nix,
    /// Plain cargo, with the toolchain of rust-toolchain.toml
    Cargo,
}

impl Verify {
    pub fn run(&self) -> Result<Verdict> {
        let root = match &self.root {
            Some(root) => Some(source::root(Some(root))?),
            None => source::root(None).ok(),
        };
        let options = Options {
            tag: self.tag.clone(),
            platforms: self.platforms.clone(),
            backend: match self.backend {
                Choice::Auto => None,
                Choice::Nix => Some(Backend::Nix),
                Choice::Cargo => Some(Backend::Cargo),
            },
            root,
            commit: self.commit.clone(),
            rounds: self.rounds,
            attestations: self.attestations()?,
            contract: self.contract,
        };
        verify::preflight(&options)?;
        let published = match &self.assets {
            Some(directory) => Published::read(directory)?,
            None => Published::fetch(&self.remote.client()?.with_limits(Limits::READER), &self.tag.to_string())?,
        };
        let report = verify::verify(&options, &published)?;
        if self.json {
            output::print_json(&report)?;
        } else {
            output::print(lines(&report))?;
        }
        for path in &self.report {
            let is_markdown = path.extension().is_some_and(|extension| extension == "md");
            files::write(path, if is_markdown { report.markdown() } else { report.html() }.as_bytes())?;
        }
        if let Some(path) = &self.attest {
            files::write(path, &serde_json::to_vec_pretty(&Statement::of(&report))?)?;
            let path = path.display();
            output::step(format_args!("sign it: ssh-keygen -Y sign -n {NAMESPACE} -f ~/.ssh/id_ed25519 {path}"));
        }
        if let Some((row, why)) = report.platforms.iter().find_map(|row| Some((row, row.attested.why()?))) {
            output::step(format_args!("attested: {}: {why}", row.attested));
        }
        output::step(report.conclusion());
        match report.holds() {
            Some(holds) => Ok(Verdict::from_bool(holds)),
            None => Err(hinted(
                "could not tell: not every platform was rebuilt here",
                "the lines above say what is missing; --platform leaves platforms out",
            )),
        }
    }
}

impl Verify {
    fn attestations(&self) -> Result<Demands> {
        let read = |path: &PathBuf| {
            let text =
                String::from_utf8(files::read(path)?).with_context(|| format!("{} is not text", path.display()))?;
            Checker::with_root(&text).with_context(|| path.display().to_string())?;
            Ok::<_, anyhow::Error>(text)
        };
        Ok(Demands {
            repository: self.remote.repository().map(str::to_owned),
            signer: self.signer_repo.clone(),
            trusted_root: self.trusted_root.as_ref().map(read).transpose()?,
            required: self.require_attestation,
        })
    }
}

fn lines(report: &Report) -> String {
    let width = report.platforms.iter().map(|row| row.platform.len()).max().unwrap_or(0);
    let mut text = format!("{:<width$}  {:<16}  {}\n", "source", report.confinement, report.source());
    for row in &report.platforms {
        let detail = match row.verdict {
            Answer::Reproduced => {
                format!(
                    "{} bytes, sha256 {}",
                    row.size.unwrap_or_default(),
                    row.published.as_deref().unwrap_or_default()
                )
            }
            Answer::Differs | Answer::NotRebuiltHere => row.reasons.join("; "),
        };
        text += &format!("{:<width$}  {:<16}  attested: {:<11}  {detail}\n", row.platform, row.verdict, row.attested);
    }
    for fault in &report.faults {
        text += &format!("{:<width$}  {:<16}  {fault}\n", "release", Answer::Differs);
    }
    if let Some(outcome) = &report.variations {
        text += &format!(
            "{:<width$}  {:<16}  {} rounds, {} variations\n",
            "variations",
            if outcome.holds() { "no difference" } else { "differs" },
            outcome.rounds,
            outcome.tried()
        );
        for culprit in &outcome.culprits {
            text += &format!(
                "{:<width$}  {:<16}  {}: {}\n",
                "",
                "",
                culprit.variations.join("+"),
                culprit.effects.join("; ")
            );
        }
    }
    text
}
