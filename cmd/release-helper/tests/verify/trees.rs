//! Tags whose files are none: links out of the tree, other repositories, names that lead elsewhere.

use std::fs;
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::*;
use crate::tagged::{Tagged, put};

#[test]
fn finding_7_a_symlink_in_the_tag_leads_nowhere() {
    let elsewhere = tempfile::tempdir().unwrap();
    let manifest = "[package]\nname = \"tsuku-dltest\"\nversion = \"0.0.0\"\n";
    fs::write(elsewhere.path().join("Cargo.toml"), manifest).unwrap();
    let tag = Tagged::new(|root| {
        fs::remove_dir_all(root.join("cmd/tsuku-dltest")).unwrap();
        symlink(elsewhere.path(), root.join("cmd/tsuku-dltest")).unwrap();
    });
    assert!(tag.refusal().contains("cmd/tsuku-dltest is a symbolic link"));
    assert_eq!(fs::read_to_string(elsewhere.path().join("Cargo.toml")).unwrap(), manifest);
}

#[test]
fn a_symlink_anywhere_in_the_program_is_refused() {
    for name in [
        "cmd",
        "Cargo.toml",
        "Cargo.lock",
        "release.toml",
        "rust-toolchain.toml",
        "cmd/tsuku-dltest/src/main.rs",
        "cmd/tsuku-dltest/link.toml",
        "cmd/tsuku-dltest/src/secret",
        "cmd/tsuku-dltest/stubs",
    ] {
        let tag = Tagged::new(|root| {
            let path = root.join(name);
            if path.is_dir() {
                fs::remove_dir_all(&path).unwrap();
            } else {
                let _ = fs::remove_file(&path);
            }
            symlink("/etc/hostname", &path).unwrap();
        });
        assert!(tag.refusal().contains(&format!("{name} is a symbolic link")), "{name}");
    }
}

#[test]
fn a_symlink_elsewhere_in_the_tag_is_left_out() {
    let tag = Tagged::new(|root| symlink("/etc/hostname", root.join("docs")).unwrap());
    assert_eq!(tag.rebuild().unwrap().artifacts().len(), 1);
}

#[test]
fn a_submodule_in_the_program_is_refused() {
    let mut tag = Tagged::new(|_| {});
    let root = tag.root();
    let entry = format!("160000,{},cmd/tsuku-dltest/src/sub", tag.commit);
    git(&root, &["update-index", "--add", "--cacheinfo", &entry]);
    let tree = git(&root, &["write-tree"]);
    tag.retag(&tree);
    assert!(tag.refusal().contains("cmd/tsuku-dltest/src/sub is a submodule"));
}

/// Stores a tree object as it is, whatever git thinks of it.
fn crafted(root: &Path, entries: &[(&str, &str, &str)]) -> String {
    let mut content = Vec::new();
    for (mode, name, hash) in entries {
        content.extend(format!("{mode} {name}\0").bytes());
        content.extend((0..hash.len()).step_by(2).map(|at| u8::from_str_radix(&hash[at..at + 2], 16).unwrap()));
    }
    let mut child = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["hash-object", "-t", "tree", "--literally", "-w", "--stdin"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(&content).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap().trim().to_owned()
}

/// A tag whose top holds `entry` beside all that an honest one has.
fn with_entry(entry: impl FnOnce(&Tagged) -> (&'static str, String, String)) -> Tagged {
    let mut tag = Tagged::new(|_| {});
    let (mode, name, hash) = entry(&tag);
    let list = git(&tag.root(), &["ls-tree", "HEAD"]);
    let mut entries: Vec<(&str, &str, &str)> = list
        .lines()
        .map(|line| {
            let (head, name) = line.split_once('\t').unwrap();
            let mut fields = head.split(' ');
            (fields.next().unwrap().trim_start_matches('0'), name, fields.nth(1).unwrap())
        })
        .collect();
    entries.push((mode, &name, &hash));
    let tree = crafted(&tag.root(), &entries);
    tag.retag(&tree);
    tag
}

#[test]
fn a_name_that_leads_out_of_the_tree_is_refused() {
    for name in ["..", ".", ".git", ".GIT", "../../outside", "/outside", "a\\b", "line\nbreak", "\u{1b}[2J"] {
        let tag = with_entry(|tag| {
            let blob = git(&tag.root(), &["rev-parse", "HEAD:Cargo.toml"]);
            ("100644", name.to_owned(), blob)
        });
        let refusal = tag.refusal();
        assert!(refusal.contains("holds a file called") || refusal.contains("git"), "{name:?}: {refusal}");
        assert!(!tag.outside("outside").exists());
    }
}

#[test]
fn a_directory_of_that_name_is_refused_too() {
    let tag = with_entry(|tag| ("40000", "..".to_owned(), git(&tag.root(), &["rev-parse", "HEAD:cmd"])));
    tag.refusal();
    assert!(!tag.root().parent().unwrap().join("tsuku-dltest").exists());
}

#[test]
fn two_files_of_one_name_are_refused() {
    let tag =
        with_entry(|tag| ("100644", "Cargo.toml".to_owned(), git(&tag.root(), &["rev-parse", "HEAD:release.toml"])));
    assert!(tag.refusal().contains("cannot write"));
}

#[test]
fn a_symlink_and_a_directory_of_one_name_are_refused() {
    let tag = with_entry(|tag| {
        put(&tag.root(), "target-of-link", "/tmp");
        let blob = git(&tag.root(), &["hash-object", "-w", "target-of-link"]);
        ("120000", "cmd".to_owned(), blob)
    });
    assert!(tag.refusal().contains("cmd is a symbolic link"));
}

#[test]
fn a_device_in_the_program_is_refused() {
    let tag =
        with_entry(|tag| ("60000", "rust-toolchain".to_owned(), git(&tag.root(), &["rev-parse", "HEAD:Cargo.toml"])));
    tag.refusal();
}

#[test]
fn an_object_that_is_not_what_its_name_says_is_noticed() {
    let tag = Tagged::new(|_| {});
    let root = tag.root();
    let honest = git(&root, &["rev-parse", "HEAD:cmd/tsuku-dltest/src/main.rs"]);
    put(&root, "evil.rs", "fn main() {}\n");
    let evil = git(&root, &["hash-object", "-w", "evil.rs"]);
    let path = |hash: &str| root.join(".git/objects").join(&hash[..2]).join(&hash[2..]);
    fs::remove_file(path(&honest)).unwrap();
    fs::copy(path(&evil), path(&honest)).unwrap();
    let refusal = tag.refusal();
    assert!(refusal.contains("has the hash") || refusal.contains("git"), "{refusal}");
}

/// The tag of a repository whose program has, as one more directory, the tree called `tree`.
fn with_directory(tag: &mut Tagged, tree: &str) {
    let root = tag.root();
    git(&root, &["read-tree", "--prefix=cmd/tsuku-dltest/more/", tree]);
    let top = git(&root, &["write-tree"]);
    tag.retag(&top);
}

#[test]
fn a_tree_that_holds_itself_ten_times_over_ends() {
    let tag = with_entry(|tag| {
        let root = tag.root();
        let mut tree = crafted(&root, &[("100644", "file", &git(&root, &["rev-parse", "HEAD:Cargo.toml"]))]);
        for _ in 0..10 {
            let names: Vec<String> = (0..10).map(|number| format!("d{number}")).collect();
            tree = crafted(&root, &names.iter().map(|name| ("40000", &name[..], &tree[..])).collect::<Vec<_>>());
        }
        let program = git(&root, &["ls-tree", "HEAD:cmd"]);
        let hash = program.split([' ', '\t']).nth(2).unwrap().to_owned();
        ("40000", "rust-toolchain".to_owned(), crafted(&root, &[("40000", "a", &hash), ("40000", "b", &tree)]))
    });
    assert!(tag.refusal().contains("it has more than 20000 files"), "{}", tag.refusal());
}

#[test]
fn directories_without_end_are_refused() {
    let tag = with_entry(|tag| {
        let root = tag.root();
        let mut tree = crafted(&root, &[("100644", "file", &git(&root, &["rev-parse", "HEAD:Cargo.toml"]))]);
        for _ in 0..100 {
            tree = crafted(&root, &[("40000", "d", &tree)]);
        }
        ("40000", "rust-toolchain".to_owned(), tree)
    });
    assert!(tag.refusal().contains("more than 64 levels deep"), "{}", tag.refusal());
}

#[test]
fn a_tree_of_gigabytes_in_a_few_kilobytes_is_refused() {
    let mut tag = Tagged::new(|_| {});
    let root = tag.root();
    // 1 MB of zeros, a kilobyte in the repository, 300 times.
    fs::write(root.join("zeros"), vec![0; 1 << 20]).unwrap();
    let blob = git(&root, &["hash-object", "-w", "zeros"]);
    let names: Vec<String> = (0..300).map(|number| format!("f{number:03}")).collect();
    let tree = crafted(&root, &names.iter().map(|name| ("100644", &name[..], &blob[..])).collect::<Vec<_>>());
    with_directory(&mut tag, &tree);
    assert!(tag.refusal().contains("larger than those of any honest source"), "{}", tag.refusal());
    // One that is larger than all may be together.
    fs::write(root.join("zeros"), vec![0; 257 << 20]).unwrap();
    let blob = git(&root, &["hash-object", "-w", "zeros"]);
    let tree = crafted(&root, &[("100644", "f", &blob)]);
    git(&root, &["read-tree", "HEAD"]);
    with_directory(&mut tag, &tree);
    assert!(tag.refusal().contains("larger than those of any honest source"), "{}", tag.refusal());
}

#[test]
fn what_the_compiler_prints_of_the_tag_never_looks_like_a_verdict() {
    let forged = "linux-amd64  reproduced  23688 bytes";
    let tag =
        Tagged::new(|root| put(root, "cmd/tsuku-dltest/src/main.rs", &format!("compile_error!(\"\n{forged}\");\n")));
    let told = tag.refusal();
    assert!(told.contains(forged) && told.lines().all(|line| !line.starts_with("linux-")), "{told}");
}
