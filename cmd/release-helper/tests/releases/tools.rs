//! Tools from npm and PyPI, installed once below `target/`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

/// Held while installing: tests run in parallel.
static INSTALLING: Mutex<()> = Mutex::new(());

fn place() -> PathBuf {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("release-tools");
    std::fs::create_dir_all(&place).unwrap();
    place
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{:?}: {error}", command.get_program()))?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {}", text.trim())) }
}

/// Installs into `directory` by way of a directory beside it, so that half an installation is never used.
fn once(directory: &str, install: impl FnOnce(&Path) -> Result<(), String>) -> Result<PathBuf, String> {
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

/// GitHub's OpenAPI description.
pub fn openapi() -> Result<PathBuf, String> {
    let package = "octokit-openapi-23.0.2.tgz";
    let path = once("openapi-23.0.2", |path| {
        run(Command::new("npm").args(["pack", "--silent", "@octokit/openapi@23.0.2"]).current_dir(path))?;
        run(Command::new("tar").args(["-xzf", package, "package/generated/api.github.com.json"]).current_dir(path))?;
        std::fs::remove_file(path.join(package)).map_err(|error| error.to_string())
    })?;
    Ok(path.join("package/generated/api.github.com.json"))
}

/// A directory with `@octokit/rest` in `node_modules`.
pub fn octokit() -> Result<PathBuf, String> {
    once("octokit-22.0.1", |path| {
        let npm = ["install", "--silent", "--no-audit", "--no-fund", "--prefix", ".", "@octokit/rest@22.0.1"];
        run(Command::new("npm").args(npm).current_dir(path))
    })
}

/// A Python with PyGithub and jsonschema.
pub fn python() -> Result<PathBuf, String> {
    let path = once("python-1", |path| {
        run(Command::new("python3").args(["-m", "venv"]).arg(path))?;
        let pip = ["-m", "pip", "install", "--quiet", "PyGithub==2.10.0", "jsonschema==4.26.0"];
        run(Command::new(path.join("bin/python")).args(pip))
    })?;
    Ok(path.join("bin/python"))
}
