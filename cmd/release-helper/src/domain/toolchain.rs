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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::contract::Contract;
    use crate::plumbing::{digest, files};

    fn checkout() -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
    }

    #[test]
    fn the_channel_is_three_numbers_in_the_one_file() {
        let tree = tempfile::tempdir().unwrap();
        let told = |channel: &str| {
            files::write(&tree.path().join(FILE), format!("[toolchain]\nchannel = {channel:?}\n").as_bytes()).unwrap();
            super::channel(tree.path())
        };
        assert_eq!(told("1.95.0").unwrap(), "1.95.0");
        assert_eq!(told("1234.0.9999").unwrap(), "1234.0.9999");
        for channel in ["stable", "1.95", "1.95.0.0", "1.95.x", "1..0", "1.95.00000", "+1.95.0", ""] {
            assert!(told(channel).is_err(), "{channel}");
        }
        files::write(&tree.path().join("rust-toolchain"), b"").unwrap();
        assert!(format!("{:#}", told("1.95.0").unwrap_err()).contains("rustup would take the toolchain it names"));
    }

    #[test]
    fn what_a_toolchain_is_does_not_depend_on_the_host() {
        let toolchain = Toolchain::of_tree(&checkout()).unwrap();
        let Identity { rustc, linker } = toolchain.identity().unwrap();
        assert!(rustc.contains(&format!("release: {}", toolchain.version)), "{rustc:?}");
        assert!(!rustc.iter().any(|line| line.starts_with("host: ") || line.starts_with("binary: ")), "{rustc:?}");
        assert!(linker.starts_with("LLD ") && !linker.contains("compatible"), "{linker}");
        assert!(toolchain.cargo().is_file() && toolchain.rustc().is_file() && toolchain.linker().is_file());
    }

    #[test]
    fn the_digest_of_core_is_over_what_becomes_part_of_an_artifact_in_the_order_of_names() {
        let sysroot = tempfile::tempdir().unwrap();
        let lib = sysroot.path().join("lib/rustlib/any-target/lib");
        for name in ["libcore-2.rlib", "libcompiler_builtins-1.rlib", "libcore-2.so", "libstd-3.rlib"] {
            files::create_dir(&lib).unwrap();
            files::write(&lib.join(name), name.as_bytes()).unwrap();
        }
        let cargo = PathBuf::new();
        let toolchain =
            Toolchain { version: String::new(), host: String::new(), cargo, sysroot: sysroot.path().to_owned() };
        let line = |name: &str| format!("{}  {name}\n", digest::sha256(name.as_bytes()));
        let lines = line("libcompiler_builtins-1.rlib") + &line("libcore-2.rlib");
        assert_eq!(toolchain.core_digest("any-target").unwrap(), digest::sha256(lines.as_bytes()));
        assert!(toolchain.core_digest("another-target").is_err());
    }

    #[test]
    fn nothing_is_fetched_for_a_platform_that_is_there() {
        let sysroot = tempfile::tempdir().unwrap();
        let contract = Contract::embedded().unwrap();
        let platform = contract.platform("linux-amd64").unwrap();
        assert!(!Toolchain::has(sysroot.path(), platform));
        files::create_dir(&sysroot.path().join("lib/rustlib").join(&platform.target).join("lib")).unwrap();
        assert!(Toolchain::has(sysroot.path(), platform));
        // Of a toolchain that rustup does not know.
        let (version, cargo) = ("0.0.0-none".to_owned(), PathBuf::new());
        let toolchain = Toolchain { version, host: String::new(), cargo, sysroot: sysroot.path().to_owned() };
        toolchain.ensure_targets(&[platform]).unwrap();
        // Another one it is asked for, and does not have it either.
        let other = contract.platform("darwin-arm64").unwrap();
        let refused = toolchain.ensure_targets(&[platform, other]).unwrap_err();
        let hint = crate::plumbing::error::hint_of(&refused).unwrap();
        assert!(hint.contains("run `rustup target add --toolchain 0.0.0-none aarch64-apple-darwin`"), "{refused:#}");
    }
}
