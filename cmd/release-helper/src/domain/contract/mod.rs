//! The contract of a release, read from `release.toml`: which platforms there are and what their artifacts must be.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::plumbing::error::Hint;
use crate::plumbing::files;

/// The contract's file name, at the top of the repository.
pub const FILE: &str = "release.toml";

/// What a release is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Contract {
    /// The name of the released program.
    pub binary: String,
    /// The identifier in the code signature of the macOS artifacts.
    pub signing_identifier: String,
    /// The name of the asset that lists the digests of the others.
    pub sums: String,
    /// What follows an artifact's name in the name of the asset that attests it.
    pub attestation_suffix: String,
    /// The systems that Nix builds on, in its words.
    pub nix_systems: Vec<String>,
    #[serde(rename = "platform")]
    platforms: BTreeMap<String, Platform>,
}

/// One platform and the clauses its artifact must fulfil.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Platform {
    /// `linux-amd64` and so on.
    #[serde(skip_deserializing)]
    pub name: String,
    /// The file name of the platform's asset.
    #[serde(skip_deserializing)]
    pub asset: String,
    /// The Rust target triple.
    pub target: String,
    /// The label of the GitHub runner that builds and tests it.
    pub runner: String,
    /// The C library whose `dlopen` it calls.
    pub libc: Libc,
    /// The exact PT_INTERP; none means that there must be none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interpreter: Option<String>,
    /// The dynamic loader that an artifact without interpreter maps by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loader: Option<String>,
    /// The libraries it may name in NEEDED or LC_LOAD_DYLIB.
    pub needed: Vec<String>,
    /// The highest `GLIBC_…` symbol version it may ask for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub glibc_ceiling: Option<String>,
    /// The oldest macOS it runs on, as written in LC_BUILD_VERSION.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum_macos: Option<String>,
    /// The largest size allowed, in bytes.
    pub max_size: u64,
    /// Container images in which the artifact is tested beside the runner itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub test_containers: Vec<String>,
}

/// The C library that an artifact loads libraries with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum Libc {
    /// GNU libc.
    #[serde(rename = "glibc")]
    Glibc,
    /// musl libc.
    #[serde(rename = "musl")]
    Musl,
    /// The one of macOS.
    #[serde(rename = "libSystem")]
    LibSystem,
}

impl fmt::Display for Libc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Glibc => "glibc",
            Self::Musl => "musl",
            Self::LibSystem => "libSystem",
        })
    }
}

impl Contract {
    /// The contract this helper was compiled with.
    pub fn embedded() -> Result<Self> {
        Self::parse(include_str!("../../../../../release.toml")).context(FILE)
    }

    /// The contract of the source tree at `root`.
    pub fn of_tree(root: &Path) -> Result<Self> {
        let path = root.join(FILE);
        let text = String::from_utf8(files::read(&path)?).with_context(|| format!("{} is not text", path.display()))?;
        Self::parse(&text).with_context(|| path.display().to_string())
    }

    fn parse(text: &str) -> Result<Self> {
        let mut contract: Self = toml_edit::de::from_str(text)
            .hint("every key is documented in cmd/release-helper/src/domain/contract/mod.rs")?;
        for (name, platform) in &mut contract.platforms {
            platform.name = name.clone();
            platform.asset = format!("{}-{name}", contract.binary);
        }
        contract.check().hint("a release has exactly one artifact for each of its six platforms")?;
        Ok(contract)
    }

    fn check(&self) -> Result<()> {
        let mut missing = expected_names();
        for platform in self.platforms() {
            let name = &platform.name;
            let Some(position) = missing.iter().position(|expected| expected == name) else {
                bail!("unknown platform {name}");
            };
            missing.remove(position);
            let twin = self.platforms().find(|other| other.target == platform.target && other.name != *name);
            ensure!(twin.is_none(), "{name} has the same target as another platform: {}", platform.target);
            ensure!(
                platform.is_darwin() == (platform.libc == Libc::LibSystem)
                    && name.ends_with("-musl") == (platform.libc == Libc::Musl),
                "platform {name} cannot have the libc {}",
                platform.libc
            );
            ensure!(
                platform.is_darwin() == platform.minimum_macos.is_some(),
                "minimum-macos belongs to the darwin platforms, see {name}"
            );
            ensure!(
                (platform.libc == Libc::Glibc) == platform.glibc_ceiling.is_some()
                    && (platform.libc == Libc::Glibc) == platform.interpreter.is_some(),
                "glibc-ceiling and interpreter belong to the glibc platforms, see {name}"
            );
            ensure!(
                (platform.libc == Libc::Musl) == platform.loader.is_some(),
                "loader belongs to the musl platforms, see {name}"
            );
        }
        ensure!(missing.is_empty(), "missing platform: {}", missing.join(", "));
        Ok(())
    }

    /// The first clause in which `other` is another contract; none if they are the same, whatever the comments.
    pub fn difference(&self, other: &Self) -> Option<String> {
        let json = |contract: &Self| serde_json::to_value(contract).unwrap_or_default();
        difference("", &json(self), &json(other))
    }

    /// All platforms, by name.
    pub fn platforms(&self) -> impl Iterator<Item = &Platform> {
        self.platforms.values()
    }

    /// The platform called `name`.
    pub fn platform(&self, name: &str) -> Result<&Platform> {
        let known = || self.platforms.keys().cloned().collect::<Vec<_>>().join(", ");
        self.platforms
            .get(name)
            .with_context(|| format!("there is no platform called {name:?}"))
            .hint(format!("the platforms are {}", known()))
    }

    /// The platforms called `names`, in the contract's order; all of them if no name is given.
    pub fn select(&self, names: &[String]) -> Result<Vec<&Platform>> {
        for name in names {
            self.platform(name)?;
        }
        Ok(self.platforms().filter(|platform| names.is_empty() || names.contains(&platform.name)).collect())
    }

    /// The names of all assets of a complete release, the sums last. Whatever a release gains later is added here.
    pub fn assets(&self) -> Vec<String> {
        self.platforms().map(|platform| platform.asset.clone()).chain([self.sums.clone()]).collect()
    }

    /// The same contract for some of the platforms only; for all of them if no name is given.
    pub fn restricted_to(mut self, names: &[String]) -> Result<Self> {
        let chosen: Vec<String> = self.select(names)?.into_iter().map(|platform| platform.name.clone()).collect();
        self.platforms.retain(|name, _| chosen.contains(name));
        Ok(self)
    }

    /// The names of what a release made on GitHub has beside [`Contract::assets`]: a build record and an attestation
    /// of each artifact.
    pub fn companions(&self) -> Vec<String> {
        let names = |platform: &Platform| {
            [record_name(&platform.asset), format!("{}{}", platform.asset, self.attestation_suffix)]
        };
        self.platforms().flat_map(names).collect()
    }

    /// The platform whose asset is called `asset`.
    pub fn platform_of_asset(&self, asset: &str) -> Option<&Platform> {
        self.platforms().find(|platform| platform.asset == asset)
    }

    /// The platform of the machine this runs on. On Linux that is the glibc one.
    pub fn host(&self) -> Option<&Platform> {
        self.platforms().find(|platform| {
            platform.machine() == std::env::consts::ARCH
                && platform.os() == std::env::consts::OS
                && platform.libc != Libc::Musl
        })
    }
}

impl Platform {
    /// Whether the artifact is a Mach-O file, to be signed.
    pub fn is_darwin(&self) -> bool {
        self.name.starts_with("darwin-")
    }

    /// The machine it runs on, as Rust names it: `x86_64`, `aarch64`.
    pub fn machine(&self) -> &str {
        self.target.split('-').next().unwrap_or_default()
    }

    /// The operating system it runs on, as Rust names it: `linux`, `macos`.
    pub fn os(&self) -> &'static str {
        if self.is_darwin() { "macos" } else { "linux" }
    }
}

/// The file name of the build record of `asset`.
pub fn record_name(asset: &str) -> String {
    format!("{asset}.build.json")
}

fn difference(name: &str, own: &Value, other: &Value) -> Option<String> {
    if let (Value::Object(own), Value::Object(other)) = (own, other) {
        let names: BTreeSet<&String> = own.keys().chain(other.keys()).collect();
        let value = |object: &serde_json::Map<String, Value>, name: &str| object.get(name).cloned().unwrap_or_default();
        return names.into_iter().find_map(|key| {
            let path = if name.is_empty() { key.clone() } else { format!("{name}.{key}") };
            difference(&path, &value(own, key), &value(other, key))
        });
    }
    (own != other).then(|| format!("{name} is {other}, this helper's is {own}"))
}

/// The names every contract has: both machines, and on Linux both C libraries.
fn expected_names() -> Vec<String> {
    ["linux-", "darwin-"]
        .into_iter()
        .flat_map(|os| ["amd64", "arm64"].map(|machine| format!("{os}{machine}")))
        .flat_map(|name| if name.starts_with("linux-") { vec![format!("{name}-musl"), name] } else { vec![name] })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = include_str!("../../../../../release.toml");

    fn refusal(text: &str) -> String {
        let error = Contract::parse(text).unwrap_err();
        assert!(crate::plumbing::error::hint_of(&error).is_some());
        format!("{error:#}")
    }

    #[test]
    fn the_contract_names_six_platforms_and_their_assets() {
        let contract = Contract::embedded().unwrap();
        let assets: Vec<_> = contract.platforms().map(|platform| platform.asset.as_str()).collect();
        assert_eq!(
            assets,
            [
                "tsuku-dltest-darwin-amd64",
                "tsuku-dltest-darwin-arm64",
                "tsuku-dltest-linux-amd64",
                "tsuku-dltest-linux-amd64-musl",
                "tsuku-dltest-linux-arm64",
                "tsuku-dltest-linux-arm64-musl",
            ]
        );
    }

    #[test]
    fn an_unknown_key_is_refused() {
        assert!(refusal(&format!("colour = 1\n{TEXT}")).contains("unknown field `colour`"));
    }

    #[test]
    fn a_duplicate_platform_is_refused() {
        assert!(refusal(&format!("{TEXT}\n[platform.linux-amd64]\n")).contains("duplicate key"));
    }

    #[test]
    fn a_missing_platform_is_refused() {
        let start = TEXT.find("[platform.linux-amd64]").unwrap();
        let end = TEXT.find("[platform.linux-amd64-musl]").unwrap();
        let without = format!("{}{}", &TEXT[..start], &TEXT[end..]);
        assert_eq!(refusal(&without), "missing platform: linux-amd64");
    }

    #[test]
    fn a_platform_of_another_name_is_refused() {
        assert_eq!(
            refusal(&TEXT.replace("[platform.linux-amd64]", "[platform.linux-riscv]")),
            "unknown platform linux-riscv"
        );
    }
}
