//! Runs a finished artifact in a container: on a system as old, or as small, as its users have.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::stand_in;
use super::trial::{Trial, loads, tells_its_version};
use crate::plumbing::output::step;
use crate::plumbing::process::Call;

/// A library that is in every image of the contract: their package managers need it.
const LIBRARY: &str = "libz.so.1";
/// Seconds between requests for an image: registries refuse now and then, and limit what an address may ask for.
const WAITS: [u64; 3] = [10, 30, 90];

/// The name of an image for people: without the digest that pins it.
pub fn image_name(image: &str) -> &str {
    image.split('@').next().unwrap_or(image)
}

/// Runs the artifact at `path`, which must be of the given version, in a container of `image` without network.
pub fn in_container(image: &str, version: &str, path: &Path) -> Result<Trial> {
    let path = path.canonicalize().with_context(|| format!("cannot find {}", path.display()))?;
    pull(image)?;
    let volume = format!("{}:/tsuku-dltest:ro", path.display());
    let run = |arguments: &[&str]| {
        let call = docker().args(["run", "--rm", "--pull", "never", "--network", "none", "--volume", &volume, image]);
        call.arg("/tsuku-dltest").args(arguments).outcome()
    };
    let within = || {
        tells_its_version(&path, version, run)?;
        // By its name alone: where a system keeps its libraries is for its loader to know.
        loads(&path, &[LIBRARY.to_owned()], run)
    };
    within().with_context(|| format!("in a container of {}", image_name(image)))?;
    Ok(Trial::Ran { under: None, libraries: 1 })
}

fn pull(image: &str) -> Result<()> {
    // Apart from `run`, whose stderr is the artifact's.
    let pull = || docker().args(["pull", "--quiet", image]).hint("start Docker, or leave out --containers").read();
    let waits = if stand_in::find("docker").is_some() { &WAITS[..] } else { &[] };
    for seconds in waits {
        match pull() {
            Ok(_) => return Ok(()),
            Err(refusal) => step(format_args!("{refusal:#}; asking again in {seconds} s")),
        }
        std::thread::sleep(Duration::from_secs(*seconds));
    }
    pull().map(drop)
}

/// A call of Docker, which passes nothing of its environment on to a container.
fn docker() -> Call {
    Call::new(Command::new("docker")).with_network()
}
