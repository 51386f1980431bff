//! The command: what a person and a script get from it.

use std::process::{Command, Output};

use serde_json::Value;

use crate::fixtures::{self, Variant};

fn inspect(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_release-helper")).arg("inspect").args(arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A directory with a proper artifact and one of another version, both under the asset's name.
fn directory() -> Option<(tempfile::TempDir, String, String)> {
    let contract = fixtures::contract();
    let platform = contract.platform("linux-amd64").unwrap();
    if !fixtures::has_target(platform) {
        return None;
    }
    let directory = tempfile::tempdir().unwrap();
    let write = |folder: &str, bytes: &[u8]| {
        let path = directory.path().join(folder).join(&platform.asset);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let other = Variant { version: Some("9.9.9"), ..Variant::default() };
    let paths = (write("proper", &fixtures::artifact(platform)), write("other", &fixtures::linked(platform, &other)));
    Some((directory, paths.0, paths.1))
}

#[test]
fn the_exit_code_is_the_verdict() {
    let Some((directory, proper, other)) = directory() else { return };
    let code = |arguments: &[&str]| inspect(arguments).status.code();
    assert_eq!(code(&[&proper]), Some(0));
    assert_eq!(code(&[&proper, "--version", "1.2.3"]), Some(0));
    assert_eq!(code(&[&proper, "--version", "v1.2.3"]), Some(0));
    assert_eq!(code(&[&other, "--version", "1.2.3"]), Some(1));
    assert_eq!(code(&[&proper, &other, "--version", "1.2.3"]), Some(1));
    assert_eq!(code(&[&proper, "--platform", "linux-arm64"]), Some(1));
    // A file that cannot be judged outweighs one that is judged, which is still shown.
    let mixed = inspect(&[&proper, directory.path().to_str().unwrap(), "--platform", "linux-amd64"]);
    assert_eq!(mixed.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&mixed.stdout).contains("fulfils all"));
}

#[test]
fn the_table_names_clause_measure_and_verdict() {
    let Some((_directory, proper, other)) = directory() else { return };
    let text = String::from_utf8(inspect(&[&proper]).stdout).unwrap();
    assert!(text.starts_with(&format!("{proper}\nclause ")), "{text}");
    assert!(text.lines().any(|line| line.starts_with("interpreter ") && line.ends_with(" ok")), "{text}");
    assert!(text.trim_end().ends_with("clauses of linux-amd64"), "{text}");
    let text = String::from_utf8(inspect(&[&other, "--version=1.2.3"]).stdout).unwrap();
    assert!(text.lines().any(|line| line.starts_with("version ") && line.ends_with("BROKEN")), "{text}");
    assert!(text.contains("breaks 1 of "), "{text}");
}

#[test]
fn json_is_for_scripts() {
    let Some((_directory, proper, other)) = directory() else { return };
    let output = inspect(&[&proper, &other, "--version", "1.2.3", "--json"]);
    let files: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(files[0]["file"], proper.as_str());
    assert_eq!(files[0]["platform"], "linux-amd64");
    assert_eq!([&files[0]["holds"], &files[1]["holds"]], [true, false]);
    let broken: Vec<_> =
        files[1]["clauses"].as_array().unwrap().iter().filter(|clause| clause["holds"] == false).collect();
    assert_eq!(broken.len(), 1);
    assert_eq!(broken[0]["clause"], "version");
    assert_eq!(broken[0]["measured"], "9.9.9 instead");
    assert_eq!(broken[0]["expected"], "1.2.3 exactly once");
}

#[test]
fn what_cannot_be_judged_is_said_with_a_hint() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tsuku-dltest-linux-amd64");
    let file = path.to_str().unwrap();
    std::fs::write(&path, "<!DOCTYPE html><title>Sign in</title>").unwrap();
    let output = inspect(&[file]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let text = stderr(&output);
    assert!(
        text.starts_with(&format!(
            "error: cannot judge {file}: neither an ELF nor a Mach-O file, but an HTML page\nhint: "
        )),
        "{text}"
    );

    let renamed = directory.path().join("program");
    std::fs::rename(&path, &renamed).unwrap();
    let text = stderr(&inspect(&[renamed.to_str().unwrap()]));
    assert!(
        text.contains("\"program\" is not the name of an asset")
            && text.contains("hint: ")
            && text.contains("--platform"),
        "{text}"
    );

    let output = inspect(&[file]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("cannot read "), "{}", stderr(&output));

    let output = inspect(&[renamed.to_str().unwrap(), "--platform", "linux-riscv"]);
    assert!(stderr(&output).contains("hint: the platforms are "), "{}", stderr(&output));
    let output = inspect(&[renamed.to_str().unwrap(), "--version", "1.2;rm"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).contains("hint: a version looks like "), "{}", stderr(&output));
}
