//! The Rust toolchain that builds the artifacts: exactly the one `rust-toolchain.toml` names.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::contract::Platform;
use crate::error::{Hint, hinted};
use crate::output;
use crate::process::Call;

/// Declares the toolchain, at the top of the source tree.
pub const FILE: &str = "rust-toolchain.toml";

/// An installed toolchain.
pub struct Toolchain {
    /// Its version, such as `1.95.0`.
    pub version: String,
    /// The target triple of the machine it runs on.
    pub host: String,
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
    /// The toolchain that the source tree at `root` asks for.
    pub fn of_tree(root: &Path) -> Result<Self> {
        let channel = channel(root)?;
        let rustc = |flag: &[&str]| -> Result<String> {
            let mut command = Command::new("rustc");
            // Set by rustup's cargo for its children; here the tree decides.
            command.env_remove("RUSTUP_TOOLCHAIN").current_dir(root).args(flag);
            let text = Call::new(command)
                .hint(format!("install Rust {channel}: rustup toolchain install {channel}"))
                .read()?;
            Ok(String::from_utf8_lossy(&text).trim().to_owned())
        };
        let verbose = rustc(&["--version", "--verbose"])?;
        let field = |name: &str| {
            let line = verbose.lines().find_map(|line| line.strip_prefix(name));
            line.map(str::to_owned).with_context(|| format!("rustc does not tell its {name:?}"))
        };
        let version = field("release: ")?;
        if version != channel {
            return Err(hinted(
                format_args!("rustc is {version}, but {FILE} asks for {channel}"),
                format!("rustup toolchain install {channel}, or use `nix develop`"),
            ));
        }
        Ok(Self { version, host: field("host: ")?, sysroot: PathBuf::from(rustc(&["--print", "sysroot"])?) })
    }

    /// Its `cargo`.
    pub fn cargo(&self) -> PathBuf {
        // A Nix toolchain may keep cargo elsewhere.
        let own = self.sysroot.join("bin/cargo");
        if own.is_file() { own } else { PathBuf::from("cargo") }
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
        let ask = |program: PathBuf, arguments: &[&str]| -> Result<String> {
            let mut command = Command::new(program);
            command.args(arguments);
            Ok(String::from_utf8_lossy(&Call::new(command).read()?).trim().to_owned())
        };
        let verbose = ask(self.rustc(), &["--version", "--verbose"])?;
        let lines = verbose.lines().filter(|line| !line.starts_with("host: ") && !line.starts_with("binary: "));
        let linker = ask(self.linker(), &["-flavor", "gnu", "--version"])?;
        let linker = linker.split(" (compatible").next().unwrap_or_default().to_owned();
        Ok(Identity { rustc: lines.map(str::to_owned).collect(), linker })
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
                libraries.push((name, crate::digest::sha256(&crate::files::read(&path)?)));
            }
        }
        libraries.sort();
        let list: String = libraries.iter().map(|(name, digest)| format!("{digest}  {name}\n")).collect();
        Ok(crate::digest::sha256(list.as_bytes()))
    }

    /// Makes sure that it can compile for `platforms`: fetches a missing `rust-std` through rustup, and says so.
    pub fn ensure_targets(&self, platforms: &[&Platform]) -> Result<()> {
        let has = |platform: &&&Platform| self.sysroot.join("lib/rustlib").join(&platform.target).join("lib").is_dir();
        let missing: Vec<_> =
            platforms.iter().filter(|platform| !has(platform)).map(|platform| platform.target.as_str()).collect();
        if missing.is_empty() {
            return Ok(());
        }
        output::step(format_args!("fetching rust-std for {}", missing.join(", ")));
        let mut command = Command::new("rustup");
        command.args(["target", "add", "--toolchain", &self.version]).args(&missing);
        Call::new(command)
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

/// The version in the tree's `rust-toolchain.toml`.
fn channel(root: &Path) -> Result<String> {
    let path = root.join(FILE);
    let text = String::from_utf8_lossy(&crate::files::read(&path)?).into_owned();
    let document: toml_edit::DocumentMut = text.parse().with_context(|| format!("{} is not TOML", path.display()))?;
    let channel =
        document.get("toolchain").and_then(|toolchain| toolchain.get("channel")).and_then(|channel| channel.as_str());
    channel
        .map(str::to_owned)
        .with_context(|| format!("{} names no channel", path.display()))
        .hint("restore the file with git")
}
