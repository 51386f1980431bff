//! Hostile folders and files: what somebody put where assets are read and reports are written.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use release_helper::jobs::verify::Published;

use crate::common::*;

/// A folder with an honest release.
fn folder() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, bytes) in &release().files {
        fs::write(directory.path().join(name), bytes).unwrap();
    }
    directory
}

fn read(directory: &Path) -> Published {
    Published { commit: Some(world().commit.clone()), ..Published::read(directory).unwrap() }
}

#[test]
fn a_folder_with_an_honest_release_is_reproduced_through_links_too() {
    let (directory, links) = (folder(), tempfile::tempdir().unwrap());
    assert_eq!(judge(&read(directory.path())).holds(), Some(true));
    for entry in fs::read_dir(directory.path()).unwrap().map(Result::unwrap) {
        symlink(entry.path(), links.path().join(entry.file_name())).unwrap();
    }
    assert_eq!(judge(&read(links.path())).holds(), Some(true));
}

#[test]
fn a_pipe_a_device_a_folder_or_nothing_in_an_assets_place_is_a_fault_and_keeps_nobody_waiting() {
    type Make = fn(&Path);
    let place: [(&str, Make); 4] = [
        ("a pipe", |path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success())),
        ("an endless device", |path| symlink("/dev/zero", path).unwrap()),
        ("a folder", |path| fs::create_dir(path).unwrap()),
        ("nothing", |path| symlink("/nonexistent", path).unwrap()),
    ];
    for (what, make) in place {
        for name in [LINUX, "SHA256SUMS", "something-else"] {
            let directory = folder();
            let path = directory.path().join(name);
            let _ = fs::remove_file(&path);
            make(&path);
            let report = judge(&read(directory.path()));
            assert_eq!(report.holds(), Some(false), "{what}: {name}");
            let told = format!("{:?} {:?}", report.faults, report.platforms.iter().map(|row| &row.reasons));
            assert!(told.contains("it is no asset of a release"), "{what}: {told}");
        }
    }
}

#[test]
fn a_file_too_large_for_an_asset_is_not_read() {
    let directory = folder();
    // Sparse: it takes no space.
    fs::File::create(directory.path().join(LINUX)).unwrap().set_len(1 << 40).unwrap();
    assert!(refusal(&read(directory.path()), "linux-amd64").contains("no regular file of at most"));
}

#[test]
fn a_folder_of_thousands_of_files_is_not_read_to_its_end() {
    let directory = folder();
    for number in 0..3000 {
        fs::write(directory.path().join(format!("file-{number}")), "x").unwrap();
    }
    let published = read(directory.path());
    assert!(published.files.len() <= 100);
    assert!(refusal_of_all(&published).contains("it has more than 100 assets"));
}

#[test]
fn a_file_name_that_acts_on_a_terminal_is_shown_so_that_it_does_not() {
    type Make = fn(&Path);
    let made: [(&str, Make); 2] = [
        ("does not belong", |path| fs::write(path, "x").unwrap()),
        ("is no asset of a release", |path| fs::create_dir(path).unwrap()),
    ];
    for (expected, make) in made {
        let directory = folder();
        make(&directory.path().join("x\nlinux-amd64  reproduced\u{1b}[2J"));
        let told = refusal_of_all(&read(directory.path()));
        assert!(told.contains(expected) && !told.contains(['\n', '\u{1b}']), "{told:?}");
    }
}

#[test]
fn names_that_lead_out_or_differ_by_case_alone_belong_to_no_release() {
    for name in [" SHA256SUMS", "sha256sums", "Tsuku-dltest-linux-amd64", "..tsuku-dltest-linux-amd64", "-rf", "a\\b"] {
        let directory = folder();
        fs::write(directory.path().join(name), "x").unwrap();
        let told = refusal_of_all(&read(directory.path()));
        assert!(told.contains("does not belong"), "{name}: {told}");
    }
    // In the sums such names name no file.
    for name in ["../SHA256SUMS", "/etc/passwd", "./tsuku-dltest-linux-amd64"] {
        let directory = folder();
        let sums = fs::read_to_string(directory.path().join("SHA256SUMS")).unwrap();
        fs::write(directory.path().join("SHA256SUMS"), format!("{sums}{}  {name}\n", "0".repeat(64))).unwrap();
        let told = refusal_of_all(&read(directory.path()));
        assert!(told.contains("SHA256SUMS"), "{name}: {told}");
    }
}

#[test]
fn finding_11_a_report_replaces_a_regular_file_and_nothing_else() {
    let (assets, place) = (folder(), tempfile::tempdir().unwrap());
    let [kept, link, pipe] = ["kept.html", "link.html", "pipe.md"].map(|name| place.path().join(name));
    fs::write(&kept, "kept").unwrap();
    symlink(&kept, &link).unwrap();
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let verify = |arguments: &[&str]| {
        Command::new(env!("CARGO_BIN_EXE_release-helper"))
            .args(["verify", TAG, "--platform", "linux-amd64", "--assets"])
            .arg(assets.path())
            .args(arguments)
            .env_remove("GITHUB_TOKEN")
            .current_dir(world().repository.path())
            .output()
            .unwrap()
    };
    for (option, path) in [("--report", &link), ("--report", &pipe), ("--attest", &link)] {
        let output = verify(&[option, path.to_str().unwrap()]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert!(told.contains("is left as it is") && told.contains("hint: "), "{told}");
    }
    assert_eq!(fs::read_to_string(&kept).unwrap(), "kept");
    assert!(link.is_symlink() && pipe.exists() && !pipe.is_file());
    assert_eq!(verify(&["--report", kept.to_str().unwrap()]).status.code(), Some(0));
    assert!(fs::read_to_string(&kept).unwrap().starts_with("<!doctype html>"));
}
