//! `vary` finds what reaches the bytes, and names it.

#[path = "support/skipped.rs"]
mod skipped;

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use skipped::skipped;

/// A source tree with the layout of ours, whose program prints what its build script leaks into `LEAK`.
fn tree(build_script: &str) -> tempfile::TempDir {
    const PACKAGE: &str = "[package]\nname = \"tsuku-dltest\"\nversion = \"0.0.0\"\nedition = \"2024\"\n";
    const PROFILE: &str = "[profile.release]\npanic = \"abort\"\ncodegen-units = 1\nstrip = true\n";
    const LOCK: &str = "version = 4\n\n[[package]]\nname = \"tsuku-dltest\"\nversion = \"0.0.0\"\n";
    const MAIN: &str = "include!(concat!(env!(\"OUT_DIR\"), \"/generated.rs\"));\n\
                        fn main() { println!(\"{}\", env!(\"LEAK\")); check(std::env::args().count()); }\n";
    let root = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    };
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    for name in ["release.toml", "rust-toolchain.toml"] {
        write(name, &fs::read_to_string(repository.join(name)).unwrap());
    }
    write("Cargo.toml", &format!("[workspace]\nmembers = [\"cmd/*\"]\nresolver = \"3\"\n{PROFILE}"));
    write("Cargo.lock", LOCK);
    write("cmd/tsuku-dltest/Cargo.toml", PACKAGE);
    write("cmd/tsuku-dltest/link.toml", "");
    write("cmd/tsuku-dltest/src/main.rs", MAIN);
    // The generated file is where a harmless `check` comes from, unless the script writes another one.
    let frame = "fn leak(text: impl std::fmt::Display) {\n    println!(\"cargo:rustc-env=LEAK={text}\");\n}\n\
                 fn generate(text: &str) {\n    let out = std::env::var(\"OUT_DIR\").unwrap();\n    \
                 std::fs::write(format!(\"{out}/generated.rs\"), text).unwrap();\n}\n";
    let start = "leak(\"nothing\"); generate(\"fn check(_: usize) {}\");";
    write("cmd/tsuku-dltest/build.rs", &format!("{frame}fn main() {{\n    {start}\n    {build_script}\n}}\n"));
    root
}

/// What `vary` says about `tree`, and its exit status.
fn vary(tree: &Path, rounds: usize) -> (Value, i32) {
    let platform = release_helper::domain::contract::Contract::embedded().unwrap().host().unwrap().name.clone();
    let output = Command::new(env!("CARGO_BIN_EXE_release-helper"))
        .args(["vary", "--json", "--platform", &platform, "--rounds", &rounds.to_string(), "--root"])
        .arg(tree)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let value = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {told}"));
    (value, output.status.code().unwrap())
}

/// The variations named as culprits for a build script, each alone.
fn culprits(build_script: &str) -> Vec<String> {
    let tree = tree(build_script);
    let (outcome, status) = vary(tree.path(), 1);
    let culprits = outcome["culprits"].as_array().unwrap().clone();
    assert_eq!(status, i32::from(!culprits.is_empty()));
    culprits
        .iter()
        .map(|culprit| {
            let names: Vec<_> =
                culprit["variations"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
            names.join("+")
        })
        .collect()
}

#[test]
fn a_tree_that_leaks_nothing_has_no_culprit() {
    assert_eq!(culprits(""), Vec::<String>::new());
}

#[test]
fn a_leaked_home_is_found_and_named() {
    assert_eq!(culprits("leak(std::env::var(\"HOME\").unwrap());"), ["home"]);
}

#[test]
fn the_time_of_the_build_is_found_and_named() {
    let seconds = "leak(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_nanos());";
    assert_eq!(culprits(seconds), ["clock"]);
}

#[test]
fn the_day_of_the_build_is_found_although_two_builds_in_a_row_are_the_same() {
    let day =
        "leak(std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() / 86400 / 30);";
    assert_eq!(culprits(day), ["clock"]);
}

#[test]
fn the_number_of_processors_is_found_and_named() {
    if std::thread::available_parallelism().unwrap().get() == 1 {
        return skipped("one processor cannot be made fewer");
    }
    assert_eq!(culprits("leak(std::thread::available_parallelism().unwrap());"), ["cores"]);
}

#[test]
fn a_path_in_a_panic_message_is_found_and_named() {
    let script = "generate(\"fn check(count: usize) { assert!(count < 100); }\");";
    let found = culprits(script);
    // The folder of generated sources is named after cargo's hash.
    let paths = ["build-path-characters", "build-path-length", "target-directory", "host", "cargo-hash"];
    assert!(found.iter().all(|name| paths.contains(&name.as_str())) && found.len() == paths.len(), "{found:?}");
}

/// A build script is a unit of the host: through its hash the host's name gets into that of the program, and functions of
/// one path are laid out by it. The script need not even do anything.
#[test]
fn the_building_host_is_found_and_named() {
    let types = ["u8", "u16", "u32", "u64", "u128", "i8", "i16", "i32", "i64", "i128"];
    let calls: String = types.iter().map(|kind| format!("twice(count as {kind});")).collect();
    let functions = format!(
        "#[inline(never)] fn twice<T: std::ops::Mul<Output = T> + Copy>(value: T) {{ std::hint::black_box(value * value); }} \
         fn check(count: usize) {{ {calls} }}"
    );
    let mut found = culprits(&format!("generate({functions:?});"));
    found.sort();
    assert_eq!(found, ["cargo-hash", "host"]);
}

#[test]
fn two_leaks_at_once_are_both_named() {
    let mut found = culprits("leak(format!(\"{:?} {:?}\", std::env::var(\"HOME\"), std::env::var(\"TZ\")));");
    found.sort();
    assert_eq!(found, ["home", "time-zone"]);
}

#[test]
fn chance_is_told_from_the_clock() {
    let chance = "use std::hash::{BuildHasher, RandomState}; leak(RandomState::new().hash_one(0));";
    assert_eq!(culprits(chance), [""]);
}

/// A build script that leaks what it can see: every variation it has an eye for must be named, or it does not reach the
/// build at all. (Those left out are seen by the linker, by cargo or by the path tests above alone.)
#[test]
fn every_visible_variation_reaches_the_build() {
    let script = r#"
        use std::os::unix::fs::MetadataExt;
        let shell = |script: &str| {
            let output = std::process::Command::new("sh").args(["-c", script]).output().unwrap();
            String::from_utf8_lossy(&output.stdout).trim().to_owned()
        };
        let variable = |name: &str| std::env::var(name).unwrap_or_default();
        let order: Vec<_> = std::fs::read_dir("src").unwrap().map(|entry| entry.unwrap().file_name()).collect();
        let source = std::fs::metadata("build.rs").unwrap();
        // Started again, this script only says where its memory lies.
        if std::env::args().count() > 1 {
            return println!("{:p}", &source);
        }
        let own = std::env::current_exe().unwrap();
        let addresses = || std::process::Command::new(&own).arg("again").output().unwrap().stdout;
        let seen = format!(
            "{} {order:?} {:?} {} {:o} {} {} {} {} {} {} {}",
            ["HOME", "CARGO_HOME", "TMPDIR", "TZ", "LANG", "SOURCE_DATE_EPOCH", "VERSION", "CFLAGS", "PATH", "NUM_JOBS",
             "CARGO_MANIFEST_DIR", "OUT_DIR", "TERM"].map(variable).join(" "),
            std::thread::available_parallelism(),
            source.mtime(),
            source.mode(),
            shell("umask"),
            shell("date +%Y"),
            shell("uname -n"),
            shell("uname -r"),
            shell("id -u"),
            addresses() == addresses(),
            std::path::Path::new("../../.git").exists(),
        );
        leak(seen.replace('\n', " "));
    "#;
    let tree = tree(script);
    for letter in ["a", "b", "c"] {
        fs::write(tree.path().join(format!("cmd/tsuku-dltest/src/{letter}.txt")), "").unwrap();
    }
    let (outcome, status) = vary(tree.path(), release_helper::jobs::vary::default_rounds());
    assert_eq!(status, 1, "{outcome}");
    let guilty: Vec<&str> = outcome["culprits"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|culprit| culprit["variations"].as_array().unwrap())
        .map(|name| name.as_str().unwrap())
        .collect();
    // One platform is one run of cargo, a linker's flags are no variable, and inside its walls no build sees a network.
    let invisible = ["one-by-one", "build-path-length", "network"];
    for tried in outcome["variations"].as_array().unwrap() {
        let name = tried["name"].as_str().unwrap();
        if let Some(obstacle) = tried.get("obstacle") {
            eprintln!("SKIPPED: {name}: {obstacle}");
        } else {
            assert!(
                guilty.contains(&name) || invisible.contains(&name),
                "{name} does not reach the build: {}",
                outcome["culprits"]
            );
        }
    }
}
