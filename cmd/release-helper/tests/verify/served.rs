//! Releases on a server, verified by the program itself.

use std::fs;
use std::process::Command;

use crate::common::*;

#[test]
fn a_release_on_a_server_is_verified_without_an_account() {
    let (running, _directory) = serve();
    let (text, status) = run(&running, &[]);
    assert_eq!((text.matches(" reproduced  ").count(), status), (6, 0), "{text}");
}

#[test]
fn an_api_that_lies_about_a_digest_is_not_believed() {
    let (running, directory) = serve();
    let bytes = &release().files[LINUX];
    let mut changed = 0;
    let mut folders = vec![directory.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if fs::read(&path).unwrap() == *bytes {
                let mut other = bytes.clone();
                other[4000] ^= 1;
                fs::write(&path, other).unwrap();
                changed += 1;
            }
        }
    }
    assert!(changed > 0, "the server keeps the bytes in another way");
    let (text, status) = run(&running, &["--platform", "linux-amd64"]);
    assert_eq!(status, 1, "{text}");
    assert!(text.contains("the API says its sha256 is") && !text.contains("linux-amd64       reproduced"), "{text}");
}

#[test]
fn a_release_that_is_not_there_could_not_be_told() {
    let (running, _directory) = serve();
    let output = Command::new(env!("CARGO_BIN_EXE_release-helper"))
        .args(["verify", "v9.9.9", "--api-url", running.url(), "--repo", running.repository()])
        .current_dir(world().repository.path())
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("v9.9.9") && told.contains("hint: "), "{told}");
}
