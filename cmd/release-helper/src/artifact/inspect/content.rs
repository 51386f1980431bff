//! The clauses about strings anywhere in the file, whatever its container.

use std::ops::Range;
use std::path::Path;

use anyhow::Result;

use super::{Clauses, list};
use crate::artifact::{counted, text};
use crate::bytes::{self, Window};
use crate::contract::{Contract, Platform};

/// Directories that exist on machines where things are built, not on those where they run.
const BUILD_PLACES: [&str; 11] = [
    "/nix/",
    "/home/",
    "/root/",
    "/build/",
    "/builds/",
    "/Users/",
    "/tmp/",
    "/var/folders/",
    "/private/var/",
    ".cargo/registry",
    ".rustup/toolchains",
];

/// Directories of the system a program runs on, wherever this one was started.
const SYSTEM_PLACES: [&str; 8] = ["/bin", "/dev", "/etc", "/lib", "/lib64", "/proc", "/sys", "/usr"];

/// At most this many strings are shown.
const SHOWN: usize = 3;

/// What a careless build takes from the machine it runs on.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Directories: home, temporary, current, cargo's.
    pub directories: Vec<String>,
    /// Names of the user and the host.
    pub names: Vec<String>,
}

impl Surroundings {
    /// Those of this process.
    pub fn here() -> Self {
        let directories = ["HOME", "CARGO_HOME", "RUSTUP_HOME", "TMPDIR"].into_iter().filter_map(variable);
        let current = std::env::current_dir().ok().and_then(|path| path.to_str().map(String::from));
        let host = ["/proc/sys/kernel/hostname", "/etc/hostname"]
            .into_iter()
            .find_map(|path| std::fs::read_to_string(path).ok())
            .or_else(|| variable("HOSTNAME"));
        Self {
            directories: directories.chain(current).collect(),
            names: ["USER", "LOGNAME"].into_iter().filter_map(variable).chain(host).collect(),
        }
    }

    /// The strings to look for: none that the contract itself puts into an artifact, none too short to mean anything.
    fn needles(&self, platform: &Platform, contract: &Contract) -> Vec<Needle> {
        let mut legitimate: Vec<&str> = vec![&contract.binary, &contract.signing_identifier, &platform.target];
        legitimate
            .extend(platform.interpreter.iter().chain(&platform.loader).chain(&platform.needed).map(String::as_str));
        let places = BUILD_PLACES.map(|place| Needle { text: place.into(), whole: false });
        let directories = self.directories.iter().map(|directory| directory.trim_end_matches('/'));
        let directories = directories.filter(|directory| {
            Path::new(directory).is_absolute() && directory.len() >= 4 && !SYSTEM_PLACES.contains(directory)
        });
        let names = self.names.iter().map(|name| name.trim());
        let names = names.filter(|name| name.len() >= 4 && !matches!(*name, "root" | "localhost"));
        let own = directories
            .map(|directory| Needle { text: format!("{directory}/"), whole: false })
            .chain(names.map(|name| Needle { text: name.into(), whole: true }))
            .filter(|needle| !legitimate.iter().any(|text| text.contains(&needle.text)));
        let mut needles: Vec<Needle> = places.into_iter().chain(own).collect();
        needles.sort_by(|a, b| a.text.cmp(&b.text));
        needles.dedup_by(|a, b| a.text == b.text);
        needles
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A string that must not be in an artifact.
struct Needle {
    text: String,
    /// Only as a word of its own: a user may be called like something that is rightly in the file.
    whole: bool,
}

impl Needle {
    fn is_at(&self, bytes: &[u8], position: usize) -> bool {
        let end = position + self.text.len();
        let is_border = |index: usize| {
            // What surrounds a name in paths, addresses, settings and string tables.
            bytes.get(index).is_none_or(|byte| !text::is_printable(*byte) || b"/@=:,;()\"' ".contains(byte))
        };
        bytes[position..].starts_with(self.text.as_bytes())
            && (!self.whole || is_border(position.wrapping_sub(1)) && is_border(end))
    }
}

/// No string of the machine that built it.
pub(super) fn build_paths(
    file: Window<'_>,
    platform: &Platform,
    contract: &Contract,
    surroundings: &Surroundings,
    clauses: &mut Clauses,
) -> Result<()> {
    let needles = surroundings.needles(platform, contract);
    let mut starting_with: [Vec<&Needle>; 256] = std::array::from_fn(|_| Vec::new());
    for needle in &needles {
        starting_with[usize::from(needle.text.as_bytes()[0])].push(needle);
    }
    let mut found: Vec<String> = Vec::new();
    bytes::pieces(&file, context(needles.iter().map(|needle| needle.text.len())), |bytes, inner, first| {
        for position in inner {
            for needle in &starting_with[usize::from(bytes[position])] {
                // A file full of them is judged as surely by the first hundred.
                if found.len() < 100 && needle.is_at(bytes, position) {
                    let quote = text::shown(&bytes[text::around(bytes, position)]);
                    found.push(format!("{quote:?} at {:#x}", first + position as u64));
                }
            }
        }
        found.len() < 100
    })?;
    found.dedup();
    let more = found.len().saturating_sub(SHOWN);
    found.truncate(SHOWN);
    if more > 0 {
        found.push(format!("{more} more"));
    }
    clauses.add("build paths", list(&found), "none", found.is_empty());
    Ok(())
}

/// How many bytes around a position tell whether one of these strings is there, and what to quote.
fn context(lengths: impl Iterator<Item = usize>) -> u64 {
    lengths.max().unwrap_or(0) as u64 + 2 * text::LONGEST as u64
}

/// The program's version, exactly once.
pub(super) fn version(file: Window<'_>, binary: &str, version: Option<&str>, clauses: &mut Clauses) -> Result<()> {
    let reported = reported_versions(file, binary)?;
    let Some(version) = version.map(|version| version.strip_prefix('v').unwrap_or(version)) else {
        clauses.add("version", list(&reported), format!("one string \"{binary} vX.Y.Z\""), reported.len() == 1);
        return Ok(());
    };
    let mut count = 0;
    bytes::pieces(&file, context([version.len()].into_iter()), |bytes, inner, _| {
        let borders = |&start: &usize| is_version_border(bytes, start, start + version.len());
        count += positions(bytes, inner, version.as_bytes()).filter(borders).count();
        true
    })?;
    let other: Vec<_> = reported.into_iter().filter(|found| found != version).collect();
    let measured = match (count, other.is_empty()) {
        (0, false) => format!("{} instead", list(&other)),
        (_, false) => format!("{}, and {}", counted(count as u64, "time"), list(&other)),
        _ => counted(count as u64, "time"),
    };
    clauses.add("version", measured, format!("{version} exactly once"), count == 1 && other.is_empty());
    Ok(())
}

/// The versions that follow the program's name in the file.
fn reported_versions(file: Window<'_>, binary: &str) -> Result<Vec<String>> {
    /// More than any version has.
    const LONGEST: usize = 256;
    let prefix = format!("{binary} v");
    let version_at = |bytes: &[u8], start: usize| {
        let rest = &bytes[start + prefix.len()..];
        let length =
            rest.iter().take(LONGEST).take_while(|byte| byte.is_ascii_alphanumeric() || b".+-".contains(byte)).count();
        // Another string may follow without a gap: the longest beginning that is a version counts.
        (5..=length).rev().find_map(|length| {
            let text = std::str::from_utf8(&rest[..length]).ok()?;
            semver::Version::parse(text).is_ok().then(|| text.to_owned())
        })
    };
    let mut versions = Vec::new();
    bytes::pieces(&file, (prefix.len() + LONGEST) as u64, |bytes, inner, _| {
        versions.extend(positions(bytes, inner, prefix.as_bytes()).filter_map(|start| version_at(bytes, start)));
        true
    })?;
    Ok(versions)
}

/// Whether what stands at `start..end` is a version of its own, not part of a longer one (`11.2.3`, `GLIBC_2.2.5`, `1.2.3-rc.1`).
fn is_version_border(bytes: &[u8], start: usize, end: usize) -> bool {
    let before = start.checked_sub(1).map(|index| bytes[index]);
    let before_is_word = before.is_some_and(|byte| byte.is_ascii_digit() || b"._-+".contains(&byte));
    let after = bytes.get(end..).unwrap_or_default();
    let after_is_word = match after {
        [byte, ..] if byte.is_ascii_digit() => true,
        [b'.' | b'-' | b'+', byte, ..] => byte.is_ascii_alphanumeric(),
        _ => false,
    };
    !before_is_word && !after_is_word
}

/// Where `needle` begins in the part `inner` of `bytes`.
fn positions<'a>(bytes: &'a [u8], inner: Range<usize>, needle: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
    let first = needle.first().copied();
    let candidates = inner.filter(move |&index| Some(bytes[index]) == first);
    candidates.filter(move |&index| bytes[index..].starts_with(needle))
}
