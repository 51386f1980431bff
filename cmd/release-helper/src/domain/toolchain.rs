//! The Rust toolchain that builds the artifacts: exactly the one `rust-toolchain.toml` names.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::domain::contract::Platform;
use crate::plumbing::error::{Hint, hinted};
use crate::plumbing::output;
use crate::plumbing::process::{self, Call};

/// Declares the toolchain, at the top of the source tree.
pub const FILE: &str = "rust-toolchain.toml";

/// An installed toolchain.
pub struct Toolchain {
    /// Its version, such as `1.95.0`.
    pub version: String,
    /// The target triple of the machine it runs on.
    pub host: String,
    cargo: PathBuf,
    sysroot: PathBuf,
}

/// See [`Toolchain::identity`].
pub struct Identity {
    /// The lines of `rustc --version --verbose` that do not depend on the host.
    pub rustc: Vec<String>,
    /// The linker's name, version and commit.
    pub linker: String,
}

impl Toolchain {
    /// The toolchain that the source tree at `root` asks for. Of the tree only the version is taken; nothing is started
    /// in it, where rustup would look for more.
    pub fn of_tree(root: &Path) -> Result<Self> {
        let channel = channel(root)?;
        let install = format!("install Rust {channel}: rustup toolchain install {channel}");
        let rustc = |flags: &[&str]| -> Result<String> {
            let told = rustup("rustc").env("RUSTUP_TOOLCHAIN", &channel).args(flags).hint(&install).read()?;
            Ok(String::from_utf8_lossy(&told).trim().to_owned())
        };
        let sysroot = PathBuf::from(rustc(&["--print", "sysroot"])?);
        ensure!(sysroot.is_absolute(), "rustc says that it lies in {}", sysroot.display());
        // From here on rustup has no say.
        let toolchain = Self::at(sysroot).hint(install)?;
        if toolchain.version != channel {
            return Err(hinted(
                format_args!("rustc is {}, but {FILE} asks for {channel}", toolchain.version),
                format!("rustup toolchain install {channel}, or use `nix develop`"),
            ));
        }
        Ok(toolchain)
    }

    /// The toolchain that lies at `sysroot`, whichever it is.
    pub fn at(sysroot: PathBuf) -> Result<Self> {
        let mut toolchain = Self { version: String::new(), host: String::new(), cargo: PathBuf::new(), sysroot };
        let verbose = toolchain.verbose_version()?;
        let field = |name: &str| {
            let line = verbose.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::to_owned).with_context(|| format!("rustc does not tell its {name:?}"))
        };
        toolchain.version = field("release: ")?;
        toolchain.host = field("host: ")?;
        // A Nix toolchain may keep cargo elsewhere.
        let own = toolchain.sysroot.join("bin/cargo");
        toolchain.cargo =
            if own.is_file() { own } else { process::find("cargo").context("there is no cargo on PATH")? };
        Ok(toolchain)
    }

    /// Where it lies.
    pub fn sysroot(&self) -> &Path {
        &self.sysroot
    }

    /// Its `cargo`.
    pub fn cargo(&self) -> &Path {
        &self.cargo
    }

    /// Its `rustc`.
    pub fn rustc(&self) -> PathBuf {
        self.sysroot.join("bin/rustc")
    }

    /// Its linker, the one inside the toolchain.
    pub fn linker(&self) -> PathBuf {
        self.sysroot.join("lib/rustlib").join(&self.host).join("bin/rust-lld")
    }

    /// What it is, in facts that are the same on every host: the compiler's and the linker's own words about the sources
    /// they are made of. (Their binaries differ from host to host.)
    pub fn identity(&self) -> Result<Identity> {
        let verbose = self.verbose_version()?;
        let lines = verbose.lines().filter(|line| !line.starts_with("host: ") && !line.starts_with("binary: "));
        let linker = ask(&self.linker(), &["-flavor", "gnu", "--version"])?;
        let linker = linker.split(" (compatible").next().unwrap_or_default().to_owned();
        Ok(Identity { rustc: lines.map(str::to_owned).collect(), linker })
    }

    fn verbose_version(&self) -> Result<String> {
        ask(&self.rustc(), &["--version", "--verbose"])
    }

    /// The SHA-256 over the compiled `core` and `compiler_builtins` of `target`: what becomes part of the artifact.
    pub fn core_digest(&self, target: &str) -> Result<String> {
        let directory = self.sysroot.join("lib/rustlib").join(target).join("lib");
        let entries = directory.read_dir().with_context(|| format!("cannot list {}", directory.display()))?;
        let mut libraries = Vec::new();
        for entry in entries {
            let path = entry.with_context(|| format!("cannot list {}", directory.display()))?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let wanted = ["libcore-", "libcompiler_builtins-"].iter().any(|prefix| name.starts_with(prefix));
            if wanted && name.ends_with(".rlib") {
                libraries.push((name, crate::plumbing::digest::sha256(&crate::plumbing::files::read(&path)?)));
            }
        }
        libraries.sort();
        let list: String = libraries.iter().map(|(name, digest)| format!("{digest}  {name}\n")).collect();
        Ok(crate::plumbing::digest::sha256(list.as_bytes()))
    }

    /// Whether there is a standard library for `platform` below `sysroot`.
    pub fn has(sysroot: &Path, platform: &Platform) -> bool {
        sysroot.join("lib/rustlib").join(&platform.target).join("lib").is_dir()
    }

    /// Makes sure that it can compile for `platforms`: fetches a missing `rust-std` through rustup, and says so.
    pub fn ensure_targets(&self, platforms: &[&Platform]) -> Result<()> {
        let missing: Vec<_> = platforms
            .iter()
            .filter(|platform| !Self::has(&self.sysroot, platform))
            .map(|platform| platform.target.as_str())
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        output::step(format_args!("fetching rust-std for {}", missing.join(", ")));
        rustup("rustup")
            .args(["target", "add", "--toolchain", &self.version])
            .args(&missing)
            .hint(format!(
                "this toolchain lacks the standard library of {0}; run `rustup target add --toolchain {1} {0}`, \
                 leave those platforms out, or build with --backend nix",
                missing.join(" "),
                self.version
            ))
            .read()?;
        Ok(())
    }
}

/// What a program of the toolchain says.
fn ask(program: &Path, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(program);
    command.args(arguments).current_dir("/");
    Ok(String::from_utf8_lossy(&Call::new(command).read()?).trim().to_owned())
}

/// A call of rustup, or of a program that may be a proxy of it. It starts in `/`: rustup looks for toolchain files in
/// all directories above the one it starts in.
fn rustup(program: &str) -> Call {
    /// Where the user keeps rustup's files, and gets them from.
    const SETTINGS: [&str; 5] =
        ["CARGO_HOME", "RUSTUP_AUTO_INSTALL", "RUSTUP_DIST_SERVER", "RUSTUP_HOME", "RUSTUP_UPDATE_ROOT"];
    let mut command = Command::new(program);
    command.current_dir("/").envs(SETTINGS.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
    Call::new(command).with_network()
}

/// The version in the tree's `rust-toolchain.toml`: three numbers and nothing that names another place.
pub fn channel(root: &Path) -> Result<String> {
    let rival = root.join("rust-toolchain");
    if rival.symlink_metadata().is_ok() {
        return Err(hinted(
            format_args!("there is a file {}: rustup would take the toolchain it names", rival.display()),
            format!("a source that is honest names its toolchain in {FILE} alone: do not build it"),
        ));
    }
    let path = root.join(FILE);
    let text = String::from_utf8(crate::plumbing::files::read(&path)?)
        .with_context(|| format!("{} is not text", path.display()))?;
    let document: Document =
        toml_edit::de::from_str(&text).with_context(|| format!("cannot use {}", path.display())).hint(CHANNEL)?;
    let channel = document.toolchain.channel;
    let numbers: Vec<&str> = channel.split('.').collect();
    let is_number = |text: &&str| (1..=4).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if numbers.len() != 3 || !numbers.iter().all(is_number) {
        return Err(hinted(format_args!("{} asks for the channel {channel:?}", path.display()), CHANNEL));
    }
    Ok(channel)
}

const CHANNEL: &str = "it names one exact version of Rust, such as channel = \"1.95.0\", and no place to take it from";

/// `rust-toolchain.toml`, as far as it may go: `path` would name a toolchain of the tree's own.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    toolchain: Wanted,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    channel: String,
    #[serde(rename = "profile")]
    _profile: Option<String>,
    #[serde(rename = "components")]
    _components: Option<Vec<String>>,
    #[serde(rename = "targets")]
    _targets: Option<Vec<String>>,
}
