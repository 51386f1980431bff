//! The main job, as a newcomer runs it: in a fresh checkout, and with everything that can be wrong with one.

mod checkout;
mod interrupts;
mod kept;
mod refusals;
#[path = "../support/skipped.rs"]
mod skipped;

use std::collections::BTreeMap;

use checkout::Checkout;

/// What `rehearse --json` says of each platform: digest, and whether it was kept and reproduced.
fn rows(json: &[u8]) -> BTreeMap<String, (String, bool, bool)> {
    let report: serde_json::Value = serde_json::from_slice(json).expect("rehearse --json prints JSON");
    let row = |row: &serde_json::Value| {
        let text = |key: &str| row[key].as_str().unwrap().to_owned();
        let holds = |key: &str| row[key].as_bool().unwrap();
        (text("platform"), (text("sha256"), holds("contract"), holds("reproduced")))
    };
    report["platforms"].as_array().unwrap().iter().map(row).collect()
}

#[test]
fn a_rehearsal_publishes_six_artifacts_that_are_rebuilt_bit_for_bit() {
    let checkout = Checkout::new("first");
    let output = checkout.helper(&["rehearse", "v1.2.3", "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let first = rows(&output.stdout);
    assert_eq!(
        first.keys().collect::<Vec<_>>(),
        ["darwin-amd64", "darwin-arm64", "linux-amd64", "linux-amd64-musl", "linux-arm64", "linux-arm64-musl"]
    );
    assert!(first.values().all(|&(_, kept, reproduced)| kept && reproduced));
    assert_eq!(checkout.git(&["status", "--porcelain"]), "", "the checkout was dirtied");
    checkout.assert_no_traces();

    // The published bytes are in dist/rehearsal, in a folder that sha256sum agrees with.
    let published = checkout.path().join("dist/rehearsal/published");
    for (platform, (sha256, ..)) in &first {
        let bytes = std::fs::read(published.join(format!("tsuku-dltest-{platform}"))).unwrap();
        assert_eq!(release_helper::plumbing::digest::sha256(&bytes), *sha256);
        let holds = |needle: &str| bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
        assert!(!holds(&checkout.path().to_string_lossy()), "{platform} holds the path of its checkout");
    }

    // A stranger's checkout, elsewhere, gives the same six digests.
    let other = Checkout::new("a directory with another, longer name");
    let output = other.helper(&["rehearse", "v1.2.3", "--json"]).output().unwrap();
    assert_eq!(rows(&output.stdout), first);
}

#[test]
fn a_rehearsal_whose_artifacts_are_not_rebuilt_bit_for_bit_says_no() {
    let checkout = Checkout::new("not reproducible");
    // What surrounds the second build is not what surrounded the first.
    let path = checkout.path().join("cmd/tsuku-dltest/src/main.rs");
    let text = std::fs::read_to_string(&path).unwrap();
    let (line, seen) = ("const USAGE: &str = \"usage: ", "option_env!(\"SOURCE_DATE_EPOCH\").is_some()");
    assert!(text.contains(line));
    let other =
        format!("const USAGE: &str = if {seen} {{ \"Usage\" }} else {{ PLAIN }};\nconst PLAIN: &str = \"usage: ");
    std::fs::write(&path, text.replacen(line, &other, 1)).unwrap();
    checkout.git(&["commit", "--quiet", "--all", "--message", "look at the environment"]);
    let output = checkout.helper(&["rehearse", "v1.2.3", "--platform", "linux-amd64"]).output().unwrap();
    let told = [output.stdout, output.stderr].map(|text| String::from_utf8(text).unwrap());
    assert_eq!(output.status.code(), Some(1), "{told:?}");
    let row = told[0].lines().find(|line| line.starts_with("linux-amd64")).unwrap();
    assert!(row.ends_with("NO"), "{told:?}");
    assert!(told[1].contains("0 of 1 rebuilt bit for bit"), "{told:?}");
    let output = checkout.helper(&["rehearse", "v1.2.3", "--platform", "linux-amd64", "--json"]).output().unwrap();
    assert_eq!((output.status.code(), rows(&output.stdout)["linux-amd64"].2), (Some(1), false));
}

#[test]
fn the_version_is_the_only_thing_a_tag_changes() {
    let checkout = Checkout::new("versions");
    let digest = |tag: &str| {
        let output = checkout.helper(&["rehearse", tag, "--json", "--platform", "linux-amd64"]).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        rows(&output.stdout)["linux-amd64"].0.clone()
    };
    let one = digest("v1.2.3");
    assert_ne!(one, digest("v1.2.4"));
    checkout.git(&["commit", "--quiet", "--allow-empty", "--message", "nothing that reaches an artifact"]);
    assert_eq!(one, digest("v1.2.3"));
}

#[test]
fn the_recipe_typed_by_hand_gives_the_linux_artifacts() {
    let checkout = Checkout::new("by hand");
    let built = checkout.path().join("dist");
    let output = checkout.helper(&["build", "linux-amd64", "linux-arm64-musl"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for (platform, target) in
        [("linux-amd64", "x86_64-unknown-linux-gnu"), ("linux-arm64-musl", "aarch64-unknown-linux-musl")]
    {
        let line = format!(
            "build --release --locked -p tsuku-dltest --target {target} --config cmd/tsuku-dltest/link.toml --target-dir target"
        );
        let status = checkout.command("cargo").args(line.split(' ')).status().unwrap();
        assert!(status.success());
        let by_hand = checkout.path().join("target").join(target).join("release/tsuku-dltest");
        let same =
            std::fs::read(by_hand).unwrap() == std::fs::read(built.join(format!("tsuku-dltest-{platform}"))).unwrap();
        assert!(same, "{platform} differs");
    }
}
