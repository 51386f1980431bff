//! `rehearse --keep`: the commands of the README, against the server that is left running.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::checkout::Checkout;

#[test]
fn the_readmes_commands_work_against_the_kept_server() {
    let checkout = Checkout::new("kept");
    let readme = std::fs::read_to_string(checkout.path().join("README.md")).unwrap();
    let block = readme.split("```sh\n").find(|block| block.contains("$API")).unwrap().split("```").next().unwrap();
    let mut server = checkout.helper(&["rehearse", "v1.2.3", "--keep"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(server.stderr.take().unwrap()).lines().map(Result::unwrap);
    let api = said.find_map(|line| line.strip_prefix("API=").map(str::to_owned)).expect("the address is printed");

    let token = said.find_map(|line| line.strip_prefix("TOKEN=").map(str::to_owned)).expect("the token is printed");
    assert!(token.len() == 40 && token != "rehearsal", "nobody can guess it: {token}");

    // Another rehearsal of the same tag goes elsewhere, and takes nothing away from this one.
    let second = ["rehearse", "v1.2.3", "--platform", "linux-amd64"];
    let second = checkout.helper(&second).stderr(Stdio::piped()).output().unwrap();
    let told = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(second.status.success() && told.contains("this one is in") && told.contains("rehearsal-2"), "{told}");

    let script = block.replace("cargo release-helper", concat!("'", env!("CARGO_BIN_EXE_release-helper"), "'"));
    let output = checkout
        .command("bash")
        .args(["-euxc", &script])
        .env("API", &api)
        .env("GITHUB_TOKEN", "ghs_for-github-alone")
        .output()
        .unwrap();
    let stop = Command::new("kill").args(["-INT", &server.id().to_string()]).status().unwrap();
    assert!(stop.success());
    assert_eq!(server.wait().unwrap().code(), Some(130));

    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{told}{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("\"tag_name\":") && told.contains("v1.2.3"), "{told}");
    assert_eq!(told.matches(" reproduced ").count(), 6, "{told}");
    let sums = std::fs::read_to_string(checkout.path().join("SHA256SUMS")).unwrap();
    let published = checkout.path().join("dist/rehearsal/published");
    for (line, name) in sums.lines().filter_map(|line| Some((line, line.split("  ").nth(1)?))) {
        if let Ok(bytes) = std::fs::read(published.join(name)) {
            assert_eq!(line, format!("{}  {name}", release_helper::plumbing::digest::sha256(&bytes)));
        }
    }
    assert_eq!(sums.lines().count(), 12, "six artifacts and their build records:\n{sums}");
    checkout.assert_no_traces();
}
