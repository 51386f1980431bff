//! `tally` counts people that signed, each once, and nobody else; and says no more than they signed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use release_helper::domain::contract::Contract;
use release_helper::jobs::tally::{Question, Tally, tally};
use serde_json::{Value, json};

#[path = "support/skipped.rs"]
mod skipped;

use skipped::skipped;

const NAMESPACE: &str = "tsuku-dltest-rebuild";
const COMMIT: &str = "1111111111111111111111111111111111111111";
const OTHER_COMMIT: &str = "2222222222222222222222222222222222222222";

fn digest(letter: char) -> String {
    letter.to_string().repeat(64)
}

/// A repository's `verifications/` with two known ssh signers, alice and bob, and the keys of a stranger, mallory.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::create_dir(folder.tag()).unwrap();
        for who in ["alice", "bob", "mallory"] {
            folder.new_key(who);
        }
        folder.allow(&["alice", "bob"]);
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn tag(&self) -> PathBuf {
        self.path("v1.2.3")
    }

    fn keys(&self) -> PathBuf {
        self.path("allowed_signers")
    }

    fn new_key(&self, who: &str) {
        let path = self.path(&format!("key-{who}"));
        run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", who, "-f", path.to_str().unwrap()]);
    }

    fn public(&self, who: &str) -> String {
        fs::read_to_string(self.path(&format!("key-{who}.pub"))).unwrap()
    }

    fn allow(&self, people: &[&str]) {
        let line = |who: &&str| format!("{who}@example.org namespaces=\"{NAMESPACE}\" {}", self.public(who));
        fs::write(self.keys(), people.iter().map(line).collect::<String>()).unwrap();
    }

    fn write(&self, file: &str, content: &str) -> PathBuf {
        fs::write(self.tag().join(file), content).unwrap();
        self.tag().join(file)
    }

    fn sign(&self, path: &Path, who: &str, namespace: &str) {
        let key = self.path(&format!("key-{who}"));
        let arguments = ["-q", "-Y", "sign", "-n", namespace, "-f", key.to_str().unwrap(), path.to_str().unwrap()];
        run("ssh-keygen", &arguments);
    }

    /// `content` as a statement signed by `who`.
    fn say(&self, file: &str, who: &str, content: &str) -> PathBuf {
        let path = self.write(file, content);
        self.sign(&path, who, NAMESPACE);
        path
    }

    fn minisign_key(&self, who: &str) -> String {
        let (secret, public) = (self.path(&format!("{who}.key")), self.path(&format!("{who}.pub")));
        run("minisign", &["-GWf", "-s", secret.to_str().unwrap(), "-p", public.to_str().unwrap()]);
        fs::read_to_string(public).unwrap().lines().nth(1).unwrap().to_owned()
    }

    fn minisign(&self, path: &Path, who: &str) {
        run("minisign", &["-Sm", path.to_str().unwrap(), "-s", self.path(&format!("{who}.key")).to_str().unwrap()]);
    }

    fn ask(&self, directory: &Path, keys: &Path, wanted: usize) -> anyhow::Result<Tally> {
        let contract = Contract::embedded().unwrap();
        let (tag, commit) = ("v1.2.3", COMMIT);
        tally(&Question { contract: &contract, directory, keys, tag, commit, sums: None, wanted })
    }

    fn count(&self, wanted: usize) -> Tally {
        self.ask(&self.tag(), &self.keys(), wanted).unwrap()
    }
}

/// A statement in which every asset has the digest of `letter`.
fn statement(letter: char) -> Value {
    let contract = Contract::embedded().unwrap();
    let subject = |asset: &str| json!({ "name": asset, "digest": { "sha256": digest(letter) } });
    let subjects: Vec<_> = contract.platforms().map(|platform| subject(&platform.asset)).collect();
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": "https://github.com/tsukumogami/tsuku-dltest/attestation/rebuild/v1",
        "predicate": { "tag": "v1.2.3", "commit": COMMIT, "origin": "o", "rebuilder": "r", "verdicts": {} },
    })
}

fn says(letter: char) -> String {
    statement(letter).to_string()
}

fn about(tag: &str, commit: &str) -> String {
    let mut statement = statement('a');
    statement["predicate"]["tag"] = tag.into();
    statement["predicate"]["commit"] = commit.into();
    statement.to_string()
}

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
}

fn agreeing(tally: &Tally) -> Option<usize> {
    let mut all: Vec<_> = tally.assets.iter().map(|count| count.agreeing()).collect();
    all.dedup();
    assert_eq!(all.len(), 1, "{tally:?}");
    all[0]
}

fn why(tally: &Tally, file: &str) -> String {
    let found: Vec<_> = tally.ignored.iter().filter(|(name, _)| name == file).map(|(_, why)| why.as_str()).collect();
    assert!(!found.is_empty(), "{file} is not among {:?}", tally.ignored);
    found.join("; ")
}

/// Whether there is minisign; if not, the test is reported as skipped.
fn has_minisign() -> bool {
    let is_there = Command::new("minisign").arg("-v").output().is_ok();
    if !is_there {
        skipped("minisign is not installed");
    }
    is_there
}

#[test]
fn two_signers_with_the_same_bytes_agree() {
    let folder = Folder::new();
    folder.say("alice.json", "alice", &says('a'));
    folder.say("bob.json", "bob", &says('a').replace(&digest('a'), &digest('A')));
    let tally = folder.count(2);
    assert!(tally.holds() && agreeing(&tally) == Some(2), "{tally:?}");
    assert!(!folder.count(3).holds());
}

#[test]
fn a_minisign_signature_is_not_looked_at_where_nobody_has_such_a_key() {
    let folder = Folder::new();
    folder.say("a.json", "alice", &says('a'));
    folder.write("a.json.minisig", "no signature\n");
    let tally = folder.count(1);
    assert!(tally.holds() && tally.ignored.is_empty(), "{:?}", tally.ignored);
}

#[test]
fn a_single_dissenter_is_enough_for_no() {
    let folder = Folder::new();
    folder.say("alice.json", "alice", &says('a'));
    folder.say("bob.json", "bob", &says('b'));
    assert!(!folder.count(1).holds());
}

#[test]
fn a_statement_about_another_tag_or_commit_does_not_count_and_does_not_stop_the_others() {
    let folder = Folder::new();
    folder.say("alice.json", "alice", &says('a'));
    folder.say("bob-old.json", "bob", &about("v1.0.0", COMMIT));
    folder.say("bob-moved.json", "bob", &about("v1.2.3", OTHER_COMMIT));
    folder.say("bob-short.json", "bob", &about("v1.2.3", &COMMIT[..12]));
    let tally = folder.count(1);
    assert_eq!((agreeing(&tally), tally.rebuilders.len()), (Some(1), 1), "{tally:?}");
    assert!(why(&tally, "bob-old.json").contains("about v1.0.0, not v1.2.3"));
    assert!(why(&tally, "bob-moved.json").contains(OTHER_COMMIT) && why(&tally, "bob-short.json").contains("commit"));
}

#[test]
fn keys_that_lie_among_the_statements_are_refused_and_those_beside_them_are_not_looked_for() {
    let folder = Folder::new();
    let download = folder.path("download");
    fs::create_dir_all(download.join("v1.2.3")).unwrap();
    let names = ["eve", "eve2", "eve3"];
    let mut allowed = String::new();
    for name in names {
        folder.new_key(name);
        let path = folder.say(&format!("{name}.json"), name, &says('e'));
        allowed += &format!("{name}@example.org {}", folder.public(name));
        for file in [path.clone(), path.with_extension("json.sig")] {
            fs::rename(&file, download.join("v1.2.3").join(file.file_name().unwrap())).unwrap();
        }
    }
    fs::write(download.join("allowed_signers"), &allowed).unwrap();
    fs::write(download.join("v1.2.3/allowed_signers"), &allowed).unwrap();
    let tally = folder.ask(&download.join("v1.2.3"), &folder.keys(), 1).unwrap();
    assert!(tally.rebuilders.is_empty() && !tally.holds(), "{tally:?}");
    let refusal = folder.ask(&download.join("v1.2.3"), &download.join("v1.2.3/allowed_signers"), 1).unwrap_err();
    assert!(format!("{refusal:#}").contains("lies among the statements"), "{refusal:#}");
    // Also by way of a link.
    std::os::unix::fs::symlink(download.join("v1.2.3"), folder.path("link")).unwrap();
    assert!(folder.ask(&folder.path("link"), &download.join("v1.2.3/allowed_signers"), 1).is_err());
}

#[test]
fn one_person_counts_once_with_however_many_keys_names_and_files() {
    let folder = Folder::new();
    for who in ["desktop", "laptop"] {
        folder.new_key(who);
    }
    let key = |who: &str| folder.public(who);
    fs::write(
        folder.keys(),
        format!(
            "alice@example.org {}alice@example.org,alice@work {}Alice@Work {}alias {}",
            key("alice"),
            key("laptop"),
            key("desktop"),
            key("alice")
        ),
    )
    .unwrap();
    for who in ["alice", "laptop", "desktop"] {
        folder.say(&format!("{who}.json"), who, &says('a'));
        folder.say(&format!("{who}-again.json"), who, &says('a'));
    }
    let tally = folder.count(2);
    assert!(agreeing(&tally) == Some(1) && !tally.holds(), "{tally:?}");
    assert_eq!(tally.rebuilders.values().next().unwrap().len(), 6);
}

#[test]
fn an_ssh_and_a_minisign_key_of_one_person_are_one_voice_and_those_of_two_are_two() {
    if !has_minisign() {
        return;
    }
    let folder = Folder::new();
    let key = folder.minisign_key("alice");
    let path = folder.say("alice.json", "alice", &says('a'));
    folder.minisign(&path, "alice");
    for (name, voices) in [("alice@example.org", 1), ("carol@example.org", 2)] {
        folder.allow(&["alice"]);
        let lines = fs::read_to_string(folder.keys()).unwrap() + &format!("{name} minisign {key}\n");
        fs::write(folder.keys(), lines).unwrap();
        assert_eq!(agreeing(&folder.count(1)), Some(voices), "{name}");
    }
    // The bytes that were signed count, not those that lie there now.
    folder.write("alice.json", &says('b'));
    assert!(folder.count(1).rebuilders.is_empty());
}

#[test]
fn a_bogus_signature_silences_nobody() {
    if !has_minisign() {
        return;
    }
    let folder = Folder::new();
    let key = folder.minisign_key("carol");
    fs::write(folder.keys(), format!("carol minisign {key}\nbob@example.org {}", folder.public("bob"))).unwrap();
    let path = folder.write("carol.json", &says('a'));
    folder.minisign(&path, "carol");
    folder.say("bob.json", "bob", &says('a'));
    for bogus in ["", "nonsense", "-----BEGIN SSH SIGNATURE-----\nAAAA\n-----END SSH SIGNATURE-----\n"] {
        fs::write(folder.tag().join("carol.json.sig"), bogus).unwrap();
        fs::write(folder.tag().join("bob.json.minisig"), bogus).unwrap();
        let tally = folder.count(2);
        assert!(tally.holds(), "{bogus:?}: {tally:?}");
        assert!(why(&tally, "carol.json.sig").contains("nobody's"));
    }
    // A stranger's is a bogus one, too; and what is no file is not waited for.
    folder.sign(&path, "mallory", NAMESPACE);
    assert!(folder.count(2).holds());
    fs::remove_file(folder.tag().join("carol.json.sig")).unwrap();
    run("mkfifo", &[folder.tag().join("carol.json.sig").to_str().unwrap()]);
    let tally = folder.count(2);
    assert!(tally.holds() && why(&tally, "carol.json.sig").contains("no file"), "{tally:?}");
}

#[test]
fn a_contradiction_silences_its_voice_alone_and_is_shown() {
    let asset = Contract::embedded().unwrap().platforms().next().unwrap().asset.clone();
    let mut twice = statement('a');
    let other = json!({ "name": asset, "digest": { "sha256": digest('b') } });
    twice["subject"].as_array_mut().unwrap().push(other);
    for (first, second) in [(twice.to_string(), None), (says('a'), Some(says('b')))] {
        let folder = Folder::new();
        folder.say("bob.json", "bob", &says('a'));
        folder.say("alice.json", "alice", &first);
        if let Some(second) = second {
            folder.say("alice-2.json", "alice", &second);
        }
        let tally = folder.count(1);
        assert_eq!(agreeing(&tally), Some(1), "{tally:?}");
        assert_eq!(tally.contradictions.get("alice@example.org"), Some(&asset), "{tally:?}");
        assert!(!tally.rebuilders.contains_key("alice@example.org"));
    }
}

#[test]
fn a_statement_that_can_be_read_in_two_ways_or_has_no_digest_does_not_count() {
    let folder = Folder::new();
    folder.say("bob.json", "bob", &says('a'));
    let two = format!("\"sha256\":\"{}\",\"sha256\":\"{}\"", digest('b'), digest('a'));
    let one = format!("\"sha256\":\"{}\"", digest('a'));
    folder.say("alice.json", "alice", &says('a').replace(&one, &two));
    for (file, content) in [
        ("alice-2.json", says('a').replace(&digest('a'), "aa")),
        ("alice-3.json", says('a').replace("sha256", "md5")),
        ("alice-4.json", says('a').replace("rebuild/v1", "rebuild/v2")),
        ("alice-5.json", "not JSON".to_owned()),
        ("alice-6.json", format!("[{}]", "[".repeat(100_000))),
    ] {
        folder.say(file, "alice", &content);
    }
    let tally = folder.count(1);
    assert_eq!((agreeing(&tally), tally.rebuilders.len()), (Some(1), 1), "{tally:?}");
    assert!(why(&tally, "alice.json").contains("two ways"), "{tally:?}");
    assert_eq!(tally.ignored.len(), 6);
}

#[test]
fn strangers_changed_files_and_signatures_for_other_purposes_do_not_count() {
    let folder = Folder::new();
    folder.say("mallory.json", "mallory", &says('a'));
    let path = folder.write("bob.json", &says('a'));
    folder.sign(&path, "bob", "file");
    let changed = folder.say("alice.json", "alice", &says('a'));
    fs::write(&changed, says('b')).unwrap();
    folder.write("nobody.json", &says('a'));
    let tally = folder.count(1);
    assert!(!tally.holds() && tally.rebuilders.is_empty(), "{tally:?}");
    for file in ["mallory.json", "bob.json", "alice.json", "nobody.json"] {
        assert!(why(&tally, file).contains("no valid signature"));
    }
}

#[test]
fn a_certificate_authority_can_do_nothing() {
    let folder = Folder::new();
    let lines = format!("*@example.org cert-authority,namespaces=\"{NAMESPACE}\" {}", folder.public("mallory"));
    fs::write(folder.keys(), lines).unwrap();
    let refusal = folder.ask(&folder.tag(), &folder.keys(), 1).unwrap_err();
    assert!(format!("{refusal:#}").contains("any number of voices"), "{refusal:#}");
}

#[test]
fn a_key_that_was_not_valid_any_more_or_is_for_another_purpose_is_ssh_keygens_to_judge() {
    let folder = Folder::new();
    folder.say("alice.json", "alice", &says('a'));
    for (options, counts) in [
        ("valid-before=\"20200101\"", false),
        ("valid-after=\"20200101\"", true),
        ("namespaces=\"git,file\"", false),
        ("namespaces=\"git,tsuku-*\"", true),
    ] {
        fs::write(folder.keys(), format!("alice {options} {}", folder.public("alice"))).unwrap();
        assert_eq!(folder.count(1).holds(), counts, "{options}");
    }
}

/// The command itself.
fn command(folder: &Folder, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_release-helper"));
    command.arg("tally").arg(folder.tag()).args(arguments).current_dir(folder.0.path()).output().unwrap()
}

#[test]
fn the_command_says_what_was_asked_and_by_whose_keys() {
    let folder = Folder::new();
    folder.say("alice.json", "alice", &says('a'));
    folder.say("bob.json", "bob", &about("v1.0.0", COMMIT));
    let keys = folder.keys();
    let asked = ["--tag", "v1.2.3", "--commit", COMMIT, "--keys", keys.to_str().unwrap()];
    let output = command(&folder, &asked);
    let (told, said) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(told.starts_with(&format!("v1.2.3 at {COMMIT}, as signed by those in {}\n", keys.display())), "{told}");
    assert!(said.contains("not counted: bob.json: it is about v1.0.0"), "{said}");
    assert_eq!(command(&folder, &[&asked[..], &["--min", "2"]].concat()).status.code(), Some(1));
    let json = command(&folder, &[&asked[..], &["--json"]].concat());
    let json: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!((&json["tag"], &json["commit"]), (&"v1.2.3".into(), &COMMIT.into()));
    for (misused, words) in [
        (vec!["--commit", COMMIT, "--keys", keys.to_str().unwrap()], "--tag"),
        (vec!["--tag", "v1.2.3", "--commit", "1111111", "--keys", keys.to_str().unwrap()], "no full hash"),
        (vec!["--tag", "v1.2.3", "--commit", COMMIT], "--keys"),
        (vec!["--tag", "v1.2.3", "--keys", keys.to_str().unwrap()], "which commit"),
        (vec!["--tag", "v1.2.3", "--commit", COMMIT, "--keys", "/nonexistent"], "/nonexistent"),
    ] {
        let output = command(&folder, &misused);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(2) && said.contains(words), "{misused:?}: {said}");
    }
}
