//! `tally` counts rebuilders that signed, each once, and nobody else.

#[path = "support/skipped.rs"]
mod skipped;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use release_helper::contract::Contract;
use release_helper::tally::{Tally, tally};
use skipped::skipped;

/// `verifications/` with two known ssh signers, alice and bob, and one unknown, mallory.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::create_dir(folder.tag()).unwrap();
        let mut allowed = String::new();
        for who in ["alice", "bob", "mallory"] {
            run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", who, "-f", folder.key(who).to_str().unwrap()]);
            let key = fs::read_to_string(folder.key(who).with_extension("pub")).unwrap();
            if who != "mallory" {
                allowed += &format!("{who}@example.org namespaces=\"tsuku-dltest-rebuild\" {key}");
            }
        }
        fs::write(folder.0.path().join("allowed_signers"), allowed).unwrap();
        folder
    }

    fn tag(&self) -> PathBuf {
        self.0.path().join("v1.2.3")
    }

    fn key(&self, who: &str) -> PathBuf {
        self.0.path().join(format!("key-{who}"))
    }

    /// A statement in which every asset has the digest `digest`, signed by `who` for `namespace`.
    fn say(&self, file: &str, who: &str, digest: &str, namespace: &str) -> PathBuf {
        let path = self.tag().join(file);
        fs::write(&path, statement(digest, "1111111")).unwrap();
        let key = self.key(who);
        run("ssh-keygen", &["-q", "-Y", "sign", "-n", namespace, "-f", key.to_str().unwrap(), path.to_str().unwrap()]);
        path
    }

    fn count(&self, wanted: usize) -> Tally {
        tally(&Contract::embedded().unwrap(), &self.tag(), self.0.path(), None, wanted).unwrap()
    }
}

const NAMESPACE: &str = "tsuku-dltest-rebuild";

fn statement(digest: &str, commit: &str) -> String {
    let contract = Contract::embedded().unwrap();
    let subjects: Vec<_> = contract
        .platforms()
        .map(|platform| serde_json::json!({ "name": platform.asset, "digest": { "sha256": digest } }))
        .collect();
    serde_json::json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": "https://github.com/tsukumogami/tsuku-dltest/attestation/rebuild/v1",
        "predicate": { "tag": "v1.2.3", "commit": commit, "origin": "o", "rebuilder": "r", "verdicts": {} },
    })
    .to_string()
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

fn agreeing(tally: &Tally) -> Option<usize> {
    let mut all: Vec<_> = tally.assets.iter().map(|count| count.agreeing()).collect();
    all.dedup();
    assert_eq!(all.len(), 1);
    all[0]
}

#[test]
fn two_signers_with_the_same_bytes_agree() {
    let folder = Folder::new();
    folder.say("alice.json", "alice", "aa", NAMESPACE);
    folder.say("bob.json", "bob", "aa", NAMESPACE);
    let tally = folder.count(2);
    assert!(tally.holds() && agreeing(&tally) == Some(2), "{tally:?}");
    assert!(!folder.count(3).holds());
}

#[test]
fn a_single_dissenter_is_enough_for_no() {
    let folder = Folder::new();
    folder.say("alice.json", "alice", "aa", NAMESPACE);
    folder.say("bob.json", "bob", "bb", NAMESPACE);
    assert!(!folder.count(1).holds());
}

#[test]
fn one_signer_with_two_files_counts_once_and_a_contradiction_not_at_all() {
    let folder = Folder::new();
    folder.say("alice-1.json", "alice", "aa", NAMESPACE);
    folder.say("alice-2.json", "alice", "aa", NAMESPACE);
    assert_eq!(agreeing(&folder.count(1)), Some(1));
    folder.say("alice-3.json", "alice", "bb", NAMESPACE);
    assert_eq!(agreeing(&folder.count(1)), None);
}

#[test]
fn strangers_changed_files_and_signatures_for_other_purposes_do_not_count() {
    let folder = Folder::new();
    folder.say("mallory.json", "mallory", "aa", NAMESPACE);
    folder.say("bob.json", "bob", "aa", "file");
    let changed = folder.say("alice.json", "alice", "aa", NAMESPACE);
    fs::write(&changed, statement("bb", "1111111")).unwrap();
    fs::write(folder.tag().join("nobody.json"), statement("aa", "1111111")).unwrap();
    let tally = folder.count(1);
    assert!(!tally.holds() && tally.rebuilders.is_empty() && tally.ignored.len() == 4, "{tally:?}");
}

#[test]
fn a_minisign_signature_counts_under_the_name_of_its_key() {
    if Command::new("minisign").arg("-v").output().is_err() {
        return skipped("minisign is not installed");
    }
    let folder = Folder::new();
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let (secret, public) = (folder.0.path().join("carol.key"), folder.0.path().join("carol.pub"));
    run("minisign", &["-GWf", "-s", &path(&secret), "-p", &path(&public)]);
    let file = folder.tag().join("carol.json");
    fs::write(&file, statement("aa", "1111111")).unwrap();
    run("minisign", &["-Sm", &path(&file), "-s", &path(&secret)]);
    let tally = folder.count(1);
    assert!(tally.holds() && tally.rebuilders.contains_key("carol"), "{tally:?}");
    fs::write(&file, statement("bb", "1111111")).unwrap();
    assert!(!folder.count(1).holds());
}

#[test]
fn statements_about_different_commits_are_not_counted_together() {
    let folder = Folder::new();
    folder.say("alice.json", "alice", "aa", NAMESPACE);
    let path = folder.tag().join("bob.json");
    fs::write(&path, statement("aa", "2222222")).unwrap();
    let key = folder.key("bob");
    run("ssh-keygen", &["-q", "-Y", "sign", "-n", NAMESPACE, "-f", key.to_str().unwrap(), path.to_str().unwrap()]);
    let contract = Contract::embedded().unwrap();
    let error = tally(&contract, &folder.tag(), folder.0.path(), None, 1).unwrap_err();
    assert!(format!("{error:#}").contains("different sources"));
}
