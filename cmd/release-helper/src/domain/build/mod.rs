//! Builds the artifacts of a source tree. Whatever the backend, the bytes must be the same.

pub mod cargo;
pub mod expressions;
pub mod nix;
pub mod stubs;

use anyhow::{Context, Result, ensure};

use crate::domain::codesign;
use crate::domain::contract::{Contract, Platform};
use crate::plumbing::digest;

/// What builds the artifacts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Backend {
    /// Plain cargo, with the toolchain of rust-toolchain.toml
    Cargo,
    /// The flake's packages, by Nix
    Nix,
}

/// A finished artifact, byte for byte as the linker wrote it. It is small enough to be held in memory.
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

    /// The artifact of `platform`, which the linker has to have signed where it is a Mach-O file.
    fn finish(contract: &Contract, platform: &Platform, linked: Vec<u8>) -> Result<Self> {
        if platform.is_darwin() {
            let signing = codesign::Signing {
                identifier: Some(contract.signing_identifier.clone()),
                style: codesign::Style::Linker(Some(codesign::Linker::Lld)),
            };
            let signed =
                codesign::sign(&linked, &signing).with_context(|| format!("cannot read {}", platform.asset))?;
            ensure!(
                signed == linked,
                "the linker did not sign {} as {}; the link recipe has to tell it",
                platform.asset,
                contract.signing_identifier
            );
        }
        Ok(Self::new(platform, linked))
    }
}
