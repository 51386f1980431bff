//! tsuku's own release chain, in our words: assets as goreleaser and the other builders make them are in the draft, and
//! the jobs of docs/adopting.md, taken from that page, add ours. Then it is published as tsuku publishes.

use serde_json::{Value, json};

use crate::document::{parse, root};
use crate::release_runs::{TAG, published, runs};
use crate::runner::{Event, Outcome, REPOSITORY, Run, TOKEN};
use crate::stand_ins::{Scene, Stage};

/// What the draft holds before the program's own assets come.
const OTHERS: [&str; 11] = [
    "tsuku-linux-amd64",
    "tsuku-linux-arm64",
    "tsuku-darwin-amd64",
    "tsuku-darwin-arm64",
    "checksums.txt",
    "tsuku-llm-darwin-arm64",
    "tsuku-llm-darwin-amd64",
    "tsuku-llm-linux-amd64-cuda",
    "tsuku-llm-linux-amd64-vulkan",
    "tsuku-llm-linux-arm64-cuda",
    "tsuku-llm-linux-arm64-vulkan",
];

/// The blocks of YAML in docs/adopting.md.
fn blocks() -> [String; 3] {
    let page = std::fs::read_to_string(root().join("docs/adopting.md")).unwrap();
    let blocks: Vec<String> =
        page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap().into()).collect();
    blocks.try_into().expect("three blocks: the call, the draft's number, the sums")
}

/// tsuku's release.yml with the blocks in their places, pinned to the commit on the stage.
fn chain(stage: &Stage) -> String {
    let [call, number, sums] = blocks();
    let text = format!(
        "name: Release\non:\n  push:\n    tags: [\"v*\"]\npermissions:\n  contents: write\njobs:\n\
         \x20 release:\n    name: release\n    runs-on: ubuntu-24.04\n    timeout-minutes: 10\n\
         \x20   permissions:\n      contents: write\n{number}\n{call}\n\
         \x20 integration-test:\n    name: integration-test\n    needs: [release, build-rust]\n    runs-on: ubuntu-24.04\n\
         \x20   timeout-minutes: 10\n    permissions:\n      contents: write\n    steps:\n\
         \x20     - name: The program tells the tag's version\n        run: test \"$(cat version)\" = \"tsuku-dltest $GITHUB_REF_NAME\"\n\
         {sums}"
    );
    // Their integration test downloads from the draft; here the file is that of the run.
    let version = stage.artifact("release", "tsuku-dltest-linux-amd64");
    let tells = format!("bash -c 'cp {} x; chmod +x x; ./x --version 2>&1' >version", version.display());
    let asks = "        run: test \"$(cat version)\"";
    text.replace("0123456789012345678901234567890123456789", &stage.commit_of("main"))
        .replace(asks, &format!("        run: {tells} && test \"$(cat version)\""))
}

fn api(stage: &Stage, path: &str) -> String {
    format!("{}/repos/{REPOSITORY}/{path}", stage.server().url())
}

fn bearer() -> String {
    format!("Bearer {TOKEN}")
}

/// The release of the tag, draft or not.
fn release(stage: &Stage) -> Value {
    let answer = ureq::get(api(stage, "releases")).header("Authorization", bearer()).call().unwrap();
    let all: Value = serde_json::from_reader(answer.into_body().as_reader()).unwrap();
    all[0].clone()
}

fn upload(stage: &Stage, name: &str, bytes: &[u8]) -> u16 {
    let url = release(stage)["upload_url"].as_str().unwrap().replace("{?name,label}", &format!("?name={name}"));
    let request = ureq::post(&url).header("Authorization", bearer()).header("Content-Type", "application/octet-stream");
    match request.send(bytes) {
        Ok(answer) => answer.status().as_u16(),
        Err(ureq::Error::StatusCode(status)) => status,
        Err(error) => panic!("{error}"),
    }
}

/// The draft with the other builders' assets.
fn draft(stage: &Stage) {
    let body = json!({ "tag_name": TAG, "name": TAG, "draft": true, "body": "What is new" }).to_string();
    ureq::post(api(stage, "releases")).header("Authorization", bearer()).send(&body).unwrap();
    for name in OTHERS {
        assert_eq!(upload(stage, name, name.as_bytes()), 201);
    }
}

#[test]
fn the_program_s_assets_join_those_of_tsuku_and_leave_them_alone() {
    if !runs() {
        return;
    }
    // The tree of this repository states its own version; the tag's is injected.
    let stage = Stage::of(&Scene { tags: &[TAG], immutable: true, ..Scene::default() });
    draft(&stage);
    let workflow = parse(&chain(&stage)).unwrap_or_else(|error| panic!("{error}\n{}", chain(&stage)));
    let mut run = Run::of(workflow, Event::tag(TAG), &stage);
    run.all();
    for job in ["release", "build-rust", "integration-test", "dltest-sums"] {
        assert_eq!(run.outcome(job), Outcome::Success, "{job}\n{}", run.log());
    }
    assert_eq!(published(&stage, TAG), None, "that is for release-finalize.yml to do");

    // All again: nothing of it is in the way.
    run.all();
    assert_eq!(run.outcome("dltest-sums"), Outcome::Success, "{}", run.log());

    let contract = release_helper::domain::contract::Contract::embedded().unwrap();
    let own: Vec<_> = contract.assets().into_iter().chain(contract.companions()).collect();
    let draft = release(&stage);
    let asset = |name: &str| {
        let assets = draft["assets"].as_array().unwrap();
        assets.iter().find(|asset| asset["name"] == name).unwrap_or_else(|| panic!("no {name}")).clone()
    };
    assert_eq!(draft["assets"].as_array().unwrap().len(), own.len() + OTHERS.len());
    for name in OTHERS {
        let digest = format!("sha256:{}", release_helper::plumbing::digest::sha256(name.as_bytes()));
        assert_eq!(asset(name)["digest"], digest, "{name} was changed");
    }

    // tsuku takes the first line of the sums that holds a space and the name.
    let sums = ureq::get(asset("SHA256SUMS")["url"].as_str().unwrap())
        .header("Authorization", bearer())
        .header("Accept", "application/octet-stream");
    let sums = sums.call().unwrap().into_body().read_to_string().unwrap();
    assert_eq!(sums.lines().count(), 18, "{sums}");
    for platform in contract.platforms() {
        let line = sums.lines().find(|line| line.contains(&format!(" {}", platform.asset))).unwrap();
        assert_eq!(line.split_once("  ").unwrap().1, platform.asset);
    }

    // release-finalize.yml publishes; post-release.sh then wants to replace checksums.txt, which an immutable release refuses.
    let edit = ureq::patch(api(&stage, &format!("releases/{}", draft["id"]))).header("Authorization", bearer());
    edit.send(r#"{"draft":false}"#).unwrap();
    assert_eq!(published(&stage, TAG).unwrap().len(), own.len() + OTHERS.len());
    let gone = ureq::delete(asset("checksums.txt")["url"].as_str().unwrap()).header("Authorization", bearer()).call();
    assert!(gone.is_err(), "the release is immutable");
    assert_eq!(upload(&stage, "checksums.txt", b"all of them"), 422);
}
