//! A commit's files as the commit's name says they are: every git object on the way, from the commit down to each file,
//! is hashed here. git only brings them; whatever it was told to replace them with does not fit.

use std::collections::BTreeMap;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use sha2::Digest;

use super::git::{git, is_hash};
use super::part::Part;
use crate::plumbing::digest::hex;
use crate::plumbing::error::Hint;
use crate::plumbing::files;

/// No source of a small program has more files, more bytes, or directories in directories.
const MOST_ENTRIES: usize = 20_000;
const MOST_BYTES: usize = 256 * 1024 * 1024;
const DEEPEST: usize = 64;

/// A file of a commit.
pub(super) struct File {
    /// Where it lies.
    path: PathBuf,
    executable: bool,
    content: Vec<u8>,
}

/// Objects by name: kind and content.
struct Objects(BTreeMap<String, (String, Vec<u8>)>);

/// The files of `part` of `commit` in the repository at `root`. Fails if the program is made of anything but regular
/// files with plain names.
///
/// Only what is wanted is read, one level of directories after the other, and counted wherever it lies: a tree can hold
/// itself ten times over, ten levels deep, in a few hundred bytes.
pub(super) fn read(root: &Path, commit: &str, part: Part) -> Result<Vec<File>> {
    ensure!(is_hash(commit), "{commit:?} is not the name of a commit");
    let found = read_within(root, commit, part);
    found.with_context(|| format!("cannot read the files of the commit {commit}"))
}

fn read_within(root: &Path, commit: &str, part: Part) -> Result<Vec<File>> {
    let objects = Objects::load(root, [commit])?;
    let text = objects.get(commit, "commit")?;
    let tree = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let tree = std::str::from_utf8(tree).ok().and_then(|line| line.strip_prefix("tree "));
    let tree = tree.filter(|name| is_hash(name)).context("it names no tree")?;
    let (mut files, mut entries) = (Vec::new(), 0);
    let mut level = vec![(String::new(), tree.to_owned())];
    for _ in 0..DEEPEST {
        let trees = Objects::load(root, level.iter().map(|(_, name)| name.as_str()))?;
        let mut below = Vec::new();
        for (prefix, name) in &level {
            trees.list(name, prefix, part, &mut |entry| {
                entries += 1;
                ensure!(entries <= MOST_ENTRIES, "it has more than {MOST_ENTRIES} files");
                match entry.kind {
                    Kind::Tree => below.push((format!("{}/", entry.path), entry.hash)),
                    Kind::File { executable } => files.push((entry.path, entry.hash, executable)),
                }
                Ok(())
            })?;
        }
        level = below;
        if level.is_empty() {
            break;
        }
    }
    ensure!(level.is_empty(), "its directories are more than {DEEPEST} levels deep");
    let contents = Objects::load(root, files.iter().map(|(_, hash, _)| hash.as_str()))?;
    let mut bytes = 0;
    let file = |(path, hash, executable): (String, String, bool)| {
        let content = contents.get(&hash, "blob").with_context(|| path.clone())?.to_vec();
        bytes += content.len();
        ensure!(bytes <= MOST_BYTES, TOO_LARGE);
        Ok(File { path: path.into(), executable, content })
    };
    files.into_iter().map(file).collect()
}

const TOO_LARGE: &str = "its files are larger than those of any honest source";

/// What a tree says of something in it.
struct Entry {
    path: String,
    hash: String,
    kind: Kind,
}

enum Kind {
    Tree,
    File { executable: bool },
}

/// Writes `files` below the new directory `destination`.
pub(super) fn write(found: &[File], destination: &Path) -> Result<()> {
    use std::os::unix::fs::OpenOptionsExt;
    files::create_dir(destination)?;
    for file in found {
        let path = destination.join(&file.path);
        files::create_dir(path.parent().unwrap_or(destination))?;
        let mode = if file.executable { 0o755 } else { 0o644 };
        // Never into a file that is there: a tree can name two that a file system takes for one.
        let created = std::fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
        let written = created.and_then(|mut to| to.write_all(&file.content));
        written.with_context(|| format!("cannot write {}", path.display())).hint(files::advice(&path))?;
    }
    Ok(())
}

impl Objects {
    /// The objects called `names`, as git gives them. Nothing is read that is too large.
    fn load<'a>(root: &Path, names: impl IntoIterator<Item = &'a str>) -> Result<Self> {
        let mut names: Vec<&str> = names.into_iter().collect();
        names.sort_unstable();
        names.dedup();
        let ask = |how: &str| {
            let mut request = tempfile::tempfile().context("cannot create a temporary file")?;
            let written = request.write_all(names.join("\n").as_bytes()).and_then(|()| request.rewind());
            written.context("cannot write a list")?;
            git(root).args(["cat-file", how]).input(request).read()
        };
        let mut bytes = 0_usize;
        for line in String::from_utf8_lossy(&ask("--batch-check")?).lines() {
            let size = line.split(' ').nth(2).and_then(|size| size.parse().ok());
            bytes = bytes.saturating_add(size.with_context(|| format!("git says: {line}"))?);
        }
        ensure!(bytes <= MOST_BYTES, TOO_LARGE);
        Self::parse(&ask("--batch")?)
    }

    /// Reads what `git cat-file --batch` says: a line with name, kind and size, the content, a line feed.
    fn parse(mut answer: &[u8]) -> Result<Self> {
        let mut objects = BTreeMap::new();
        while !answer.is_empty() {
            let end = answer.iter().position(|&byte| byte == b'\n').context("git's answer ends too early")?;
            let line = String::from_utf8_lossy(&answer[..end]).into_owned();
            let fields: Vec<&str> = line.split(' ').collect();
            let &[name, kind, size] = fields.as_slice() else { bail!("git says: {line}") };
            let size: usize = size.parse().with_context(|| format!("git says: {line}"))?;
            let content = answer.get(end + 1..).and_then(|rest| rest.get(..size)).context("git's answer is cut")?;
            objects.insert(name.to_owned(), (kind.to_owned(), content.to_vec()));
            answer = answer.get(end + 1 + size + 1..).context("git's answer is cut")?;
        }
        Ok(Self(objects))
    }

    /// The content of the object `name`, which must be a `kind` and have that very hash.
    fn get(&self, name: &str, kind: &str) -> Result<&[u8]> {
        let (found, content) = self.0.get(name).with_context(|| format!("the {kind} {name} is missing"))?;
        let head = format!("{found} {}\0", content.len());
        let hash = match name.len() {
            40 => {
                let hasher = sha1::Sha1::new().chain_update(&head).chain_update(content);
                hex(&hasher.finalize())
            }
            _ => hex(&sha2::Sha256::new().chain_update(&head).chain_update(content).finalize()),
        };
        if hash != name || found != kind {
            return Err(anyhow!("the object {name} has the hash {hash} and is a {found}, not the {kind} of that name"))
                .hint("this repository is damaged or was tampered with: do not build from it");
        }
        Ok(content)
    }

    /// Gives `found` the wanted entries of the tree `name`, which lies at `prefix`.
    fn list(&self, name: &str, prefix: &str, part: Part, found: &mut impl FnMut(Entry) -> Result<()>) -> Result<()> {
        let mut rest = self.get(name, "tree")?;
        // Entries are a mode, a space, a file name, a NUL and the bytes of a hash.
        while !rest.is_empty() {
            let cut = || format!("the tree {name} is cut");
            let space = rest.iter().position(|&byte| byte == b' ').with_context(cut)?;
            let end = rest.iter().position(|&byte| byte == 0).filter(|&end| end > space).with_context(cut)?;
            let hash = rest.get(end + 1..end + 1 + name.len() / 2).with_context(cut)?;
            let (mode, file) = (&rest[..space], &rest[space + 1..end]);
            rest = &rest[end + 1 + hash.len()..];
            let path = format!("{prefix}{}", plain(file).with_context(|| format!("the tree {name}"))?);
            if part == Part::Program && !Part::is_program(&path) {
                continue;
            }
            let kind = match mode {
                b"40000" | b"040000" => Kind::Tree,
                b"100644" | b"100755" | b"100664" => Kind::File { executable: mode == b"100755" },
                _ if !Part::is_program(&path) => continue,
                b"120000" => return Err(anyhow!("{path} is a symbolic link")).hint(IRREGULAR),
                b"160000" => return Err(anyhow!("{path} is a submodule")).hint(IRREGULAR),
                other => {
                    let mode = String::from_utf8_lossy(other).into_owned();
                    return Err(anyhow!("{path} has the mode {mode}")).hint(IRREGULAR);
                }
            };
            found(Entry { path, hash: hex(hash), kind })?;
        }
        Ok(())
    }
}

const IRREGULAR: &str = "the program is made of regular files alone; this source is not built";

/// `name` as text, if it is the plain name of a file.
fn plain(name: &[u8]) -> Result<&str> {
    let text = std::str::from_utf8(name).ok();
    let is_plain = |text: &&str| {
        !["", ".", ".."].contains(text)
            && !text.eq_ignore_ascii_case(".git")
            && text.len() <= 255
            && !text.chars().any(|char| char.is_control() || ['/', '\\'].contains(&char))
    };
    text.filter(is_plain).with_context(|| format!("holds a file called {:?}", String::from_utf8_lossy(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The name of the object with this content, by SHA-1 or SHA-256.
    fn name(kind: &str, content: &[u8], digits: usize) -> String {
        let object = [format!("{kind} {}\0", content.len()).as_bytes(), content].concat();
        if digits == 40 { hex(&sha1::Sha1::digest(object)) } else { hex(&sha2::Sha256::digest(object)) }
    }

    fn objects(name: &str, kind: &str, content: &[u8]) -> Objects {
        Objects(BTreeMap::from([(name.to_owned(), (kind.to_owned(), content.to_vec()))]))
    }

    #[test]
    fn what_git_says_is_read_to_its_end_and_half_an_answer_is_none() {
        let answer = b"aa blob 3\nx\ny\nbb tree 0\n\n";
        let Objects(objects) = Objects::parse(answer).unwrap();
        assert_eq!(objects["aa"], ("blob".to_owned(), b"x\ny".to_vec()));
        assert_eq!(objects["bb"], ("tree".to_owned(), Vec::new()));
        for length in (1..answer.len()).filter(|length| *length != 14) {
            assert!(Objects::parse(&answer[..length]).is_err(), "{length}");
        }
        for answer in [&b"aa missing\n"[..], b"aa blob x\n\n", b"aa blob 99999999999999999999\n\n"] {
            assert!(Objects::parse(answer).is_err(), "{}", String::from_utf8_lossy(answer));
        }
    }

    #[test]
    fn an_object_is_what_its_name_and_its_kind_say() {
        for digits in [40, 64] {
            let honest = name("blob", b"content", digits);
            assert_eq!(objects(&honest, "blob", b"content").get(&honest, "blob").unwrap(), b"content");
            for (kind, content, wanted) in
                [("blob", "another", "blob"), ("blob", "content", "tree"), ("tree", "content", "tree")]
            {
                let error = objects(&honest, kind, content.as_bytes()).get(&honest, wanted).unwrap_err();
                assert!(error.to_string().contains("has the hash"), "{error}");
            }
            assert!(objects("", "blob", b"").get(&honest, "blob").is_err());
        }
    }

    #[test]
    fn a_tree_lists_what_is_in_it_by_mode_and_half_an_entry_is_none() {
        for digits in [40, 64] {
            let list = |content: &[u8], part| {
                let name = name("tree", content, digits);
                let mut found = Vec::new();
                objects(&name, "tree", content).list(&name, "cmd/", part, &mut |entry| {
                    let kind = match entry.kind {
                        Kind::Tree => "tree",
                        Kind::File { executable: true } => "executable",
                        Kind::File { executable: false } => "file",
                    };
                    found.push(format!("{} {kind} {}", entry.path, entry.hash));
                    Ok(())
                })?;
                anyhow::Ok(found)
            };
            let hash = vec![0x1f; digits / 2];
            let entry = |mode: &str, name: &str| [format!("{mode} {name}\0").as_bytes(), &hash].concat();
            let content =
                [entry("40000", "tsuku-dltest"), entry("100644", "a b"), entry("100755", "x"), entry("120000", "link")];
            let content = content.concat();
            let hash = "1f".repeat(digits / 2);
            let all = [
                format!("cmd/tsuku-dltest tree {hash}"),
                format!("cmd/a b file {hash}"),
                format!("cmd/x executable {hash}"),
            ];
            assert_eq!(list(&content, Part::All).unwrap(), all);
            assert_eq!(list(&content, Part::Program).unwrap(), all[..1]);
            let first = content.len() - entry("120000", "link").len();
            for length in first + 1..content.len() {
                let error = list(&content[..length], Part::All).unwrap_err();
                assert!(error.to_string().ends_with("is cut"), "{length}: {error}");
            }
            assert!(list(&entry("100644", ".."), Part::All).is_err());
            let error = list(&entry("160000", "tsuku-dltest"), Part::All).unwrap_err();
            assert!(error.to_string().contains("is a submodule"), "{error}");
        }
    }

    #[test]
    fn a_plain_name_leads_nowhere_and_can_be_shown() {
        let longest = "n".repeat(255);
        for name in ["a", "..a", ".gitignore", "git", "Grüße", &longest] {
            assert_eq!(plain(name.as_bytes()).unwrap(), name);
        }
        let longer = "n".repeat(256);
        for name in ["", ".", "..", ".git", ".Git", "a/b", "a\\b", "a\nb", "\u{1b}[2J", "\u{7f}", &longer] {
            assert!(plain(name.as_bytes()).is_err(), "{name:?}");
        }
        assert!(plain(b"\xff").is_err());
    }
}
