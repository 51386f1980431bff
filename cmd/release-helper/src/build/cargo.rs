//! The cargo backend: the recipe anybody can type, in a clean place.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use super::Artifact;
use crate::contract::{Contract, Platform};
use crate::error::Hint;
use crate::process::Call;
use crate::toolchain::Toolchain;
use crate::{files, source};

/// Prefixes of environment variables that cargo and rustc read as settings. They must not reach the bytes.
const SETTINGS: [&str; 5] = ["CARGO", "RUST", "__CARGO", "MACOSX_DEPLOYMENT_TARGET", "SDKROOT"];

/// What is around a build. None of it may change a byte: `rehearse` and `vary` build under several.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// `HOME`, if it is to be another one.
    pub home: Option<PathBuf>,
    /// `CARGO_HOME`; an empty directory of its own by default.
    pub cargo_home: Option<PathBuf>,
    /// Where cargo puts what it makes; beside the source by default.
    pub target: Option<PathBuf>,
    /// Whether each platform gets a run of cargo of its own.
    pub one_by_one: bool,
    /// How many jobs cargo may run at once; its own choice by default.
    pub jobs: Option<usize>,
    /// Environment variables to set; `None` removes one.
    pub environment: Vec<(OsString, Option<OsString>)>,
    /// A program and its arguments to start cargo with, such as `setpriv --reuid=65534`.
    pub wrapper: Vec<OsString>,
}

/// Builds the artifacts of `platforms` from the source tree at `tree`, in one run of cargo, below the directory
/// `place` (created, and left for the caller to remove).
pub fn build(
    toolchain: &Toolchain,
    contract: &Contract,
    platforms: &[&Platform],
    tree: &Path,
    place: &Path,
    surroundings: &Surroundings,
) -> Result<Vec<Artifact>> {
    source::stage(tree, &staged(place))?;
    compile(toolchain, contract, platforms, place, surroundings)
}

/// Where [`compile`] expects the staged source below `place`.
pub fn staged(place: &Path) -> PathBuf {
    place.join("source")
}

/// The second half of [`build`]: the artifacts of `platforms` from what [`source::stage`] put into [`staged`].
pub fn compile(
    toolchain: &Toolchain,
    contract: &Contract,
    platforms: &[&Platform],
    place: &Path,
    surroundings: &Surroundings,
) -> Result<Vec<Artifact>> {
    let target = surroundings.target.clone().unwrap_or_else(|| place.join("target"));
    let at_once = if surroundings.one_by_one { 1 } else { platforms.len().max(1) };
    for platforms in platforms.chunks(at_once) {
        let mut command = surroundings.command(&toolchain.cargo(), place)?;
        command.env("RUSTC", toolchain.rustc());
        command.args(["build", "--release", "--locked", "--offline", "-p", "tsuku-dltest"]);
        command.args(["--config", "cmd/tsuku-dltest/link.toml", "--target-dir"]).arg(&target);
        command.args(platforms.iter().flat_map(|platform| ["--target", &platform.target]));
        if let Some(jobs) = surroundings.jobs {
            command.args(["--jobs", &jobs.to_string()]);
        }
        Call::new(command).hint("the recipe needs nothing but this Rust toolchain, with its own linker").read()?;
    }
    let finish = |platform: &&Platform| {
        let linked = target.join(&platform.target).join("release").join(&contract.binary);
        Artifact::finish(contract, platform, files::read(&linked).hint("cargo reported success without it")?)
    };
    platforms.iter().map(finish).collect()
}

impl Surroundings {
    /// A command that starts `program` in these surroundings, in the source staged below `place`.
    pub fn command(&self, program: &Path, place: &Path) -> Result<Command> {
        let program = [program.as_os_str().to_owned()];
        let mut line = self.wrapper.iter().chain(&program);
        let mut command = Command::new(line.next().context("a call needs a program")?);
        command.args(line).current_dir(staged(place));
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            if SETTINGS.iter().any(|prefix| name.starts_with(prefix)) && !name.starts_with("RUSTUP") {
                command.env_remove(name);
            }
        }
        // An empty one: the settings in the user's own would be merged into the recipe.
        command.env("CARGO_HOME", self.cargo_home.clone().unwrap_or_else(|| place.join("cargo-home")));
        if let Some(home) = &self.home {
            command.env("HOME", home);
        }
        for (name, value) in &self.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Ok(command)
    }
}
