//! What the tests of releases have from npm and PyPI.

use std::path::PathBuf;
use std::process::Command;

use crate::installed::{npm, once, run};

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
    npm("octokit-22.0.1", &["@octokit/rest@22.0.1"])
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
