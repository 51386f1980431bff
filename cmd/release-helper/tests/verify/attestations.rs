//! The column `attested`: real attestations, and one for each way in which an attestation can be wrong.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use release_helper::domain::contract::Contract;
use release_helper::domain::provenance::{Attested, Checker, Claim, WORKFLOWS};
use release_helper::jobs::verify::{Answer, Demands, Published, Rebuilt};
use release_helper::plumbing::digest;
use serde_json::json;

use crate::common::*;

/// The npm package that makes attestations.
const MOCK: &str = "@sigstore/mock@0.12.1";

fn bundles() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verify/bundles")
}

fn claim() -> Claim {
    Claim { repository: ATTESTED.into(), signer: None, tag: TAG.into(), commit: world().commit.clone() }
}

fn why(attested: Attested) -> String {
    match attested {
        Attested::Wrong(why) => why,
        other => panic!("{other:?}"),
    }
}

/// Runs `command` in `directory`; what it wrote to stdout.
fn run(command: &mut Command, directory: &Path) -> Result<Vec<u8>, String> {
    let output = command.current_dir(directory).output().map_err(|error| format!("{command:?}: {error}"))?;
    let told = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() { Ok(output.stdout) } else { Err(format!("{command:?}: {told}")) }
}

/// Reports a test that could not run. Not through `eprintln!`, which a passing test would swallow.
fn skipped(test: &str, reason: &str) {
    let _ = writeln!(std::io::stderr(), "skipped: {test}: {reason}");
}

/// A directory with the attestations of `bytes`, and of `others` with them, that `make.mjs` makes, and their trusted root.
fn made(bytes: &[u8], others: &[&[u8]]) -> Result<tempfile::TempDir, String> {
    static INSTALLED: std::sync::OnceLock<Result<PathBuf, String>> = std::sync::OnceLock::new();
    let place = INSTALLED.get_or_init(|| {
        let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join(MOCK.replace(['/', '@'], "-"));
        if !place.join("node_modules/.package-lock.json").exists() {
            fs::create_dir_all(&place).unwrap();
            let npm = ["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", ".", MOCK];
            run(Command::new("npm").args(npm), &place)?;
        }
        Ok(place)
    });
    let directory = tempfile::tempdir().unwrap();
    let asked = json!({
        "sha256": digest::sha256(bytes), "others": others.iter().map(|other| digest::sha256(other)).collect::<Vec<_>>(),
        "repository": ATTESTED, "tag": TAG, "commit": world().commit,
    });
    let mut node = Command::new("node")
        .arg(bundles().join("make.mjs"))
        .arg(directory.path())
        .current_dir(place.as_ref()?)
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("node: {error}"))?;
    node.stdin.take().unwrap().write_all(asked.to_string().as_bytes()).unwrap();
    let output = node.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(directory)
}

fn root(directory: &Path) -> String {
    fs::read_to_string(directory.join("trusted_root.json")).unwrap()
}

#[test]
fn a_real_attestation_of_github_is_authentic_and_says_another_thing() {
    let bundle = fs::read(bundles().join("conda-attestation.sigstore.json")).unwrap();
    let artifact = fs::read(bundles().join("signed-package-2.1.0-hb0f4dca_0.conda")).unwrap();
    let checker = Checker::public_good().unwrap();
    let told = why(checker.attested(&artifact, Some(&bundle), Some(&claim())));
    // All of it verifies, and only then is it asked what it says.
    assert!(told.starts_with("it says https://schemas.conda.org/attestations-publish-1.schema.json"), "{told}");
    let told = why(checker.attested(&[&artifact[..], b"x"].concat(), Some(&bundle), Some(&claim())));
    assert!(told.contains("does not match any subject"), "{told}");
}

#[test]
fn a_real_attestation_with_any_character_changed_is_authentic_no_more() {
    let bundle = fs::read(bundles().join("conda-attestation.sigstore.json")).unwrap();
    // Without the one member that is empty, and may have any name.
    let bundle = String::from_utf8(bundle).unwrap().replace(",\"timestampVerificationData\":{}", "").into_bytes();
    let artifact = fs::read(bundles().join("signed-package-2.1.0-hb0f4dca_0.conda")).unwrap();
    let checker = Checker::public_good().unwrap();
    let value = |bytes: &[u8]| serde_json::from_slice::<serde_json::Value>(bytes).ok();
    let mut tried = 0;
    for at in (0..bundle.len()).step_by(29) {
        let mut other = bundle.clone();
        other[at] = if other[at] == b'A' { b'B' } else { b'A' };
        let told = why(checker.attested(&artifact, Some(&other), Some(&claim())));
        assert!(!told.starts_with("it says "), "{at}: {told}");
        tried += usize::from(value(&other) != value(&bundle));
    }
    assert!(tried > 200, "{tried}");
}

#[test]
fn real_provenance_of_github_made_from_a_branch_is_refused_for_that_alone() {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let package = match run(Command::new("npm").args(["pack", "--silent", "sigstore@2.0.0"]), place) {
        Ok(_) => fs::read(place.join("sigstore-2.0.0.tgz")).unwrap(),
        Err(reason) => {
            return skipped("real_provenance_of_github_made_from_a_branch_is_refused_for_that_alone", &reason);
        }
    };
    let bundle = fs::read(bundles().join("sigstore.js@2.0.0-provenance.sigstore.json")).unwrap();
    let commit = "f0b49a04e5a62250e0f60fb128004a73110fe311";
    let claim =
        Claim { repository: "sigstore/sigstore-js".into(), signer: None, tag: "v2.0.0".into(), commit: commit.into() };
    let told = why(Checker::public_good().unwrap().attested(&package, Some(&bundle), Some(&claim)));
    let repository = "https://github.com/sigstore/sigstore-js/.github/workflows/release.yml";
    assert_eq!(told, format!("its signer is {repository}@refs/heads/main, not {repository}@refs/tags/v2.0.0"));
}

#[test]
fn only_an_attestation_that_is_right_in_every_way_is_believed() {
    let directory = match made(b"an artifact", &[]) {
        Ok(directory) => directory,
        Err(reason) => return skipped("only_an_attestation_that_is_right_in_every_way_is_believed", &reason),
    };
    let checker = Checker::with_root(&root(directory.path())).unwrap();
    let (mut right, mut wrong) = (0, 0);
    for path in fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path()) {
        let case = path.file_stem().unwrap().to_str().unwrap();
        if case == "trusted_root" {
            continue;
        }
        let bundle = fs::read(&path).unwrap();
        let attested = checker.attested(b"an artifact", Some(&bundle), Some(&claim()));
        if case.starts_with("right") {
            assert_eq!(attested, Attested::Yes, "{case}");
            right += 1;
            // Right for these bytes, this tag and commit, by this authority, and for nothing else.
            let other = |change: fn(&mut Claim)| {
                let mut claim = claim();
                change(&mut claim);
                checker.attested(b"an artifact", Some(&bundle), Some(&claim))
            };
            why(checker.attested(b"other bytes", Some(&bundle), Some(&claim())));
            why(other(|claim| claim.repository = "octo/other".into()));
            why(other(|claim| claim.tag = "v1.2.4".into()));
            why(other(|claim| claim.commit = "2".repeat(40)));
            why(Checker::public_good().unwrap().attested(b"an artifact", Some(&bundle), Some(&claim())));
        } else {
            let told = why(attested);
            assert!(!told.is_empty() && !told.contains(['\n', '\u{1b}', '\u{202e}']), "{case}: {told:?}");
            let reason = match case {
                "certificate-expired" => "CertExpired",
                "certificate-without-log" | "certificate-in-another-log" => "timestamp",
                "claim-other-issuer" | "claim-no-issuer" => "issuer mismatch",
                "claim-other-commit" | "claim-no-commit" => "its commit is",
                "claim-own-runner" => "its runner is self-hosted",
                "claim-other-source" | "claim-no-source" => "its repository is",
                "log-unknown" => "No log key valid",
                _ => "",
            };
            assert!(told.contains(reason), "{case}: {told}");
            wrong += 1;
        }
    }
    assert_eq!((right, wrong >= 50), (4, true), "{wrong}");
}

/// A verifier who believes the mock's keys, and a release with a right attestation of all its artifacts.
fn attested_release() -> Result<(Demands, Published), String> {
    let (mut published, contract) = (release(), Contract::embedded().unwrap());
    let assets: Vec<String> = contract.platforms().map(|platform| platform.asset.clone()).collect();
    let others: Vec<&[u8]> = assets.iter().map(|asset| &published.files[asset][..]).collect();
    let directory = made(&published.files[LINUX], &others)?;
    let bundle = fs::read(directory.path().join("right-release.json")).unwrap();
    for asset in assets {
        published.files.insert(format!("{asset}{}", contract.attestation_suffix), bundle.clone());
    }
    sum(&mut published);
    let trusted_root = Some(root(directory.path()));
    Ok((Demands { repository: Some(ATTESTED.into()), signer: None, trusted_root, required: false }, published))
}

fn rebuilt(attestations: Demands) -> Rebuilt {
    let options = options(world().repository.path(), &["linux-amd64"]);
    Rebuilt::new(&release_helper::jobs::verify::Options { attestations, ..options }, &empty()).unwrap()
}

#[test]
fn a_wrong_attestation_is_a_fault_although_the_bytes_rebuild() {
    let (demands, right) = match attested_release() {
        Ok(made) => made,
        Err(reason) => return skipped("a_wrong_attestation_is_a_fault_although_the_bytes_rebuild", &reason),
    };
    let report = rebuilt(demands.clone()).judge(&right).unwrap();
    assert_eq!((report.holds(), &report.platforms[0].attested), (Some(true), &Attested::Yes), "{report:?}");
    let required = Demands { required: true, ..demands.clone() };
    assert_eq!(rebuilt(required).judge(&right).unwrap().holds(), Some(true));
    // The same release for somebody who believes the public instance, for whom the mock is nobody.
    let report = rebuilt(Demands { trusted_root: None, ..demands.clone() }).judge(&right).unwrap();
    assert_eq!((report.holds(), report.platforms[0].verdict), (Some(false), Answer::Differs));
    assert!(report.platforms[0].reasons[0].starts_with(&format!("{LINUX}.sigstore.json: ")), "{report:?}");
    // For somebody who names no repository, nothing is said.
    let unnamed = Demands { repository: None, ..demands };
    let report = rebuilt(unnamed.clone()).judge(&right).unwrap();
    assert!(matches!(report.platforms[0].attested, Attested::NotChecked(_)) && report.holds() == Some(true));
    assert_eq!(rebuilt(Demands { required: true, ..unnamed }).judge(&right).unwrap().holds(), Some(false));
}

#[test]
fn an_attestation_that_is_not_read_as_one_is_a_fault_of_any_platform() {
    for (asset, rest) in [(LINUX, ""), (DARWIN, "")] {
        let mut published = release();
        published.files.insert(format!("{asset}.sigstore.json"), format!("{{}}{rest}").into_bytes());
        sum(&mut published);
        assert!(refusal(&published, asset.trim_start_matches("tsuku-dltest-")).contains("it is no bundle of Sigstore"));
        // Told as well to somebody who asked for another platform.
        let report = rebuilt(Demands { repository: Some(ATTESTED.into()), ..Demands::default() }).judge(&published);
        assert_eq!(report.unwrap().holds(), Some(false), "{asset}");
    }
}

#[test]
fn a_release_without_attestations_is_reproduced_unless_they_are_required() {
    let report = judge(&release());
    assert_eq!(report.holds(), Some(true));
    assert!(report.platforms.iter().all(|row| matches!(row.attested, Attested::No(_))));
    let required = Demands { repository: Some(ATTESTED.into()), required: true, ..Demands::default() };
    let report = rebuilt(required).judge(&release()).unwrap();
    assert_eq!(report.holds(), Some(false));
    assert!(report.platforms[0].reasons[0].contains("its attestation is required"), "{report:?}");
}

#[test]
fn a_file_that_is_no_trusted_root_is_refused() {
    for wrong in ["", "{}", "[]", "<!doctype html>"] {
        assert!(Checker::with_root(wrong).is_err(), "{wrong:?}");
    }
}

#[test]
fn the_workflows_that_attest_are_those_that_are_believed() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.github/workflows");
    let mut attesting = Vec::new();
    for path in fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()) {
        if fs::read_to_string(&path).unwrap().contains("uses: actions/attest@") {
            attesting.push(path.file_name().unwrap().to_str().unwrap().to_owned());
        }
    }
    assert!(!attesting.is_empty() && attesting.iter().all(|name| WORKFLOWS.contains(&name.as_str())), "{attesting:?}");
}

#[test]
fn a_workflow_of_another_repository_is_believed_only_if_it_is_named() {
    let directory = match made(b"an artifact", &[]) {
        Ok(directory) => directory,
        Err(reason) => return skipped("a_workflow_of_another_repository_is_believed_only_if_it_is_named", &reason),
    };
    let checker = Checker::with_root(&root(directory.path())).unwrap();
    let attested = |case: &str, signer: Option<&str>| {
        let bundle = fs::read(directory.path().join(format!("{case}.json"))).unwrap();
        let claim = Claim { signer: signer.map(str::to_owned), ..claim() };
        checker.attested(b"an artifact", Some(&bundle), Some(&claim))
    };
    for case in ["elsewhere-at-a-tag", "elsewhere-at-a-commit"] {
        assert_eq!(attested(case, Some("octo/workflows")), Attested::Yes, "{case}");
        assert_eq!(attested(case, Some("OCTO/Workflows")), Attested::Yes, "{case}");
        for other in [None, Some(ATTESTED), Some("octo/workflow"), Some("octo/workflows-2")] {
            assert!(why(attested(case, other)).starts_with("its signer is "), "{case}: {other:?}");
        }
    }
    // Named, it is believed about the workflow and about nothing else.
    for (case, reason) in [
        ("elsewhere-other-workflow", "its signer is"),
        ("elsewhere-other-source", "its repository is"),
        ("elsewhere-other-commit", "its commit is"),
        ("elsewhere-other-tag", "its reference is"),
        ("elsewhere-own-runner", "its runner is"),
    ] {
        let told = why(attested(case, Some("octo/workflows")));
        assert!(told.starts_with(reason), "{case}: {told}");
    }
    // Who names one no longer believes the release's own.
    assert!(why(attested("right-release", Some("octo/workflows"))).contains("not https://github.com/octo/workflows/"));
    assert_eq!(attested("right-release", Some(ATTESTED)), Attested::Yes);
    assert!(why(attested("claim-signer-at-another-tag", Some(ATTESTED))).starts_with("its signer is "));
}

#[test]
fn a_signers_repository_is_an_owner_and_a_name() {
    for wrong in ["octo", "octo/a/b", "https://github.com/octo/a", "octo/a?b", ""] {
        let arguments = ["verify", TAG, "--repo", ATTESTED, "--signer-repo", wrong];
        let output = Command::new(env!("CARGO_BIN_EXE_release-helper")).args(arguments).output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.code() == Some(2) && told.contains("a repository is owner/name"), "{wrong:?}: {told}");
    }
}
