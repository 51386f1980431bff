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
    let staged = place.join("source");
    let target = place.join("target");
    source::stage(tree, &staged)?;
    let program = [toolchain.cargo().into_os_string()];
    let mut line = surroundings.wrapper.iter().chain(&program);
    let mut command = Command::new(line.next().context("a call needs a program")?);
    command.args(line).current_dir(&staged);
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy().into_owned();
        if SETTINGS.iter().any(|prefix| name.starts_with(prefix)) && !name.starts_with("RUSTUP") {
            command.env_remove(name);
        }
    }
    // An empty one: the settings in the user's own would be merged into the recipe.
    command.env("CARGO_HOME", place.join("cargo-home")).env("RUSTC", toolchain.rustc());
    if let Some(home) = &surroundings.home {
        command.env("HOME", home);
    }
    for (name, value) in &surroundings.environment {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.args(["build", "--release", "--locked", "--offline", "-p", "tsuku-dltest"]);
    command.args(["--config", "cmd/tsuku-dltest/link.toml", "--target-dir"]).arg(&target);
    command.args(platforms.iter().flat_map(|platform| ["--target", &platform.target]));
    if let Some(jobs) = surroundings.jobs {
        command.args(["--jobs", &jobs.to_string()]);
    }
    Call::new(command).hint("the recipe needs Rust's own linker and a C compiler for the build script").read()?;
    let finish = |platform: &&Platform| {
        let linked = target.join(&platform.target).join("release").join(&contract.binary);
        Artifact::finish(contract, platform, files::read(&linked).hint("cargo reported success without it")?)
    };
    platforms.iter().map(finish).collect()
}
