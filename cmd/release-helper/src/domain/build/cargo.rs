//! The cargo backend: the recipe anybody can type, in a clean place.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::Artifact;
use crate::domain::contract::{Contract, Platform};
use crate::domain::source;
use crate::domain::toolchain::Toolchain;
use crate::plumbing::confine::Walls;
use crate::plumbing::error::Hint;
use crate::plumbing::files;
use crate::plumbing::process::Call;

/// No build of a few small files takes longer; one that does was made to.
const LIMIT: Duration = Duration::from_secs(900);

/// What is around a build. None of it may change a byte: `rehearse` and `vary` build under several.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// `HOME`; an empty directory of its own by default.
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
    /// Lines of `rustc -vV`, such as `host`, and what cargo is to be told in their place.
    pub told: Vec<(&'static str, &'static str)>,
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
        let mut call = surroundings.call(toolchain.cargo(), place, &[toolchain.sysroot(), toolchain.cargo()])?;
        call = call.env("RUSTC", surroundings.rustc(toolchain, place)?);
        call = call.args(["build", "--release", "--locked", "--offline", "-p", "tsuku-dltest", "--manifest-path"]);
        call = call.arg(staged(place).join("Cargo.toml"));
        call = call.arg("--config").arg(staged(place).join("cmd/tsuku-dltest/link.toml"));
        call = call.arg("--target-dir").arg(&target);
        call = call.args(platforms.iter().flat_map(|platform| ["--target", &platform.target]));
        if let Some(jobs) = surroundings.jobs {
            call = call.args(["--jobs", &jobs.to_string()]);
        }
        call.limit(LIMIT).hint("the recipe needs nothing but this Rust toolchain, with its own linker").read()?;
    }
    let finish = |platform: &&Platform| {
        let linked = target.join(&platform.target).join("release").join(&contract.binary);
        Artifact::finish(contract, platform, files::read(&linked).hint("cargo reported success without it")?)
    };
    platforms.iter().map(finish).collect()
}

impl Surroundings {
    /// The compiler; one that tells cargo something else about itself is a script below `place`.
    fn rustc(&self, toolchain: &Toolchain, place: &Path) -> Result<PathBuf> {
        let rustc = toolchain.rustc();
        if self.told.is_empty() {
            return Ok(rustc);
        }
        let real = format!("'{}'", rustc.display().to_string().replace('\'', r"'\''"));
        let edits: String =
            self.told.iter().map(|(line, text)| format!(" -e 's/^{line}: .*/{line}: {text}/'")).collect();
        let script = format!("#!/bin/sh\n[ \"$*\" = -vV ] || exec {real} \"$@\"\n{real} -vV | sed{edits}\n");
        let path = place.join("told/rustc");
        files::create_dir(&place.join("told"))?;
        files::write_executable(&path, script.as_bytes())?;
        Ok(path)
    }

    /// A call of `program` in these surroundings, inside walls: of files it gets the system's, those at `readable`, and
    /// what is below `place` and the directories that are named here.
    ///
    /// It starts in `/`. Cargo takes settings from all directories above the one it starts in, and those above `place`
    /// may be others'.
    pub fn call(&self, program: &Path, place: &Path, readable: &[&Path]) -> Result<Call> {
        let default = |given: &Option<PathBuf>, name: &str| given.clone().unwrap_or_else(|| place.join(name));
        // An empty one: the settings in the user's own would be merged into the recipe.
        let cargo_home = default(&self.cargo_home, "cargo-home");
        let home = default(&self.home, "home");
        let set = |name: &str| {
            let value = self.environment.iter().rev().find(|(set, _)| set == name)?.1.as_ref()?;
            Some(PathBuf::from(value))
        };
        let temporary = set("TMPDIR").unwrap_or_else(|| place.join("tmp"));
        let mut walls =
            Walls { readable: readable.iter().map(|path| path.to_path_buf()).collect(), writable: Vec::new() };
        walls.readable.extend(set("LD_PRELOAD"));
        walls.writable.extend([place.to_owned(), cargo_home.clone(), home.clone(), temporary.clone()]);
        walls.writable.extend(self.target.clone());
        walls.writable.iter().try_for_each(|directory| files::create_dir(directory))?;

        let mut line = self.wrapper.clone();
        let wrapped = !line.is_empty();
        if wrapped {
            // What wraps a build needs what is outside: only the build itself is put inside.
            line.extend(walls.command_line()?);
        }
        line.push(program.into());
        let mut line = line.iter();
        let mut command = Command::new(line.next().context("a call needs a program")?);
        command.args(line).current_dir("/");
        command.env("CARGO_HOME", cargo_home).env("HOME", home).env("TMPDIR", temporary);
        for (name, value) in &self.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        let call = Call::new(command);
        Ok(if wrapped { call } else { call.inside(walls) })
    }
}
