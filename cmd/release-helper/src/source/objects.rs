//! A commit's files as the commit's name says they are: every git object on the way, from the commit down to each file,
//! is hashed here. git only brings them; whatever it was told to replace them with does not fit.

use std::collections::BTreeMap;
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use sha2::Digest;

use super::Part;
use super::git::{git, is_hash};
use crate::digest::hex;
use crate::error::Hint;
use crate::files;

/// No source of a small program has more files, or more bytes.
const MOST_OBJECTS: usize = 20_000;
const MOST_BYTES: u64 = 256 * 1024 * 1024;

/// A file of a commit.
pub(super) struct File {
    /// Where it lies.
    path: PathBuf,
    executable: bool,
    content: Vec<u8>,
}

/// The objects of one commit, by name.
struct Objects(BTreeMap<String, (String, Vec<u8>)>);

/// The files of `part` of `commit` in the repository at `root`. Fails if the program is made of anything but regular
/// files with plain names.
pub(super) fn read(root: &Path, commit: &str, part: Part) -> Result<Vec<File>> {
    ensure!(is_hash(commit), "{commit:?} is not the name of a commit");
    let objects = Objects::load(root, commit)?;
    let text = objects.get(commit, "commit")?;
    let tree = text.split(|&byte| byte == b'\n').next().unwrap_or_default();
    let tree = std::str::from_utf8(tree).ok().and_then(|line| line.strip_prefix("tree "));
    let tree = tree.filter(|name| is_hash(name)).with_context(|| format!("the commit {commit} names no tree"))?;
    let mut found = Vec::new();
    objects.walk(tree, "", part, &mut found)?;
    Ok(found)
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
    /// All objects of `commit`, as git gives them.
    fn load(root: &Path, commit: &str) -> Result<Self> {
        let list =
            git(root).args(["ls-tree", "-r", "-t", "-l", "-z", "--full-tree", "--end-of-options", commit]).read()?;
        let mut names = vec![commit.to_owned()];
        // The commit's own tree is not in the list.
        let tree = git(root)
            .args(["rev-parse", "--verify", "--quiet", "--end-of-options", &format!("{commit}^{{tree}}")])
            .read()?;
        names.push(String::from_utf8_lossy(&tree).trim().to_owned());
        let mut bytes = 0;
        for entry in list.split(|&byte| byte == 0).filter(|entry| !entry.is_empty()) {
            // Mode, kind, name, size, a tab, the path.
            let head = entry.split(|&byte| byte == b'\t').next().unwrap_or_default();
            let head = String::from_utf8_lossy(head).into_owned();
            let fields: Vec<&str> = head.split_whitespace().collect();
            let &[_, kind, name, size] = fields.as_slice() else { bail!("git lists {head:?} of {commit}") };
            bytes += size.parse().unwrap_or(0);
            // A submodule's commit lies elsewhere.
            if kind != "commit" {
                names.push(name.to_owned());
            }
        }
        ensure!(names.len() <= MOST_OBJECTS, "the commit {commit} has {} files: too many", names.len());
        ensure!(bytes <= MOST_BYTES, "the commit {commit} has {bytes} bytes: too many");
        ensure!(names.iter().all(|name| is_hash(name)), "git lists objects of {commit} without names");
        names.sort();
        names.dedup();
        let mut request = tempfile::tempfile().context("cannot create a temporary file")?;
        request
            .write_all(names.join("\n").as_bytes())
            .and_then(|()| request.rewind())
            .context("cannot write a list")?;
        let answer = git(root).args(["cat-file", "--batch"]).input(request).read()?;
        Self::parse(&answer).with_context(|| format!("cannot read the objects of {commit}"))
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

    /// Adds the wanted files of the tree `name`, which lies at `prefix`.
    fn walk(&self, name: &str, prefix: &str, part: Part, found: &mut Vec<File>) -> Result<()> {
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
            match mode {
                b"40000" | b"040000" => self.walk(&hex(hash), &format!("{path}/"), part, found)?,
                b"100644" | b"100755" | b"100664" => found.push(File {
                    content: self.get(&hex(hash), "blob").with_context(|| path.clone())?.to_vec(),
                    path: path.into(),
                    executable: mode == b"100755",
                }),
                _ if !Part::is_program(&path) => {}
                b"120000" => return Err(anyhow!("{path} is a symbolic link")).hint(IRREGULAR),
                b"160000" => return Err(anyhow!("{path} is a submodule")).hint(IRREGULAR),
                other => {
                    let mode = String::from_utf8_lossy(other).into_owned();
                    return Err(anyhow!("{path} has the mode {mode}")).hint(IRREGULAR);
                }
            }
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
