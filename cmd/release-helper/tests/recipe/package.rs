//! Nothing of the program's package runs when it is built.

use std::process::Command;

use serde_json::Value;

use crate::recipe::root;

/// A build script is a program of the tag that runs on the verifier's machine, and its hash, in which the host's name
/// is, becomes part of the hash by which rustc orders functions: all six artifacts would follow the building host. So
/// would a dependency, and a procedural macro is both.
#[test]
fn it_has_no_build_script_no_dependency_and_no_procedural_macro() {
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let program = packages.iter().find(|package| package["name"] == "tsuku-dltest").unwrap();
    assert_eq!(program["dependencies"], Value::Array(Vec::new()));
    let targets = program["targets"].as_array().unwrap();
    let kinds: Vec<_> = targets.iter().map(|target| &target["kind"]).collect();
    assert_eq!(kinds, [&serde_json::json!(["bin"])], "one program, and no `custom-build` or `proc-macro`");
}
