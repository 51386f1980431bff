//! `docs/protocol.md` and `docs/protocol.schema.json` say what the program does.

use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};

use super::Test;
use super::world::{World, fetched, root};

pub(crate) const TESTS: &[Test] = &[
    ("the_output_follows_its_schema", the_output_follows_its_schema),
    ("the_document_names_every_option", the_document_names_every_option),
];

pub(crate) const OPTIONS: [&str; 7] =
    ["--jobs", "--timeout-ms", "--isolation", "--stdin0", "--json-lines", "--version", "--help"];

fn document() -> String {
    fs::read_to_string(root().join("docs/protocol.md")).expect("the document is there")
}

/// Every guarantee of the document (a line that begins with "- **name**") is the name of a test.
pub(crate) fn assert_each_guarantee_has_its_test(names: &HashSet<&str>) {
    let text = document();
    let guarantees: Vec<_> =
        text.lines().filter_map(|line| line.strip_prefix("- **`")?.split_once("`**")).map(|(name, _)| name).collect();
    assert!(guarantees.len() > 20, "the document names its guarantees");
    for name in guarantees {
        assert!(names.contains(name), "docs/protocol.md promises {name}, which no test shows");
    }
}

fn the_document_names_every_option(_: &World) -> Result<(), String> {
    let text = document();
    for option in OPTIONS {
        assert!(text.contains(&format!("`{option}")), "{option}");
    }
    Ok(())
}

fn the_output_follows_its_schema(world: &World) -> Result<(), String> {
    let python = fetched().join("python");
    if !python.join(".complete").exists() {
        return Err("run cmd/tsuku-dltest/tests/fetch-libraries".to_owned());
    }
    let directory = world.empty_directory("schema");
    let (healthy, crash) = (world.library(&directory, "healthy"), world.library(&directory, "segfault"));
    let good = [
        world.run([&healthy, &crash]).stdout,
        world.run(["\u{7}\u{fffd}\"", ""]).stdout,
        world.run_with_input(&["--stdin0"], b"").stdout,
    ];
    let bad = [
        "{}",
        "[1]",
        r#"[{"path":"a"}]"#,
        r#"[{"path":"a","ok":false}]"#,
        r#"[{"path":"a","ok":true,"error":"e"}]"#,
        r#"[{"path":"a","ok":true,"more":1}]"#,
        r#"[{"path":1,"ok":true}]"#,
        r#"[{"path":"a","ok":"true"}]"#,
        r#"[{"path":"a","ok":false,"error":""}]"#,
    ];
    let script = "import json, sys, jsonschema
schema = json.load(open(sys.argv[1]))
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
print(*[int(validator.is_valid(json.loads(text))) for text in json.load(sys.stdin)])";
    let mut command = Command::new("python3");
    command.args(["-c", script]).arg(root().join("docs/protocol.schema.json")).env("PYTHONPATH", python);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3 can be run");
    let texts: Vec<&str> = good.iter().map(String::as_str).chain(bad).collect();
    let input = serde_json::to_string(&texts).expect("strings are JSON");
    child.stdin.take().expect("there is a pipe").write_all(input.as_bytes()).expect("it listens");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "1 1 1 0 0 0 0 0 0 0 0 0");
    Ok(())
}
