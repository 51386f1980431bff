//! An SDK on the builder's machine, as every Mac has one, reaches no byte.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use release_helper::domain::contract::Platform;

use crate::recipe::{assert_same, command, copy, digests, quoted, reference, root, script};
use crate::skipped::skipped;

/// A folder that rustc and the linker take for an SDK, and in `bin` an `xcrun` that notes its calls and names it.
struct Sdk(tempfile::TempDir);

impl Sdk {
    fn new() -> Self {
        let sdk = Self(tempfile::tempdir().unwrap());
        let library = sdk.root().join("usr/lib");
        fs::create_dir_all(&library).unwrap();
        fs::write(sdk.root().join("SDKSettings.json"), r#"{"Version": "26.0", "CanonicalName": "macosx26.0"}"#)
            .unwrap();
        let stub = fs::read_to_string(root().join("cmd/tsuku-dltest/stubs/libSystem.tbd")).unwrap();
        fs::write(library.join("libSystem.tbd"), stub.replace("libSystem.B", "libSystem.C")).unwrap();
        let bin = sdk.0.path().join("bin");
        fs::create_dir(&bin).unwrap();
        let calls = quoted(&sdk.0.path().join("calls"));
        script(&bin.join("xcrun"), &format!("echo \"$*\" >> {calls}\necho {}", quoted(&sdk.root())));
        sdk
    }

    fn root(&self) -> PathBuf {
        self.0.path().join("MacOSX26.0.sdk")
    }

    /// The recipe in `tree` on a machine that has this SDK.
    fn command(&self, tree: &Path, platforms: &[Platform], out: &Path) -> Command {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([self.0.path().join("bin")].into_iter().chain(std::env::split_paths(&path)));
        let mut command = command(tree, platforms, out);
        command.env("PATH", path.unwrap());
        command
    }

    fn calls(&self) -> String {
        fs::read_to_string(self.0.path().join("calls")).unwrap_or_default()
    }
}

#[test]
fn an_sdk_on_the_machine_changes_no_byte() {
    let (platforms, _) = reference();
    let darwin: Vec<_> = platforms.iter().filter(|platform| platform.is_darwin()).cloned().collect();
    if darwin.is_empty() {
        return skipped("no rust-std for macOS; .ci/run installs it");
    }
    let sdk = Sdk::new();
    let out = |name: &str| sdk.0.path().join(name);

    let found = digests(&mut sdk.command(&root(), &darwin, &out("found")), &darwin, &out("found"));
    assert_same(found, "with an SDK that xcrun knows");
    assert_eq!(sdk.calls(), "", "nobody asks for it");
    let mut set = sdk.command(&root(), &darwin, &out("set"));
    set.env("SDKROOT", sdk.root()).env("MACOSX_DEPLOYMENT_TARGET", "26.0");
    assert_same(digests(&mut set, &darwin, &out("set")), "with an SDK in the environment");

    // It is a proper one: without the recipe's word, rustc asks for it.
    let tree = copy();
    let recipe = tree.path().join("cmd/tsuku-dltest/link.toml");
    let text = fs::read_to_string(&recipe).unwrap();
    let without: String =
        text.lines().filter(|line| !line.starts_with("SDKROOT")).map(|line| format!("{line}\n")).collect();
    assert_ne!(text, without);
    fs::write(&recipe, without).unwrap();
    let mut open = sdk.command(tree.path(), &darwin, &out("open"));
    open.env_remove("SDKROOT");
    digests(&mut open, &darwin, &out("open"));
    assert!(sdk.calls().contains("--show-sdk-path"), "{}", sdk.calls());
}
