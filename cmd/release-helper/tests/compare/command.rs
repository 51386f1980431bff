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
    // Two files that begin with `head`, then have a hole, and differ in their last byte.
    let write = |names: [&str; 2], head: &[u8]| {
        for (index, name) in names.iter().enumerate() {
            let path = directory.path().join(name);
            std::fs::write(&path, head).unwrap();
            let file = std::fs::File::options().write(true).open(path).unwrap();
            file.set_len(SIZE).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, &[index as u8], SIZE - 1).unwrap();
        }
    };
    write(["a", "b"], &std::fs::read(env!("CARGO_BIN_EXE_release-helper")).unwrap());
    // A Mach-O file for arm64 that is nearly all symbol table: LC_SYMTAB.
    let symbols = ((SIZE - 4096) / 16) as u32;
    let words = [0xfeed_facf, 0x0100_000c, 0, 2, 1, 24, 0, 0, 2, 24, 4096, symbols, 0, 0];
    write(["c", "d"], &words.map(u32::to_le_bytes).concat());
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
    for (arguments, expected) in [
        ("compare a b", "different: 1 byte in 1 place"),
        ("compare --json a b", "\"same\": false"),
        ("compare c d", "symbol table"),
        ("inspect --platform linux-amd64 a", "trailing bytes"),
        ("inspect --platform darwin-arm64 c", "symbols"),
    ] {
        let (status, told) = limited(arguments);
        assert!(status == Some(1) && told.contains(expected), "{arguments}: {told}");
    }
    let (status, told) = limited("compare a a");
    assert!(status == Some(0) && told.starts_with("same: 100663296 bytes, sha256 "), "{told}");
}

/// Threads share the work; a difference that only the last of them sees, and a version around the border of what two of
/// them read, is found as in a small file.
#[test]
fn where_and_why_does_not_depend_on_who_read_it() {
    let border = 4 * (256 << 10);
    for at in (border - 12..border + 12).chain([5, 3 * border - 9]) {
        let mut a = vec![b'x'; 3 * border];
        a[at - 5..at + 8].copy_from_slice(b" /opt/1/a.so ");
        let mut b = a.clone();
        b[at] = b'2';
        let [text_a, text_b] = [&a, &b].map(|bytes| String::from_utf8_lossy(&bytes[at - 4..at + 7]).into_owned());
        let (_directory, a, b) = files(&a, &b);
        let told = String::from_utf8(compare(&[&a, &b]).stdout).unwrap();
        assert!(told.contains(&format!("  {at:#x} ")) && told.contains("different: 1 byte in 1 place"), "{told}");
        assert!(told.ends_with(&format!("likely cause: paths: {text_a} in A, {text_b} in B\n")), "{told}");
    }
}
