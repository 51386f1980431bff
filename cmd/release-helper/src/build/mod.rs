//! Builds the artifacts of a source tree. Whatever the backend, the bytes must be the same.

pub mod cargo;
pub mod nix;

use std::path::Path;

use anyhow::{Context, Result};

use crate::contract::{Contract, Platform};
use crate::toolchain::Toolchain;
use crate::{codesign, digest};

/// What builds the artifacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Backend {
    /// Nix where it works, else cargo
    Auto,
    /// Plain cargo, with the toolchain of rust-toolchain.toml
    Cargo,
    /// The flake's packages, by Nix
    Nix,
}

/// Builds the artifacts of `platforms` from the source tree at `tree`, below the directory `place` (left for the caller
/// to remove).
pub fn artifacts(
    backend: Backend,
    contract: &Contract,
    platforms: &[&Platform],
    tree: &Path,
    place: &Path,
) -> Result<Vec<Artifact>> {
    match backend {
        Backend::Nix => return nix::build(platforms, tree, place, &nix::Demands::default()),
        Backend::Auto => {
            if let Some(artifacts) = nix::build_where_it_works(platforms, tree, place)? {
                return Ok(artifacts);
            }
        }
        Backend::Cargo => {}
    }
    let toolchain = Toolchain::of_tree(tree)?;
    toolchain.ensure_targets(platforms)?;
    cargo::build(&toolchain, contract, platforms, tree, place, &cargo::Surroundings::default())
}

/// A finished artifact: built, and signed where it is a Mach-O file. It is small enough to be held in memory.
#[derive(Clone, Debug)]
pub struct Artifact {
    /// The name of its platform.
    pub platform: String,
    /// Its file name in a release.
    pub asset: String,
    /// All of it.
    pub bytes: Vec<u8>,
    /// The SHA-256 of the bytes, hexadecimal.
    pub sha256: String,
}

impl Artifact {
    /// The finished artifact of `platform`.
    fn new(platform: &Platform, bytes: Vec<u8>) -> Self {
        Self { platform: platform.name.clone(), asset: platform.asset.clone(), sha256: digest::sha256(&bytes), bytes }
    }

    /// Makes the artifact of `platform` out of what the linker wrote.
    fn finish(contract: &Contract, platform: &Platform, linked: Vec<u8>) -> Result<Self> {
        let bytes = if platform.is_darwin() {
            // The linker's own form, 18 kB smaller than codesign's: only the identifier, which would be the name of
            // cargo's output file, is replaced.
            let signing = codesign::Signing {
                identifier: Some(contract.signing_identifier.clone()),
                style: codesign::Style::Linker(Some(codesign::Linker::Lld)),
            };
            codesign::sign(&linked, &signing).with_context(|| format!("cannot sign {}", platform.asset))?
        } else {
            linked
        };
        Ok(Self::new(platform, bytes))
    }
}
