//! The build record: what an artifact was made of, published beside it as `<asset>.build.json`. A rebuild that differs
//! begins its explanation here. It is as reproducible as the artifact: nothing of host, time or place is in it.

use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::domain::build::Artifact;
use crate::domain::contract::{Contract, Platform};
use crate::domain::toolchain::{Identity, Toolchain};
use crate::domain::{source, version};
use crate::plumbing::interrupt::Scratch;
use crate::plumbing::{digest, files, foreign};

/// Names the form of the records.
const FORM: &str = "tsuku-dltest build record 1";

/// What an artifact was made of.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Record {
    /// [`FORM`].
    pub form: String,
    /// The artifact's file name.
    pub asset: String,
    /// Its size in bytes.
    pub size: usize,
    /// Its SHA-256.
    pub sha256: String,
    /// Its version.
    pub version: String,
    /// The commit; none if it was built from files that are not committed.
    pub commit: Option<String>,
    /// The SHA-256 over the list of the files it is built from, with the version injected. See [`source_digest`].
    pub source: String,
    /// The SHA-256 of `Cargo.lock`, with the version injected.
    pub cargo_lock: String,
    /// The SHA-256 of `flake.lock`, if the tree has one.
    pub flake_lock: Option<String>,
    /// The Rust target.
    pub target: String,
    /// What `rustc --version --verbose` says, without the host.
    pub rustc: Vec<String>,
    /// The linker's name, version and commit.
    pub linker: String,
    /// The SHA-256 over the target's compiled `core`.
    pub core: String,
    /// The SHA-256 of the link recipe, `link.toml`.
    pub recipe: String,
    /// The release profile.
    pub profile: Value,
    /// What built it: `cargo` or `nix`. The bytes must not depend on it, so a difference here is none.
    pub backend: String,
}

/// The records of `artifacts`, built from the tree at `tree` of `commit`.
pub fn records(
    contract: &Contract,
    toolchain: &Toolchain,
    tree: &Path,
    commit: Option<&str>,
    backend: &str,
    artifacts: &[Artifact],
) -> Result<Vec<Record>> {
    let Identity { rustc, linker } = toolchain.identity()?;
    let [manifest, _] = version::statements(tree)?;
    let source = source_digest(tree)?;
    let profile = toml(&tree.join("Cargo.toml"))?["profile"]["release"].clone();
    let lock = |name: &str| files::read(&tree.join(name)).map(|bytes| digest::sha256(&bytes));
    let one = |artifact: &Artifact| -> Result<Record> {
        let platform: &Platform = contract.platform(&artifact.platform)?;
        Ok(Record {
            form: FORM.to_owned(),
            asset: artifact.asset.clone(),
            size: artifact.bytes.len(),
            sha256: artifact.sha256.clone(),
            version: manifest.version.clone(),
            commit: commit.map(str::to_owned),
            source: source.clone(),
            cargo_lock: lock("Cargo.lock")?,
            flake_lock: lock("flake.lock").ok(),
            target: platform.target.clone(),
            rustc: rustc.clone(),
            linker: linker.clone(),
            core: toolchain.core_digest(&platform.target)?,
            recipe: digest::sha256(&files::read(&tree.join("cmd/tsuku-dltest/link.toml"))?),
            profile: profile.clone(),
            backend: backend.to_owned(),
        })
    };
    artifacts.iter().map(one).collect()
}

impl Record {
    /// Reads what [`Record::to_bytes`] wrote.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let record: Self = foreign::json(bytes).context("it is not a build record")?;
        anyhow::ensure!(record.form == FORM, "its form is {:?}, this program reads {FORM:?}", record.form);
        Ok(record)
    }

    /// The published file.
    pub fn to_bytes(&self) -> Result<Vec<u8>> {
        let mut bytes = serde_json::to_vec_pretty(self).context("cannot encode a build record")?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// In what `self`, the published record, differs from `rebuilt`: the field and both values. The backend is left
    /// out, and so are size and digest, which are about the bytes themselves.
    pub fn differences(&self, rebuilt: &Self) -> Vec<String> {
        let fields = |record: &Self| serde_json::to_value(record).unwrap_or_default();
        let (published, rebuilt) = (fields(self), fields(rebuilt));
        let about_bytes = ["backend", "size", "sha256"];
        let names = published.as_object().into_iter().flatten().map(|(name, _)| name);
        names
            .filter(|name| !about_bytes.contains(&name.as_str()) && published[*name] != rebuilt[*name])
            .map(|name| format!("{name} was {}, here it is {}", published[name], rebuilt[name]))
            .collect()
    }
}

/// What is particular to this machine and moment: kept by whoever builds, for a mismatch, and never published.
pub fn host(toolchain: &Toolchain, backend: &str) -> Result<Value> {
    let digest = |path: &Path| files::read(path).map(|bytes| digest::sha256(&bytes)).ok();
    let seconds = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let sandbox = (backend == "nix").then(|| {
        let mut nix = std::process::Command::new("nix");
        nix.args(["--extra-experimental-features", "nix-command", "show-config", "--json"]);
        let told = crate::plumbing::process::Call::new(nix).read().ok()?;
        serde_json::from_slice::<Value>(&told).ok().map(|config| config["sandbox"]["value"].clone())
    });
    Ok(serde_json::json!({
        "host": toolchain.host,
        "backend": backend,
        "nix-sandbox": sandbox.flatten(),
        "unix-time": seconds,
        "rustc-sha256": digest(&toolchain.rustc()),
        "linker-sha256": digest(&toolchain.linker()),
        "cargo-sha256": digest(toolchain.cargo()),
    }))
}

/// The SHA-256 over lines `<sha256>  <path>` of every file an artifact is built from, by path: what `sha256sum` prints
/// in the staged tree, sorted.
pub fn source_digest(tree: &Path) -> Result<String> {
    let scratch = Scratch::new()?;
    let staged = scratch.path().join("source");
    source::stage(tree, &staged)?;
    let mut lines = Vec::new();
    list(&staged, "", &mut lines)?;
    lines.sort();
    let text: String = lines.iter().map(|(path, digest)| format!("{digest}  {path}\n")).collect();
    Ok(digest::sha256(text.as_bytes()))
}

fn list(directory: &Path, prefix: &str, lines: &mut Vec<(String, String)>) -> Result<()> {
    for entry in directory.read_dir().with_context(|| format!("cannot list {}", directory.display()))? {
        let path = entry.with_context(|| format!("cannot list {}", directory.display()))?.path();
        let name = format!("{prefix}{}", path.file_name().unwrap_or_default().to_string_lossy());
        if path.is_dir() {
            list(&path, &format!("{name}/"), lines)?;
        } else {
            lines.push((name, digest::sha256(&files::read(&path)?)));
        }
    }
    Ok(())
}

fn toml(path: &Path) -> Result<Value> {
    let text = String::from_utf8(files::read(path)?).with_context(|| format!("{} is not text", path.display()))?;
    toml_edit::de::from_str(&text).with_context(|| format!("{} is not TOML", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checkout() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
    }

    fn record() -> Record {
        let text = |name: &str| format!("a {name}");
        Record {
            form: FORM.to_owned(),
            asset: text("asset"),
            size: 3,
            sha256: text("sha256"),
            version: text("version"),
            commit: None,
            source: text("source"),
            cargo_lock: text("cargo-lock"),
            flake_lock: None,
            target: text("target"),
            rustc: vec![text("rustc")],
            linker: text("linker"),
            core: text("core"),
            recipe: text("recipe"),
            profile: Value::Null,
            backend: text("backend"),
        }
    }

    #[test]
    fn a_record_is_read_as_it_was_written_and_only_in_this_form() {
        let bytes = record().to_bytes().unwrap();
        assert_eq!(Record::parse(&bytes).unwrap(), record());
        assert!(bytes.ends_with(b"}\n"));
        let newer = Record { form: "tsuku-dltest build record 2".to_owned(), ..record() };
        let error = Record::parse(&newer.to_bytes().unwrap()).unwrap_err();
        assert!(error.to_string().contains("build record 2"), "{error}");
    }

    #[test]
    fn two_records_differ_in_what_went_into_the_bytes_and_not_in_the_bytes_or_who_built_them() {
        let other = Record { size: 4, sha256: "other".to_owned(), backend: "other".to_owned(), ..record() };
        assert_eq!(record().differences(&other), Vec::<String>::new());
        let other = Record { linker: "other".to_owned(), commit: Some("c".to_owned()), ..other };
        let told = ["commit was null, here it is \"c\"", "linker was \"a linker\", here it is \"other\""];
        assert_eq!(record().differences(&other), told);
    }

    #[test]
    fn the_source_is_every_file_that_an_artifact_is_built_from_and_no_other() {
        let tree = tempfile::tempdir().unwrap();
        source::stage(&checkout(), tree.path()).unwrap();
        let first = source_digest(tree.path()).unwrap();
        files::write(&tree.path().join("README.md"), b"another").unwrap();
        assert_eq!(source_digest(tree.path()).unwrap(), first);
        files::write(&tree.path().join("cmd/tsuku-dltest/src/another.rs"), b"").unwrap();
        let second = source_digest(tree.path()).unwrap();
        std::fs::rename(
            tree.path().join("cmd/tsuku-dltest/src/another.rs"),
            tree.path().join("cmd/tsuku-dltest/another.rs"),
        )
        .unwrap();
        let third = source_digest(tree.path()).unwrap();
        assert!(first != second && second != third && third != first);
    }

    #[test]
    fn what_a_host_record_tells_is_of_this_toolchain() {
        let toolchain = Toolchain::of_tree(&checkout()).unwrap();
        let told = host(&toolchain, "cargo").unwrap();
        let digest = digest::sha256(&files::read(&toolchain.rustc()).unwrap());
        assert_eq!((&told["host"], &told["rustc-sha256"]), (&toolchain.host.as_str().into(), &digest.into()));
        assert_eq!((&told["backend"], &told["nix-sandbox"]), (&"cargo".into(), &Value::Null));
    }
}
