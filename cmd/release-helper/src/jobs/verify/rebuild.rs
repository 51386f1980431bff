//! The rebuild of a tag's artifacts on this machine.

use std::path::Path;

use anyhow::Result;

use crate::domain::artifact::inspect;
use crate::domain::build::{Artifact, Backend, cargo, nix};
use crate::domain::contract::{Contract, Platform};
use crate::domain::record::{self, Record};
use crate::domain::toolchain::Toolchain;
use crate::domain::version::Tag;
use crate::plumbing::confine::Strength;
use crate::plumbing::error::hint_of;
use crate::plumbing::interrupt::Scratch;
use crate::plumbing::output;

/// What was rebuilt here, and what was not.
pub(super) struct Rebuild {
    pub(super) by: String,
    pub(super) artifacts: Vec<Artifact>,
    pub(super) records: Vec<Record>,
    /// For the platforms that are not among the artifacts: why, and what would allow it.
    pub(super) obstacles: Vec<(String, String)>,
    pub(super) toolchain: Option<Toolchain>,
    /// The clauses of the contract that an artifact breaks, by platform.
    pub(super) broken: Vec<(String, String)>,
    /// Whether the build was confined.
    pub(super) confinement: String,
}

/// What to rebuild.
pub(super) struct Job<'a> {
    pub(super) backend: Backend,
    pub(super) contract: &'a Contract,
    pub(super) platforms: &'a [&'a Platform],
    pub(super) tree: &'a Path,
    pub(super) tag: &'a Tag,
}

impl Job<'_> {
    pub(super) fn run(&self, toolchain: Result<Toolchain>, commit: &str, scratch: &Scratch) -> Result<Rebuild> {
        let Self { contract, platforms, tree, .. } = *self;
        let host = format!("{} {}", std::env::consts::ARCH, std::env::consts::OS);
        let mut rebuild = Rebuild {
            by: format!("nix on {host}"),
            artifacts: Vec::new(),
            records: Vec::new(),
            obstacles: Vec::new(),
            toolchain: None,
            broken: Vec::new(),
            confinement: "confined as Nix is configured".to_owned(),
        };
        let place = scratch.path().join("a verifier's place");
        let mut obstacle = |platform: &Platform, error: &anyhow::Error| {
            let hint = hint_of(error).map(|hint| format!("; {hint}")).unwrap_or_default();
            rebuild.obstacles.push((platform.name.clone(), format!("{error:#}{hint}")));
        };
        let records = |toolchain: &Toolchain, backend: &str, artifacts: &[Artifact]| {
            record::records(contract, toolchain, tree, Some(commit), backend, artifacts)
        };
        match self.backend {
            Backend::Cargo => {
                let toolchain = toolchain?;
                let mut able = Vec::new();
                for platform in platforms {
                    match toolchain.ensure_targets(&[platform]) {
                        Ok(()) => able.push(*platform),
                        Err(error) => obstacle(platform, &error),
                    }
                }
                output::step(format_args!(
                    "rebuilding {} artifacts with cargo, Rust {}",
                    able.len(),
                    toolchain.version
                ));
                if !able.is_empty() {
                    rebuild.artifacts =
                        cargo::build(&toolchain, contract, &able, tree, &place, &cargo::Surroundings::default())?;
                }
                rebuild.confinement = Strength::here().to_string();
                rebuild.by = format!("cargo, Rust {}, on {host}", toolchain.version);
                rebuild.records = records(&toolchain, "cargo", &rebuild.artifacts)?;
                rebuild.toolchain = Some(toolchain);
            }
            Backend::Nix => {
                output::step(format_args!("rebuilding {} artifacts with nix", platforms.len()));
                for platform in platforms {
                    let demands = nix::Demands { toolchains: true, ..nix::Demands::default() };
                    match nix::build(&[platform], tree, &place.join(&platform.name), &demands) {
                        Ok(built) => {
                            for toolchain in &built.toolchains {
                                rebuild.records.extend(records(toolchain, "nix", &built.artifacts)?);
                            }
                            rebuild.artifacts.extend(built.artifacts);
                        }
                        Err(error) => obstacle(platform, &error),
                    }
                }
                // The one for varied rebuilds.
                rebuild.toolchain = toolchain.ok();
            }
        }
        for artifact in &rebuild.artifacts {
            let platform = contract.platform(&artifact.platform)?;
            let inspection = inspect::inspect(&artifact.bytes, platform, contract, Some(&self.tag.version()))?;
            let broken = inspection.broken().map(|clause| {
                (platform.name.clone(), format!("{} is {}, not {}", clause.clause, clause.measured, clause.expected))
            });
            rebuild.broken.extend(broken);
        }
        Ok(rebuild)
    }
}

impl Rebuild {
    pub(super) fn platforms<'c>(&self, contract: &'c Contract) -> Result<Vec<&'c Platform>> {
        self.artifacts.iter().map(|artifact| contract.platform(&artifact.platform)).collect()
    }
}
