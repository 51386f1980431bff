//! Calls of git: about the user's own repository, and to fetch a tag from the one the user names. Nothing of our
//! environment steers them (`GIT_DIR`, `GIT_CONFIG_COUNT`, …), and no other program does through them.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::plumbing::error::Hint;
use crate::plumbing::process::Call;

/// Fetching one commit of a small repository takes seconds.
const LIMIT: Duration = Duration::from_secs(300);
/// What git may write into one file, in blocks of 512 bytes, and how much memory it may take, in units of 1024 bytes, while
/// it talks to a server: one whose answer never ends would fill both. (macOS has no such limit of memory.)
const BOUNDED: &str = "ulimit -f 524288 && { ulimit -v 1048576 2>/dev/null || :; } && exec \"$@\"";

/// A call of git in the repository at `root`.
pub(super) fn git(root: &Path) -> Call {
    call(Command::new("git"), root)
}

/// As [`git`], by a `command` that starts git.
fn call(mut command: Command, root: &Path) -> Call {
    // Objects are what their names say, whatever `git replace` was told; and none is fetched when one is missing.
    command.env("GIT_NO_REPLACE_OBJECTS", "1").env("GIT_NO_LAZY_FETCH", "1").env("GIT_OPTIONAL_LOCKS", "0");
    // Programs that a repository's configuration can name.
    command.args(["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]);
    command.arg("-C").arg(root);
    Call::new(command)
}

/// The full hash of the commit that `revision` names in the repository at `root`.
pub fn commit(root: &Path, revision: &str) -> Result<String> {
    let revision = format!("{revision}^{{commit}}");
    let hash = git(root).args(["rev-parse", "--verify", "--quiet", "--end-of-options", &revision]).read();
    let hash = hash.with_context(|| format!("{} has no commit {revision}", root.display()))?;
    let hash = String::from_utf8_lossy(&hash).trim().to_owned();
    ensure!(is_hash(&hash), "git says that {revision} is {hash:?}");
    Ok(hash)
}

/// Whether `commit` is `tip` or comes before it in the history of the repository at `root`.
pub fn has_ancestor(root: &Path, tip: &str, commit: &str) -> Result<bool> {
    let between = git(root).args(["rev-list", "--max-count=1", commit, &format!("^{tip}")]).read()?;
    Ok(between.is_empty())
}

/// Whether `text` is the full name of a git object: 40 hexadecimal digits, or 64 in a repository of SHA-256.
pub fn is_hash(text: &str) -> bool {
    [40, 64].contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// Fetches what `tag` means from the repository at `url` into the new repository `destination`; gives back the commit.
/// `url` is made of what the user named. Its server cannot send us elsewhere.
pub fn fetch(url: &str, tag: &str, destination: &Path) -> Result<String> {
    let (scheme, _) = url.split_once("://").context("an address begins with its scheme")?;
    ensure!(["https", "http"].contains(&scheme), "sources are not fetched by {scheme}");
    let mut command = Command::new("git");
    // The user's own settings could rewrite the address, and no password is asked for or given.
    command.env("GIT_TERMINAL_PROMPT", "0").env("GIT_CONFIG_GLOBAL", "/dev/null");
    command.args(["init", "--quiet", "--bare", "--template=", "--"]).arg(destination);
    Call::new(command).read()?;
    // Made once more, below its limits.
    let mut command = Command::new("sh");
    command.args(["-c", BOUNDED, "sh", "git"]);
    let reference = format!("+refs/tags/{tag}:refs/tags/{tag}");
    let allowed = format!("protocol.{scheme}.allow=always");
    let mut settings = vec!["protocol.allow=never", &allowed, "credential.helper=", "http.followRedirects=false"];
    settings.extend(["http.lowSpeedLimit=1000", "http.lowSpeedTime=30", "transfer.bundleURI=false", "gc.auto=0"]);
    // One file, which has a limit; and no object is held in memory that is larger than any of ours.
    settings.extend(["fetch.unpackLimit=1", "pack.threads=1", "core.bigFileThreshold=16m"]);
    if scheme == "http" {
        // This very machine: no proxy stands in between.
        settings.push("http.proxy=");
    }
    call(command, destination)
        .called("git")
        .with_network()
        .env("GIT_TERMINAL_PROMPT", "0")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .args(settings.iter().flat_map(|setting| ["-c", setting]))
        .args(["fetch", "--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules", "--", url, &reference])
        .limit(LIMIT)
        .read()
        .with_context(|| format!("cannot fetch the tag {tag} from {url}"))
        .hint(format!("run this in a clone of the repository that has the tag {tag}"))?;
    commit(destination, &format!("refs/tags/{tag}"))
}
