//! Tools from npm and PyPI, installed once below `target/`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// Held while installing: tests run in parallel.
static INSTALLING: Mutex<()> = Mutex::new(());

/// Runs an installation; an error is what it said.
pub fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {}", text.trim())) }
}

/// Where all of it goes.
pub fn place() -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("release-tools");
    std::fs::create_dir_all(&place).unwrap();
    place
}

/// Installs into `directory`, unless that was done before; half an installation is never used.
pub fn once(directory: &str, install: impl FnOnce(&Path) -> Result<(), String>) -> Result<PathBuf, String> {
    let _guard = INSTALLING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let path = place().join(directory);
    let done = place().join(format!("{directory}.done"));
    if !done.exists() {
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).unwrap();
        install(&path)?;
        std::fs::write(&done, "").unwrap();
    }
    Ok(path)
}

/// A directory with these packages of npm, such as `@octokit/rest@22.0.1`, in `node_modules`.
pub fn npm(directory: &str, packages: &[&str]) -> Result<PathBuf, String> {
    once(directory, |path| {
        let install = ["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", "."];
        run(Command::new("npm").args(install).args(packages).current_dir(path))
    })
}
