//! The subcommands on files: what changes, what stays, what people and scripts see.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Output};

use crate::images::{ARM, INTEL, Image, fat};

fn helper(directory: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_release-helper")).current_dir(directory).args(arguments).output().unwrap()
}

/// The exit code and what was printed to stderr.
fn outcome(output: &Output) -> (i32, String) {
    (output.status.code().unwrap(), String::from_utf8(output.stderr.clone()).unwrap())
}

fn program() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("program"), Image::new(ARM).bytes()).unwrap();
    directory
}

#[test]
fn signing_in_place_keeps_mode_attributes_and_links() {
    let directory = program();
    let path = directory.path().join("program");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o751)).unwrap();
    let file = fs::File::open(&path).unwrap();
    let attributes = rustix::fs::fsetxattr(&file, "user.origin", b"somewhere", rustix::fs::XattrFlags::empty());
    symlink("program", directory.path().join("link")).unwrap();

    let output = helper(directory.path(), &["sign", "link", "--identifier", "org.example.tool"]);
    assert_eq!(outcome(&output), (0, "link: signed\n".into()));
    assert!(directory.path().join("link").is_symlink());
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o751);
    if attributes.is_ok() {
        let mut value = [0; 16];
        let size = rustix::fs::getxattr(&path, "user.origin", &mut value).unwrap();
        assert_eq!(&value[..size], b"somewhere");
    } else {
        crate::skipped::skipped("the file system of the temporary directory has no extended attributes");
    }
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 2);
    assert_eq!(helper(directory.path(), &["signature", "program"]).status.code(), Some(0));
}

#[test]
fn what_is_signed_already_is_not_written_again() {
    let directory = program();
    let path = directory.path().join("program");
    let sign = ["sign", "program", "--identifier", "org.example.tool"];
    assert_eq!(outcome(&helper(directory.path(), &sign)), (0, "program: signed\n".into()));
    let before = fs::metadata(&path).unwrap();
    assert_eq!(outcome(&helper(directory.path(), &sign)), (0, "program: already signed so\n".into()));
    let after = fs::metadata(&path).unwrap();
    assert_eq!((before.ino(), before.modified().unwrap()), (after.ino(), after.modified().unwrap()));
}

#[test]
fn check_only_answers_without_writing() {
    let directory = program();
    let path = directory.path().join("program");
    let check = ["sign", "--check-only", "program", "--identifier", "org.example.tool"];
    let before = fs::read(&path).unwrap();
    let (code, text) = outcome(&helper(directory.path(), &check));
    assert_eq!((code, text.as_str()), (1, "program: not signed so\n"));
    assert!(fs::read(&path).unwrap() == before);

    helper(directory.path(), &["sign", "program", "--identifier", "org.example.tool"]);
    assert_eq!(helper(directory.path(), &check).status.code(), Some(0));
    let other = helper(directory.path(), &["sign", "--check-only", "program", "--identifier", "org.example.other"]);
    assert_eq!(other.status.code(), Some(1));
    assert_eq!(helper(directory.path(), &["unsign", "--check-only", "program"]).status.code(), Some(1));
    // A page that changed since is found too.
    let mut damaged = fs::read(&path).unwrap();
    damaged[0x1010] ^= 1;
    fs::write(&path, &damaged).unwrap();
    assert_eq!(helper(directory.path(), &check).status.code(), Some(1));
    assert!(fs::read(&path).unwrap() == damaged);
}

#[test]
fn the_result_can_go_elsewhere() {
    let directory = program();
    let path = directory.path().join("program");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    let before = fs::read(&path).unwrap();
    let output = helper(directory.path(), &["sign", "program", "--identifier", "a.b", "-o", "signed"]);
    assert_eq!(outcome(&output), (0, "signed: signed\n".into()));
    assert!(fs::read(&path).unwrap() == before);
    assert_eq!(fs::metadata(directory.path().join("signed")).unwrap().mode() & 0o777, 0o755);
    let output = helper(directory.path(), &["unsign", "signed", "-o", "bare"]);
    assert_eq!(outcome(&output), (0, "bare: signature removed\n".into()));
    // Signing what is signed already still gives the file that was asked for.
    helper(directory.path(), &["sign", "signed", "--identifier", "a.b", "-o", "again"]);
    assert!(fs::read(directory.path().join("again")).unwrap() == fs::read(directory.path().join("signed")).unwrap());
    let two = helper(directory.path(), &["sign", "program", "signed", "--identifier", "a.b", "-o", "out"]);
    assert_eq!(two.status.code(), Some(2));
}

#[test]
fn a_signature_is_shown_to_people_and_to_scripts() {
    let directory = program();
    helper(directory.path(), &["sign", "program", "--identifier", "org.example.tool"]);
    let output = helper(directory.path(), &["signature", "program"]);
    let text = String::from_utf8(output.stdout).unwrap();
    for line in ["  identifier      org.example.tool", "  form            codesign", "  holds           yes"] {
        assert!(text.lines().any(|other| other == line), "{text}");
    }
    let output = helper(directory.path(), &["signature", "--json", "program"]);
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json[0]["holds"], true);
    assert_eq!(json[0]["slices"][0]["signature"]["identifier"], "org.example.tool");

    let path = directory.path().join("program");
    let mut damaged = fs::read(&path).unwrap();
    damaged[0x800] ^= 0x40;
    fs::write(&path, damaged).unwrap();
    let output = helper(directory.path(), &["signature", "program"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("no: page 0 (0x0 to 0x1100) does not have the sha256 hash that was signed"), "{text}");
}

#[test]
fn exit_codes_tell_no_from_could_not_tell() {
    let directory = program();
    let code = |arguments: &[&str]| helper(directory.path(), arguments).status.code().unwrap();
    fs::write(directory.path().join("text"), "text").unwrap();
    assert_eq!(code(&["signature", "program"]), 1);
    assert_eq!(code(&["signature", "text"]), 1);
    assert_eq!(code(&["signature", "absent"]), 2);
    assert_eq!(code(&["signature", "."]), 2);
    assert_eq!(code(&["sign", "text", "--identifier", "a.b"]), 2);
    assert_eq!(code(&["sign", "program", "--linker-signed=nobody"]), 2);
    let images = [Image::new(INTEL).bytes(), Image::new(ARM).bytes()];
    fs::write(directory.path().join("fat"), fat(&[&images[0], &images[1]], false, 14)).unwrap();
    let (code, text) = outcome(&helper(directory.path(), &["sign", "fat"]));
    assert_eq!(code, 2);
    assert!(text.contains("hint: name one with --identifier"), "{text}");
}

#[test]
fn memory_does_not_grow_with_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("large");
    let size: u64 = 160 << 20;
    let mut image = Image::new(ARM);
    image.segments[1].4 = size - 0x1000;
    fs::write(&path, image.bytes()).unwrap();
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(size).unwrap();
    // The limit covers code, stacks and everything: less than half of the file.
    let limited = "ulimit -v 65536; exec \"$0\" \"$@\"";
    for arguments in [&["sign", "large", "--identifier", "a.b"][..], &["signature", "large"], &["unsign", "large"]] {
        let output = Command::new("sh")
            .args(["-c", limited, env!("CARGO_BIN_EXE_release-helper")])
            .args(arguments)
            .current_dir(&directory)
            .output()
            .unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    assert_eq!(fs::metadata(&path).unwrap().len(), size);
}
