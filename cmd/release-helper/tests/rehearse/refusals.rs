//! What cannot be released: each is said plainly, with advice and exit status 2, and nothing is lost.

use std::fs;
use std::net::TcpListener;

use crate::checkout::Checkout;
use crate::skipped::skipped;

/// Runs the helper, which must refuse; returns what it says.
fn refusal(checkout: &Checkout, arguments: &[&str]) -> String {
    let output = checkout.helper(arguments).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
    assert!(output.stdout.is_empty(), "{arguments:?}: stdout is data");
    checkout.assert_no_traces();
    said
}

#[test]
fn a_tag_that_is_no_semantic_version() {
    let checkout = Checkout::new("tags");
    let long = format!("v1.2.3-{}", "a".repeat(300));
    for tag in ["v1.2", "1.2.3;rm", "", &long, "v1.0.0$(touch pwned)", "v1.0.0\";echo"] {
        let said = refusal(&checkout, &["rehearse", tag]);
        assert!(said.contains("tag") && said.contains("v1.2.3-rc.1"), "{tag}: {said}");
    }
    assert!(!checkout.path().join("pwned").exists());
    assert!(!checkout.path().join("dist").exists());
}

#[test]
fn a_dirty_tree() {
    let checkout = Checkout::new("dirty");
    fs::write(checkout.path().join("README.md"), "changed").unwrap();
    let said = refusal(&checkout, &["rehearse"]);
    assert!(said.contains("1 uncommitted change") && said.contains("README.md"), "{said}");
    assert!(said.contains("hint: ") && said.contains("--allow-dirty"), "{said}");
    assert_eq!(fs::read_to_string(checkout.path().join("README.md")).unwrap(), "changed");
}

#[test]
fn a_tree_that_is_no_git_checkout() {
    let checkout = Checkout::new("no git");
    fs::remove_dir_all(checkout.path().join(".git")).unwrap();
    let said = refusal(&checkout, &["rehearse"]);
    assert!(said.contains("not a git repository"), "{said}");
    assert!(said.contains("hint: "), "{said}");
}

#[test]
fn a_directory_outside_of_any_checkout() {
    let checkout = Checkout::new("outside");
    let mut helper = checkout.helper(&["rehearse"]);
    let output = helper.current_dir("/").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(said.contains("no release.toml in / or above it") && said.contains("hint: "), "{said}");
}

#[test]
fn a_contract_with_an_unknown_key_or_a_platform_too_few() {
    let checkout = Checkout::new("contract");
    let path = checkout.path().join("release.toml");
    let text = fs::read_to_string(&path).unwrap();
    let start = text.find("[platform.linux-amd64]").unwrap();
    let end = text.find("[platform.linux-amd64-musl]").unwrap();
    let cases = [
        (format!("colour = 1\n{text}"), "unknown field `colour`"),
        (format!("{text}\n[platform.linux-amd64]\n"), "duplicate key"),
        (format!("{}{}", &text[..start], &text[end..]), "missing platform: linux-amd64"),
    ];
    for (broken, expected) in cases {
        fs::write(&path, broken).unwrap();
        let said = refusal(&checkout, &["rehearse", "--allow-dirty"]);
        assert!(said.contains("release.toml") && said.contains(expected), "{expected}: {said}");
        assert!(said.contains("hint: "), "{said}");
    }
}

#[test]
fn a_dist_that_cannot_be_written() {
    let checkout = Checkout::new("unwritable");
    fs::write(checkout.path().join("dist"), "a file of the user's").unwrap();
    for command in [&["rehearse"][..], &["build", "linux-amd64"]] {
        let said = refusal(&checkout, command);
        assert!(said.contains("dist") && said.contains("hint: "), "{said}");
    }
    assert_eq!(fs::read_to_string(checkout.path().join("dist")).unwrap(), "a file of the user's");
}

#[test]
fn a_port_that_is_taken() {
    let checkout = Checkout::new("port");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    let said = refusal(&checkout, &["rehearse", "--port", &port]);
    assert!(said.contains(&format!("cannot listen on 127.0.0.1:{port}")) && said.contains("hint: "), "{said}");
}

#[test]
fn a_platform_that_does_not_exist() {
    let checkout = Checkout::new("platform");
    let said = refusal(&checkout, &["rehearse", "--platform", "linux-riscv64"]);
    assert!(said.contains("\"linux-riscv64\"") && said.contains("linux-arm64-musl"), "{said}");
}

#[test]
fn a_disk_that_is_full() {
    let checkout = Checkout::new("full");
    std::fs::create_dir(checkout.path().join("dist")).unwrap();
    // Room for the server's own files, not for six artifacts.
    let script =
        format!("mount -t tmpfs -o size=64k tmpfs dist && exec '{}' rehearse", env!("CARGO_BIN_EXE_release-helper"));
    let may_mount = checkout.command("unshare").args(["--mount", "true"]).status().is_ok_and(|status| status.success());
    if !may_mount {
        return skipped("mounting needs root");
    }
    let output = checkout.command("unshare").args(["--mount", "sh", "-c", &script]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("No space left on device") && said.contains("hint: "), "{said}");
    checkout.assert_no_traces();
    // With room, the same command works.
    assert!(checkout.helper(&["rehearse", "--platform", "linux-amd64"]).status().unwrap().success());
}
