//! The clauses about strings anywhere in the file, whatever its container.

use std::ops::Range;
use std::path::Path;

use anyhow::Result;

use super::clauses::{Clauses, list};
use crate::domain::artifact::text;
use crate::domain::contract::{Contract, Platform};
use crate::plumbing::bytes::{self, Source, Window};
use crate::plumbing::output;

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
/// A file full of such strings is judged as surely by the first ones.
const MOST: usize = 100;
/// More bytes than any version has.
const LONGEST_VERSION: usize = 256;

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

/// What is searched for in a file.
struct Search<'a> {
    /// What must not be there.
    needles: Vec<Needle>,
    /// The program's name as it comes before its version.
    prefix: String,
    /// The version that must be there.
    version: Option<&'a str>,
}

/// What was found, each with its offset.
#[derive(Default)]
struct Found {
    build_places: Vec<(u64, String)>,
    reported: Vec<(u64, String)>,
    versions: u64,
}

impl Search<'_> {
    fn run(&self, file: Window<'_>) -> Result<Found> {
        let texts = self.needles.iter().map(|needle| needle.text.as_str()).chain([self.prefix.as_str()]);
        let texts: Vec<&str> = texts.chain(self.version).filter(|text| !text.is_empty()).collect();
        let beginnings = Beginnings::of(&texts);
        // So many bytes around a position tell what is there, and what to quote.
        let longest = texts.iter().map(|text| text.len()).max().unwrap_or(0) + LONGEST_VERSION;
        let context = (longest + 2 * text::LONGEST) as u64;
        let threads = bytes::sweep(file.size(), Default::default, |(buffer, found): &mut (Vec<u8>, Found), range| {
            let inner = bytes::surrounded(&file, &range, context, buffer)?;
            let first = range.start - inner.start as u64;
            beginnings.each(buffer, inner, |position| self.look(buffer, position, first, found));
            Ok(true)
        })?;
        let mut all = Found::default();
        for (_, found) in threads {
            all.build_places.extend(found.build_places);
            all.reported.extend(found.reported);
            all.versions += found.versions;
        }
        all.build_places.sort();
        all.build_places.dedup();
        all.reported.sort();
        Ok(all)
    }

    /// Remembers what stands at `position` of `bytes`, the first of which is that at `first` in the file.
    fn look(&self, bytes: &[u8], position: usize, first: u64, found: &mut Found) {
        let offset = first + position as u64;
        // Each thread goes forward, so that the first ones are among what all have found first.
        if found.build_places.len() < MOST && self.needles.iter().any(|needle| needle.is_at(bytes, position)) {
            found.build_places.push((offset, text::shown(&bytes[text::around(bytes, position)])));
        }
        let rest = &bytes[position..];
        if let Some(rest) = rest.strip_prefix(self.prefix.as_bytes()) {
            found.reported.extend(version_at(rest).map(|version| (offset, version)));
        }
        let is_version = |version: &str| {
            rest.starts_with(version.as_bytes()) && is_version_border(bytes, position, position + version.len())
        };
        found.versions += u64::from(self.version.is_some_and(is_version));
    }
}

/// How the texts that are searched for begin: first bytes, each with the smallest and the largest that follows it.
struct Beginnings(Vec<(u8, u8, u8)>);

impl Beginnings {
    fn of(texts: &[&str]) -> Self {
        let mut found: Vec<(u8, u8, u8)> = Vec::new();
        for text in texts {
            let (first, second) = (text.as_bytes()[0], text.as_bytes().get(1).copied());
            let (low, high) = second.map_or((0, u8::MAX), |second| (second, second));
            match found.iter_mut().find(|(byte, ..)| *byte == first) {
                Some((_, lowest, highest)) => (*lowest, *highest) = (low.min(*lowest), high.max(*highest)),
                None => found.push((first, low, high)),
            }
        }
        Self(found)
    }

    /// Calls `look` for the positions of `bytes` in `inner` where one of the texts may begin.
    fn each(&self, bytes: &[u8], inner: Range<usize>, mut look: impl FnMut(usize)) {
        /// Most blocks of so many bytes hold no beginning, and a compiler can look at them with few instructions.
        const BLOCK: usize = 64;
        let fits = |(first, low, high): (u8, u8, u8), byte: u8, next: u8| {
            (byte == first) & (next.wrapping_sub(low) <= high - low)
        };
        for start in inner.clone().step_by(BLOCK) {
            let end = (start + BLOCK).min(inner.end);
            let block = bytes.get(start..start + BLOCK + 1).and_then(|block| <&[u8; BLOCK + 1]>::try_from(block).ok());
            if let Some(block) = block {
                let mut found = 0;
                for beginning in &self.0 {
                    for index in 0..BLOCK {
                        found |= u8::from(fits(*beginning, block[index], block[index + 1]));
                    }
                }
                if found == 0 {
                    continue;
                }
            }
            for position in start..end {
                // What ends here has nothing behind it.
                let next = bytes.get(position + 1).copied().unwrap_or_default();
                if self.0.iter().any(|beginning| fits(*beginning, bytes[position], next)) {
                    look(position);
                }
            }
        }
    }
}

/// The program's version, exactly once, and no string of the machine that built it.
pub(super) fn clauses(
    file: Window<'_>,
    platform: &Platform,
    contract: &Contract,
    version: Option<&str>,
    surroundings: &Surroundings,
    clauses: &mut Clauses,
) -> Result<()> {
    let binary = &contract.binary;
    let version = version.map(|version| version.strip_prefix('v').unwrap_or(version));
    let needles = surroundings.needles(platform, contract);
    let found = Search { needles, prefix: format!("{binary} v"), version }.run(file)?;
    let reported: Vec<String> = found.reported.into_iter().map(|(_, version)| version).collect();
    match version {
        None => clauses.add("version", list(&reported), format!("one string \"{binary} vX.Y.Z\""), reported.len() == 1),
        Some(version) => {
            let other: Vec<_> = reported.into_iter().filter(|found| found != version).collect();
            let measured = match (found.versions, other.is_empty()) {
                (0, false) => format!("{} instead", list(&other)),
                (count, false) => format!("{}, and {}", output::counted(count, "time"), list(&other)),
                (count, true) => output::counted(count, "time"),
            };
            let holds = found.versions == 1 && other.is_empty();
            clauses.add("version", measured, format!("{version} exactly once"), holds);
        }
    }
    let places = found.build_places.iter().take(MOST).map(|(offset, quote)| format!("{quote:?} at {offset:#x}"));
    let mut places: Vec<String> = places.collect();
    let more = places.len().saturating_sub(SHOWN);
    places.truncate(SHOWN);
    if more > 0 {
        places.push(format!("{more} more"));
    }
    clauses.add("build paths", list(&places), "none", places.is_empty());
    Ok(())
}

/// The version that `bytes` begin with. Another string may follow without a gap: the longest beginning that is a version
/// counts.
fn version_at(bytes: &[u8]) -> Option<String> {
    let is_part = |byte: &&u8| byte.is_ascii_alphanumeric() || b".+-".contains(byte);
    let length = bytes.iter().take(LONGEST_VERSION).take_while(is_part).count();
    (5..=length).rev().find_map(|length| {
        let text = std::str::from_utf8(&bytes[..length]).ok()?;
        semver::Version::parse(text).is_ok().then(|| text.to_owned())
    })
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
