//! The command: what a person and a script get from it.

use std::process::{Command, Output};

use serde_json::Value;

fn compare(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_release-helper")).arg("compare").args(arguments).output().unwrap()
}

/// Two files in a directory of their own.
fn files(a: &[u8], b: &[u8]) -> (tempfile::TempDir, String, String) {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = directory.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (a, b) = (write("a", a), write("b", b));
    (directory, a, b)
}

#[test]
fn the_exit_code_is_the_verdict() {
    let (_directory, a, b) = files(b"one\n", b"two\n");
    assert_eq!(compare(&[&a, &a]).status.code(), Some(0));
    assert_eq!(compare(&[&a, &b]).status.code(), Some(1));
    let absent = compare(&[&a, "/nonexistent"]);
    assert_eq!(absent.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&absent.stderr).starts_with("error: cannot read /nonexistent: "));
}

#[test]
fn the_report_says_where_and_why() {
    let (_directory, a, b) = files(b"\0\0built 2026-11-22\n", b"\0\0built 2026-11-23\n");
    let text = String::from_utf8(compare(&[&a, &b]).stdout).unwrap();
    assert!(text.contains("\ndifferent: 1 byte in 1 place\n"), "{text}");
    assert!(text.contains("0x11"), "{text}");
    assert!(text.ends_with("likely cause: dates or times: 2026-11-22 in A, 2026-11-23 in B\n"), "{text}");
    let text = String::from_utf8(compare(&[&a, &a]).stdout).unwrap();
    assert!(text.starts_with("same: 19 bytes, sha256 "), "{text}");
}

#[test]
fn json_has_what_a_report_draws() {
    let (_directory, a, b) = files(b"0123456789", b"0123x56789abc");
    let value: Value = serde_json::from_slice(&compare(&[&a, &b, "--json"]).stdout).unwrap();
    assert_eq!(value["same"], false);
    assert_eq!(value["file_a"], a.as_str());
    assert_eq!(value["places"][0]["first"]["offset_a"], 4);
    assert_eq!(value["places"][0]["differing"], 4);
    assert_eq!(value["a"]["map"]["differing"].as_array().unwrap().len(), 10);
    assert_eq!(value["b"]["size"], 13);
    assert_eq!(value["a"]["sha256"].as_str().unwrap().len(), 64);
}

/// Each file is larger than all the memory that the helper gets for data.
#[test]
fn files_are_not_held_in_memory() {
    const SIZE: u64 = 96 << 20;
    let directory = tempfile::tempdir().unwrap();
    let names = ["a", "b"].map(|name| directory.path().join(name));
    for (index, name) in names.iter().enumerate() {
        // A program that ends with a string; what is between is a hole.
        std::fs::copy(env!("CARGO_BIN_EXE_release-helper"), name).unwrap();
        let file = std::fs::File::options().write(true).open(name).unwrap();
        file.set_len(SIZE).unwrap();
        std::os::unix::fs::FileExt::write_all_at(&file, &[index as u8], SIZE - 1).unwrap();
    }
    let limited = |arguments: &str| {
        let script = format!("ulimit -d 32768 && exec \"$0\" {arguments}");
        let output = Command::new("sh")
            .args(["-c", &script, env!("CARGO_BIN_EXE_release-helper")])
            .current_dir(&directory)
            .output()
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), String::from_utf8(output.stdout).unwrap() + &told)
    };
    let (status, told) = limited("compare a b");
    assert!(status == Some(1) && told.contains("different: 1 byte in 1 place"), "{told}");
    let (status, told) = limited("compare a a");
    assert!(status == Some(0) && told.starts_with("same: 100663296 bytes"), "{told}");
    let (status, told) = limited("inspect --platform linux-amd64 a");
    assert!(status == Some(1) && told.contains("trailing bytes"), "{told}");
}
