//! Runs a macOS artifact the way it arrives through a browser: with the quarantine attribute.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::plumbing::files;
use crate::plumbing::interrupt::Scratch;
use crate::plumbing::process::Call;

/// What the browsers write: quarantined, not yet approved by the user.
const ATTRIBUTE: &str = "0081;00000000;release-helper;";
const SIGKILL: i32 = 9;

/// Starts a quarantined copy of the artifact at `path`, on a Mac, and says what macOS did.
///
/// Gatekeeper kills what Apple has not notarized, whoever signed it, and no ad-hoc signature changes that. So both
/// are right: that it runs (Gatekeeper is off) and that it is killed. That it runs and fails is not.
pub fn quarantined(path: &Path) -> Result<&'static str> {
    let scratch = Scratch::new()?;
    let copy = scratch.path().join("tsuku-dltest");
    files::write_executable(&copy, &files::read(path)?)?;
    let attribute = Command::new("xattr");
    Call::new(attribute).args(["-w", "com.apple.quarantine", ATTRIBUTE]).arg(&copy).read()?;
    let outcome = Call::alone(Command::new(&copy)).arg("--version").outcome()?;
    if outcome.status.success() {
        Ok("quarantined: ran")
    } else if outcome.status.signal() == Some(SIGKILL) {
        Ok("quarantined: refused by Gatekeeper, as is everything that is not notarized")
    } else {
        bail!("{} with the quarantine attribute ended with {}", path.display(), outcome.status)
    }
}
