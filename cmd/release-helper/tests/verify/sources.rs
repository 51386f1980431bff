//! Who says where the source comes from, and which commit it is: the user, and nobody else.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use release_helper::jobs::verify::{Answer, Options, Published, Rebuilt, Whose};
use serde_json::json;

use crate::common::*;
use crate::hostile::{REPOSITORY, Site};
use crate::tagged::{Tagged, edit};

/// What `verify` says of `site` from `directory`, and its exit status.
fn verify_in(site: Site, directory: &Path) -> (String, i32) {
    let server = site.serve();
    let output = server.command(&[]).current_dir(directory).output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    (String::from_utf8_lossy(&told).into_owned(), output.status.code().unwrap())
}

#[test]
fn finding_2_the_server_does_not_choose_the_repository() {
    let evil = Tagged::edited("cmd/tsuku-dltest/src/main.rs", "//!", "//! evil");
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let empty = tempfile::tempdir().unwrap();
    let marker = empty.path().join("ran");
    for address in [
        format!("file://{}/releases/tag/{TAG}", evil.root().display()),
        format!("{}/releases/tag/{TAG}", evil.root().display()),
        format!("ssh://-oProxyCommand=touch%20{}/x/releases/tag/{TAG}", marker.display()),
        format!("ext::sh -c touch%20{}/releases/tag/{TAG}", marker.display()),
        format!("fd::17/releases/tag/{TAG}"),
        format!("--upload-pack=touch {}/releases/tag/{TAG}", marker.display()),
        format!("http://{}/{REPOSITORY}/releases/tag/{TAG}", elsewhere.local_addr().unwrap()),
    ] {
        let mut site = Site::honest();
        site.release["html_url"] = json!(address);
        site.reference["object"]["sha"] = json!(evil.commit);
        let (told, status) = verify_in(site, empty.path());
        assert_eq!(status, 2, "{address}: {told}");
        assert!(told.contains(&format!("/{REPOSITORY}")) && !told.contains("reproduced"), "{address}: {told}");
        assert!(!marker.exists(), "{address} started a program");
        assert!(elsewhere.accept().is_err(), "{address} was asked");
    }
}

#[test]
fn the_repository_does_not_send_us_elsewhere() {
    let elsewhere = TcpListener::bind("127.0.0.1:0").unwrap();
    elsewhere.set_nonblocking(true).unwrap();
    let location = format!("location: http://{}/o/r/info/refs\r\n", elsewhere.local_addr().unwrap());
    let mut site = Site::answering(move |path, _, stream| {
        let is_git = path.contains("/info/refs");
        if is_git {
            crate::hostile::answer(stream, "302 Found", &location, b"");
        }
        is_git
    });
    site.reference["object"]["sha"] = json!("1".repeat(40));
    let (told, status) = verify_in(site, tempfile::tempdir().unwrap().path());
    assert_eq!(status, 2, "{told}");
    assert!(elsewhere.accept().is_err(), "the other server was asked");
}

#[test]
fn finding_3_the_contract_is_the_helpers() {
    for (from, to, words) in [
        ("binary = \"tsuku-dltest\"", "binary = \"evil-tool\"", "binary is \"evil-tool\""),
        ("sums = \"SHA256SUMS\"", "sums = \"SUMS\"", "sums is \"SUMS\""),
        ("max-size = 24576", "max-size = 99999999", "max-size is 99999999"),
        ("needed = [\"libc.so.6\", \"libdl.so.2\"]", "needed = []", "needed is []"),
        ("signing-identifier = \"tsuku-dltest\"", "signing-identifier = \"apple\"", "signing-identifier is \"apple\""),
        ("[platform.linux-arm64]", "[platform.linux-riscv]", "cannot read"),
        ("sums =", "colour = \"red\"\nsums =", "cannot read"),
    ] {
        let tag = Tagged::edited("release.toml", from, to);
        let published = Published { commit: Some(tag.commit.clone()), ..release() };
        let report = tag.rebuild().unwrap().judge(&published).unwrap();
        let faults = report.faults.join("; ");
        assert!(faults.contains("the tag has") && faults.contains(words), "{to}: {faults}");
        assert!(report.platforms.iter().all(|row| row.verdict == Answer::Differs), "{to}");
    }
}

#[test]
fn the_contract_of_the_tag_is_used_only_if_the_user_says_so() {
    let tag = Tagged::edited("release.toml", "max-size = 24576", "max-size = 99999999");
    let options = Options { contract: Whose::Tag, ..options(&tag.root(), &["linux-amd64"]) };
    let report = Rebuilt::new(&options, &empty()).unwrap().judge(&release()).unwrap();
    assert!(!report.faults.iter().any(|fault| fault.contains("contract")), "{:?}", report.faults);
    assert!(report.source().ends_with("held to the tag's own contract"), "{}", report.source());
}

#[test]
fn what_was_rebuilt_is_measured_on_the_contract() {
    // The published bytes are exactly what this source builds, and not what an artifact must be.
    let tag = Tagged::edited("cmd/tsuku-dltest/link.toml", "/lib64/ld-linux-x86-64.so.2", "/lib64/evil.so.2");
    let rebuilt = tag.rebuild().unwrap();
    let mut published = release();
    published.commit = Some(tag.commit.clone());
    published.files.insert(LINUX.into(), rebuilt.artifacts()[0].bytes.clone());
    let report = rebuilt.judge(&published).unwrap();
    let reasons = report.platforms[0].reasons.join("; ");
    assert!(reasons.contains("what was rebuilt breaks the contract: interpreter is /lib64/evil.so.2"), "{reasons}");
    assert_eq!(report.platforms[0].verdict, Answer::Differs);
}

#[test]
fn finding_4_replaced_objects_are_not_believed() {
    let honest = Tagged::new(|_| {});
    let expected = honest.rebuild().unwrap().artifacts()[0].sha256.clone();
    let root = honest.root();
    edit(&root, "cmd/tsuku-dltest/src/main.rs", "usage: ", "evil!: ");
    git(&root, &["commit", "--quiet", "--all", "-m", "evil"]);
    for kind in ["", ":cmd/tsuku-dltest/src/main.rs", "^{tree}"] {
        let name = |commit: &str| git(&root, &["rev-parse", &format!("{commit}{kind}")]);
        git(&root, &["replace", "--force", &name(&honest.commit), &name("HEAD")]);
        assert_eq!(honest.rebuild().unwrap().artifacts()[0].sha256, expected, "{kind}");
        git(&root, &["replace", "--delete", &name(&honest.commit)]);
    }
}

#[test]
fn no_variable_of_git_is_passed_on() {
    let evil = Tagged::edited("cmd/tsuku-dltest/src/main.rs", "//!", "//! evil");
    let (objects, marker) = (evil.root().join(".git"), evil.outside("ran"));
    let script = evil.outside("monitor");
    fs::write(&script, format!("#!/bin/sh\ntouch '{}'\n", marker.display())).unwrap();
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
    let server = Site::honest().serve();
    for (name, value) in [
        ("GIT_DIR", objects.display().to_string()),
        ("GIT_WORK_TREE", evil.root().display().to_string()),
        ("GIT_OBJECT_DIRECTORY", objects.join("objects").display().to_string()),
        ("GIT_INDEX_FILE", objects.join("index").display().to_string()),
        ("GIT_NAMESPACE", "evil".into()),
        ("GIT_REPLACE_REF_BASE", "refs/heads/".into()),
        ("GIT_EXEC_PATH", evil.root().display().to_string()),
        ("GIT_TRACE", marker.display().to_string()),
        ("GIT_CONFIG_PARAMETERS", format!("'core.fsmonitor'='{}'", script.display())),
    ] {
        let output = server.command(&[]).env(name, value).output().unwrap();
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert_eq!(output.status.code(), Some(0), "{name}: {told} {}", String::from_utf8_lossy(&output.stderr));
        assert!(told.contains(&world().commit), "{name}: {told}");
        assert!(!marker.exists(), "{name} has an effect");
    }
}

#[test]
fn a_commit_is_forty_digits_and_neither_a_revision_nor_an_option() {
    let victim = tempfile::tempdir().unwrap();
    let file = victim.path().join("file");
    fs::write(&file, "precious").unwrap();
    for name in [
        "HEAD".to_owned(),
        "main".to_owned(),
        "v1.2.3".to_owned(),
        format!("--index-output={}", file.display()),
        world().commit[..12].to_owned(),
        world().commit.to_uppercase(),
        format!("{}^", world().commit),
        format!("{}\n", world().commit),
        String::new(),
        "0".repeat(39),
        "g".repeat(40),
    ] {
        let mut site = Site::honest();
        site.reference["object"]["sha"] = json!(name);
        let refusal = site.serve().refusal();
        assert!(refusal.contains("names no commit"), "{name:?}: {refusal}");
    }
    assert_eq!(fs::read_to_string(file).unwrap(), "precious");
}

#[test]
fn the_first_line_names_repository_commit_and_who_said_so() {
    let server = Site::honest().serve();
    let output = server.verify(&["--commit", &world().commit]);
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    let first = told.lines().next().unwrap();
    let release = format!("{TAG} of {}/{REPOSITORY}/releases/tag/{TAG}: commit {}", server.url, world().commit);
    assert!(first.starts_with("source "), "{told}");
    assert!(first.ends_with(&format!("{release}, says the server and this repository and --commit")), "{told}");
    assert!(first.contains(&release_helper::plumbing::confine::Strength::here().to_string()), "{told}");
}

#[test]
fn a_commit_that_the_user_names_must_be_the_tags() {
    let (start, last) = world().commit.split_at(39);
    let almost = format!("{start}{}", if last == "0" { "1" } else { "0" });
    for commit in ["3".repeat(40), almost] {
        let output = Site::honest().serve().verify(&["--commit", &commit]);
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.code() == Some(1) && told.contains("the tag was moved"), "{told}");
        assert!(!told.lines().any(|line| line.contains(" reproduced ")), "{told}");
    }
    // What the clone knows by another name is the same commit.
    let output = Site::honest().serve().verify(&["--commit", "HEAD"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn older_and_newer_tags_of_the_same_contract_verify() {
    let tag = Tagged::new(|root| {
        edit(root, "release.toml", "# The contract", "# Another comment on the contract");
        edit(root, "cmd/tsuku-dltest/src/main.rs", "usage: ", "usage of another version: ");
        edit(
            root,
            "cmd/tsuku-dltest/Cargo.toml",
            "description = ",
            "repository = \"https://example.org\"\ndescription = ",
        );
        edit(root, "cmd/tsuku-dltest/link.toml", "-O2", "-O1");
        crate::tagged::put(root, "cmd/tsuku-dltest/src/another.rs", "//! Nobody includes it.\n");
        crate::tagged::put(root, "docs/new.md", "news\n");
    });
    let rebuilt = Rebuilt::new(&options(&tag.root(), &[]), &empty()).unwrap();
    let report = rebuilt.judge(&release_of(&rebuilt, &tag.commit)).unwrap();
    assert_eq!(report.holds(), Some(true), "{:?} {:?}", report.faults, report.platforms[0].reasons);
    assert_eq!(report.said_by, ["this repository"]);
}

#[test]
fn an_honest_source_is_fetched_into_an_empty_folder() {
    let site = Site { repository: Some(world().repository.path().to_owned()), ..Site::honest() };
    let (told, status) = verify_in(site, tempfile::tempdir().unwrap().path());
    assert_eq!(status, 0, "{told}");
    assert!(told.contains(&format!("fetching {TAG} from http://127.0.0.1:")), "{told}");
    assert!(told.contains("says the server\n") && told.contains(" reproduced "), "{told}");
}

#[test]
fn a_clone_whose_tag_is_another_commit_is_not_built() {
    let evil = Tagged::edited("cmd/tsuku-dltest/src/main.rs", "//!", "//! evil");
    let site = Site { repository: Some(evil.root()), ..Site::honest() };
    let (told, status) = verify_in(site, tempfile::tempdir().unwrap().path());
    assert_eq!(status, 2, "{told}");
    assert!(told.contains(&format!("{TAG} is {} in a clone of", evil.commit)), "{told}");
    assert!(told.contains(&format!("{} by the API", world().commit)) && !told.contains("reproduced"), "{told}");
}

#[test]
fn a_clone_without_the_tag_or_with_a_tag_that_is_no_commit_is_not_built() {
    for (object, words) in [("", "cannot fetch the tag"), ("HEAD:Cargo.toml", "has no commit")] {
        let tag = Tagged::new(|_| {});
        git(&tag.root(), &["tag", "--delete", TAG]);
        if !object.is_empty() {
            git(&tag.root(), &["tag", TAG, object]);
        }
        let (told, status) =
            verify_in(Site { repository: Some(tag.root()), ..Site::honest() }, tempfile::tempdir().unwrap().path());
        assert_eq!(status, 2, "{told}");
        assert!(told.contains(words) && !told.contains("reproduced"), "{told}");
    }
}

#[test]
fn an_answer_without_end_to_git_fills_neither_memory_nor_disk() {
    let site = Site::answering(|path, _, stream| {
        let is_git = path.contains("/info/refs");
        if is_git {
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-git-upload-pack-advertisement\r\n\r\n");
            while stream.write_all(&[b'0'; 1 << 16]).is_ok() {}
        }
        is_git
    });
    let (told, status) = verify_in(site, tempfile::tempdir().unwrap().path());
    assert_eq!(status, 2, "{told}");
    assert!(told.contains("cannot fetch the tag") && told.contains("git failed"), "{told}");
}

#[test]
fn a_git_server_that_says_nothing_keeps_nobody_waiting_for_ever() {
    let site = Site::answering(|path, _, stream| {
        let is_git = path.contains("/info/refs");
        if is_git {
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-type: application/x-git-upload-pack-advertisement\r\n\r\n");
            // Until the client has gone.
            let _ = stream.read(&mut [0]);
        }
        is_git
    });
    let (told, status) = verify_in(site, tempfile::tempdir().unwrap().path());
    assert_eq!(status, 2, "{told}");
    assert!(told.contains("cannot fetch the tag"), "{told}");
}

#[test]
fn the_settings_of_a_repository_and_the_attributes_of_a_tag_start_nothing_and_change_nothing() {
    let honest = Tagged::new(|_| {}).rebuild().unwrap();
    let marker = tempfile::tempdir().unwrap();
    let ran = marker.path().join("ran");
    let touch = format!("touch '{}'", ran.display());
    let tag = Tagged::new(|root| {
        let all = "* filter=evil diff=evil text eol=crlf ident export-subst\n*.rs export-ignore\n";
        crate::tagged::put(root, ".gitattributes", all);
        crate::tagged::put(root, "cmd/tsuku-dltest/.gitattributes", all);
        crate::tagged::put(root, ".lfsconfig", "[lfs]\nurl = http://127.0.0.1:1\n");
    });
    let root = tag.root();
    crate::tagged::put(&root, ".git/hooks/post-checkout", &format!("#!/bin/sh\n{touch}\n"));
    crate::tagged::put(&root, ".git/hooks/reference-transaction", &format!("#!/bin/sh\n{touch}\n"));
    for hook in ["post-checkout", "reference-transaction"] {
        fs::set_permissions(root.join(".git/hooks").join(hook), fs::Permissions::from_mode(0o755)).unwrap();
    }
    crate::tagged::put(&root, ".git/more", &format!("[core]\nsshCommand = {touch}\ngitProxy = {touch}\n"));
    for (name, value) in [
        ("core.fsmonitor", touch.as_str()),
        ("core.pager", &touch),
        ("core.alternateRefsCommand", &touch),
        ("filter.evil.smudge", &touch),
        ("filter.evil.clean", &touch),
        ("filter.evil.process", &touch),
        ("filter.evil.required", "true"),
        ("diff.evil.textconv", &touch),
        ("credential.helper", &format!("!{touch}")),
        ("include.path", "more"),
        ("uploadpack.packObjectsHook", &touch),
        ("protocol.ext.allow", "always"),
        ("core.autocrlf", "true"),
    ] {
        git(&root, &["config", name, value]);
    }
    assert!(!ran.exists());
    let server = Site { reference: json!({"object": {"type": "commit", "sha": tag.commit}}), ..Site::honest() }.serve();
    let output = server.command(&["--json"]).current_dir(&root).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["platforms"][0]["rebuilt"], honest.artifacts()[0].sha256, "{report}");
    assert!(!ran.exists(), "a program of the repository's settings was started");
}
