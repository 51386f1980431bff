//! Our requests and the server's answers against GitHub's own OpenAPI description.

use std::path::Path;
use std::process::Command;

use release_helper::domain::releases;
use release_helper::domain::server::{Exchange, Fault, Kind, Operation, Plan, Tag};
use serde_json::{Value, json};

use crate::common::{Place, TAG};
use crate::skipped::skipped;
use crate::tools;

fn recorded(exchange: &Exchange) -> Value {
    json!({
        "operation": exchange.operation, "method": exchange.request.method, "path": exchange.request.path,
        "query": exchange.request.query, "body": exchange.body, "status": exchange.status, "answer": exchange.answer,
        "headers": exchange.request.headers.iter().map(|(name, _)| name).collect::<Vec<_>>(),
    })
}

/// Exchanges of every operation, good and bad.
fn exchanges() -> Vec<Value> {
    let place = Place::new();
    let mut faults = vec![
        Fault::new(Operation::UploadReleaseAsset, Kind::Starter),
        Fault::new(Operation::CreateRelease, Kind::LostAnswer),
    ];
    faults.push(Fault::new(Operation::ListReleaseAssets, Kind::NullDigest));
    let mut options = place.options(Plan { faults, random: None });
    options.immutable = true;
    options.tags.push(Tag::lightweight("v1.2.4"));
    let server = release_helper::domain::server::start(options).unwrap();
    let client = place.client(&server);
    place.release(&client).unwrap();
    // A lightweight tag: notes are generated. A tag that is missing, a release that is not there.
    let second = releases::draft(&client, "v1.2.4", &releases::Notes::default()).unwrap();
    assert!(releases::draft(&client, "v9.9.9", &releases::Notes::default()).is_err());
    assert!(releases::upload(&client, 999_999, &place.files(), &place.rules()).is_err());
    // Replacing, and being refused by an immutable release.
    releases::upload(&client, second.id, &place.files(), &place.rules()).unwrap();
    std::fs::write(place.file(&place.names()[0]), "other bytes").unwrap();
    releases::upload(&client, second.id, &place.files(), &place.rules()).unwrap();
    let published = client.release_by_tag(TAG).unwrap();
    assert!(releases::upload(&client, published.id, &place.files(), &place.rules()).is_err());
    drop(server);
    let exchanges = place.exchanges.lock().unwrap();
    exchanges.iter().filter(|exchange| exchange.operation != Operation::Object).map(recorded).collect()
}

fn validate(exchanges: &[Value]) -> Result<(bool, String), String> {
    let (openapi, python) = (tools::openapi()?, tools::python()?);
    let file = tempfile::NamedTempFile::new().unwrap();
    serde_json::to_writer(&file, exchanges).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/releases/clients/conformance.py");
    let output = Command::new(python).arg(script).arg(openapi).arg(file.path()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    Ok((output.status.success(), text))
}

#[test]
fn requests_and_answers_are_those_of_githubs_openapi_description() {
    let recorded = exchanges();
    match validate(&recorded) {
        Err(reason) => skipped(&reason),
        Ok((holds, text)) => {
            assert!(holds, "{text}");
            println!("{text}");
            for operation in [
                "create-release",
                "delete-release-asset",
                "download-asset",
                "generate-release-notes",
                "get-ref",
                "get-release",
                "get-release-by-tag",
                "get-tag",
                "list-release-assets",
                "list-releases",
                "update-release",
                "upload-release-asset",
            ] {
                assert!(text.lines().any(|line| line.starts_with(operation)), "no {operation} was recorded:\n{text}");
            }
        }
    }
}

#[test]
fn a_wrong_request_or_answer_fails_against_the_description() {
    let recorded = exchanges();
    let first = |operation: &str, status: u16| {
        let found = recorded.iter().find(|one| one["operation"] == operation && one["status"] == status);
        found.unwrap_or_else(|| panic!("no {operation} {status}")).clone()
    };
    let mut wrong = Vec::new();
    let mut publish = first("update-release", 200);
    publish["body"]["make_latest"] = true.into();
    wrong.push((publish, "make_latest"));
    let mut create = first("create-release", 201);
    create["body"]["taget_commitish"] = "main".into();
    wrong.push((create, "taget_commitish"));
    let mut answer = first("create-release", 201);
    answer["answer"].as_object_mut().unwrap().remove("tarball_url");
    wrong.push((answer, "tarball_url"));
    let mut asset = first("upload-release-asset", 201);
    asset["answer"]["size"] = "12".into();
    wrong.push((asset, "size"));
    let mut query = first("list-releases", 200);
    query["query"] = json!([["perpage", "100"]]);
    wrong.push((query, "perpage"));
    let mut path = first("list-releases", 200);
    path["path"] = "/repos/octo/tsuku-dltest/release".into();
    wrong.push((path, "no operation"));
    let mut header = first("list-releases", 200);
    header["headers"] = json!(["authorization", "accept", "user-agent"]);
    wrong.push((header, "x-github-api-version"));
    let exchanges: Vec<Value> = wrong.iter().map(|(exchange, _)| exchange.clone()).collect();
    match validate(&exchanges) {
        Err(reason) => skipped(&reason),
        Ok((holds, text)) => {
            assert!(!holds);
            for (number, (_, word)) in wrong.iter().enumerate() {
                let is_reported = |line: &str| line.starts_with(&format!("{number} ")) && line.contains(word);
                assert!(text.lines().any(is_reported), "{word} passed:\n{text}");
            }
        }
    }
}
