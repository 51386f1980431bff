//! `SHA256SUMS`: digests of files, in the format of `sha256sum`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use crate::plumbing::digest::hex;
use crate::plumbing::error::Hint;
use crate::plumbing::{files, foreign};

/// Digests by file name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sums(BTreeMap<String, String>);

impl Sums {
    /// Reads lines of `sha256sum`: 64 digits, a space, a space or `*`, a bare file name.
    pub fn parse(text: &str) -> Result<Self> {
        let mut sums = Self::default();
        for (number, line) in text.lines().enumerate() {
            let parsed = line.split_once(' ').and_then(|(digest, name)| {
                let name = name.strip_prefix([' ', '*'])?;
                let is_digest = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
                let is_name = !name.is_empty() && !name.contains('/') && foreign::is_clean(name);
                (is_digest && is_name).then_some((digest, name))
            });
            let (digest, name) = parsed.with_context(|| format!("line {} is not one of sha256sum", number + 1))?;
            sums.insert(name, digest)?;
        }
        Ok(sums)
    }

    /// Reads the file at `path`.
    pub fn read(path: &Path) -> Result<Self> {
        let text = String::from_utf8(files::read(path)?).with_context(|| format!("{} is not text", path.display()))?;
        Self::parse(&text)
            .with_context(|| path.display().to_string())
            .hint("records are the lines that `release-helper upload` prints: `<sha256>  <file name>`")
    }

    /// The digests of the files in `directory`.
    pub fn of_directory(directory: &Path) -> Result<Self> {
        let mut sums = Self::default();
        for entry in directory.read_dir().with_context(|| format!("cannot list {}", directory.display()))? {
            let path = entry.with_context(|| format!("cannot list {}", directory.display()))?.path();
            let name = path.file_name().and_then(|name| name.to_str()).with_context(|| path.display().to_string())?;
            sums.insert(name, &digest_of_file(&path)?.1)?;
        }
        Ok(sums)
    }

    /// Fails unless `directory` holds exactly these files with these bytes.
    pub fn ensure_directory(&self, directory: &Path) -> Result<()> {
        let found = Self::of_directory(directory)?;
        let mut wrong = Vec::new();
        for (name, sha256) in self.iter() {
            match found.get(name) {
                None => wrong.push(format!("{name} is missing")),
                Some(other) if other != sha256 => {
                    wrong.push(format!("{name} has sha256 {other}, but {sha256} was recorded"));
                }
                Some(_) => {}
            }
        }
        let unknown = found.iter().filter(|(name, _)| self.get(name).is_none());
        wrong.extend(unknown.map(|(name, _)| format!("{name} was not recorded")));
        if wrong.is_empty() {
            return Ok(());
        }
        Err(anyhow::anyhow!("{} does not hold what was handed on: {}", directory.display(), wrong.join("; ")))
            .hint("find out who replaced the artifact of the run before anything else")
    }

    /// Adds a digest. Two different ones for one name are an error.
    pub fn insert(&mut self, name: &str, sha256: &str) -> Result<()> {
        let sha256 = sha256.to_ascii_lowercase();
        let known = self.0.entry(name.to_owned()).or_insert_with(|| sha256.clone());
        ensure!(*known == sha256, "{name} has two digests: {known} and {sha256}");
        Ok(())
    }

    /// Adds all digests of `other`.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        other.iter().try_for_each(|(name, sha256)| self.insert(name, sha256))
    }

    /// The digest of `name`.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Names and digests, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, sha256)| (name.as_str(), sha256.as_str()))
    }
}

impl std::fmt::Display for Sums {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.iter().try_for_each(|(name, sha256)| writeln!(f, "{sha256}  {name}"))
    }
}

/// Size in bytes and SHA-256 of the file at `path`, without holding it in memory.
pub fn digest_of_file(path: &Path) -> Result<(u64, String)> {
    let read = || -> std::io::Result<(u64, String)> {
        let mut file = File::open(path)?;
        let (mut hasher, mut size) = (Sha256::new(), 0);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let got = file.read(&mut buffer)?;
            if got == 0 {
                return Ok((size, hex(&hasher.finalize())));
            }
            size += got as u64;
            hasher.update(&buffer[..got]);
        }
    };
    read().with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_read_as_they_are_written() {
        let digest = "0123456789abcdef".repeat(4);
        let text = format!("{digest}  a\n{digest}  b\n");
        let sums = Sums::parse(&text).unwrap();
        assert_eq!(sums.to_string(), text);
        assert_eq!(Sums::parse(&text.replace("  ", " *")).unwrap(), sums);
    }

    #[test]
    fn a_line_that_sha256sum_did_not_write_is_refused() {
        let digest = "0123456789abcdef".repeat(4);
        for line in [
            "x  a".to_owned(),
            format!("{digest} a"),
            format!("{digest}  "),
            format!("{digest}  ../a"),
            format!("{}  a", &digest[1..]),
            format!("{digest}0  a"),
            format!("{}  a", digest.replace('0', "g")),
            format!("{digest}  a\u{1b}[2J"),
            format!("{digest}  \u{202e}a"),
        ] {
            assert!(Sums::parse(&line).is_err(), "{line:?}");
        }
        let twice = format!("{digest}  a\n{}  a\n", digest.replace('0', "1"));
        assert!(format!("{:#}", Sums::parse(&twice).unwrap_err()).contains("two digests"));
    }

    #[test]
    fn a_directory_is_held_to_what_was_recorded_file_by_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        // Longer than what is read at once.
        let long = vec![b'x'; 200_000];
        std::fs::write(path("a"), &long).unwrap();
        std::fs::write(path("b"), "b").unwrap();
        assert_eq!(digest_of_file(&path("a")).unwrap(), (200_000, crate::plumbing::digest::sha256(&long)));
        let recorded = Sums::of_directory(directory.path()).unwrap();
        assert_eq!(recorded.get("a"), Some(crate::plumbing::digest::sha256(&long).as_str()));
        assert_eq!(
            (recorded.get("b"), recorded.get("c")),
            (Some(crate::plumbing::digest::sha256(b"b").as_str()), None)
        );
        assert!(recorded.ensure_directory(directory.path()).is_ok());
        std::fs::write(path("b"), "c").unwrap();
        std::fs::write(path("c"), "").unwrap();
        std::fs::remove_file(path("a")).unwrap();
        let told = format!("{:#}", recorded.ensure_directory(directory.path()).unwrap_err());
        assert!(told.contains("a is missing; b has sha256 ") && told.ends_with("c was not recorded"), "{told}");
    }

    #[test]
    fn records_of_several_builders_are_read_and_joined() {
        let directory = tempfile::tempdir().unwrap();
        let (one, two) = ("1".repeat(64), "2".repeat(64));
        let read = |text: String| {
            let path = directory.path().join("record");
            std::fs::write(&path, text).unwrap();
            Sums::read(&path)
        };
        let mut joined = read(format!("{one}  a\n")).unwrap();
        joined.merge(&read(format!("{two}  b\n")).unwrap()).unwrap();
        assert_eq!((joined.get("a"), joined.get("b")), (Some(one.as_str()), Some(two.as_str())));
        assert!(joined.merge(&read(format!("{two}  a\n")).unwrap()).is_err());
        assert!(read("no sums".to_owned()).is_err());
    }
}
