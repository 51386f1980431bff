//! A library that moves the clock a build sees.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::domain::toolchain::Toolchain;
use crate::plumbing::files;
use crate::plumbing::process::Call;

/// Tells the library what to do to the clock: `+SECONDS` or `=SECONDS`.
pub(super) const VARIABLE: &str = "VARY_CLOCK";

/// Compiles the library into the directory `room`, where this machine can use one: a Linux with glibc.
pub(super) fn library(toolchain: &Toolchain, room: &Path) -> Result<Option<PathBuf>> {
    if !toolchain.host.ends_with("-linux-gnu") {
        return Ok(None);
    }
    let (source, library) = (room.join("clock_preload.rs"), room.join("clock_preload.so"));
    files::write(&source, include_bytes!("clock_preload.rs"))?;
    let mut command = Command::new(toolchain.rustc());
    command.args(["--edition=2024", "--crate-type=cdylib", "-Cpanic=abort", "-Copt-level=2"]);
    command.args(["-Clinker=rust-lld", "-Clinker-flavor=ld.lld", "-o"]).args([&library, &source]);
    Call::new(command).read().context("cannot compile the library that moves the clock")?;
    Ok(Some(library))
}
