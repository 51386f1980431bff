//! What `inspect` measures is what readelf, lief, patchelf and checksec measure on the same files.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use release_helper::domain::contract::Platform;
use serde_json::Value;

use crate::fixtures::{self, Variant};
use crate::inspect;
use crate::skipped::skipped;

/// At most this many programs and libraries of the machine.
const OF_THE_SYSTEM: usize = 60;

/// The output of a command; None, after saying so, where the program is missing.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    match Command::new(program).args(arguments).env("LC_ALL", "C").output() {
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        Err(error) => {
            skipped(&format!("{program}: {error}"));
            None
        }
    }
}

/// ELF files to look at: artifacts, proper and spoiled, and what the machine has.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let contract = fixtures::contract();
    let linux = contract.platforms().filter(|platform| !platform.is_darwin());
    for platform in linux.filter(|platform| fixtures::has_target(platform)) {
        let link = |arguments: &[&str]| Variant {
            link: arguments.iter().map(|argument| argument.to_string()).collect(),
            ..Variant::default()
        };
        let variants = [
            Variant::default(),
            link(&["-rpath=/opt/lib"]),
            link(&["-rpath=$ORIGIN", "--disable-new-dtags"]),
            link(&["--build-id=sha1"]),
            Variant { without: vec!["-zrelro"], ..link(&["-znorelro"]) },
            Variant { without: vec!["-znow"], ..link(&["-zlazy"]) },
            Variant { without: vec!["-znoexecstack"], ..link(&["-zexecstack"]) },
            Variant { without: vec!["--strip-all"], ..Variant::default() },
            Variant { symbol_version: Some("GLIBC_2.34"), soname: Some("libother.so.7"), ..Variant::default() },
        ];
        for (index, variant) in variants.iter().enumerate() {
            let path = directory.join(format!("{index}-{}", platform.name));
            std::fs::write(&path, fixtures::linked(platform, variant)).unwrap();
            files.push(path);
        }
    }
    let mut of_the_system: Vec<PathBuf> = ["/usr/bin", "/lib/x86_64-linux-gnu", "/lib/aarch64-linux-gnu"]
        .iter()
        .flat_map(|directory| std::fs::read_dir(directory).into_iter().flatten().flatten())
        .map(|entry| entry.path())
        .filter(|path| path.is_file() && std::fs::metadata(path).is_ok_and(|file| file.len() < 2 << 20))
        .filter(|path| std::fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"\x7fELF\x02")))
        .collect();
    of_the_system.sort();
    let step = of_the_system.len() / OF_THE_SYSTEM + 1;
    files.extend(of_the_system.into_iter().step_by(step));
    files
}

/// What `inspect` measured, by clause.
fn measured(path: &Path) -> BTreeMap<&'static str, String> {
    let platform: Platform = fixtures::contract().platform("linux-amd64").unwrap().clone();
    let inspection = inspect(&std::fs::read(path).unwrap(), &platform).unwrap();
    inspection.clauses.into_iter().map(|clause| (clause.clause, clause.measured)).collect()
}

/// `items` as `inspect` lists them.
fn list(items: &[&str]) -> String {
    if items.is_empty() { "none".into() } else { items.join(", ") }
}

/// What stands between `start` and `end` on the lines of `text` that have both.
fn between<'a>(text: &'a str, start: &str, end: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.split_once(start)?.1.split_once(end)).map(|(item, _)| item).collect()
}

#[test]
fn readelf_agrees() {
    let directory = tempfile::tempdir().unwrap();
    for path in files(directory.path()) {
        let Some(text) = output("readelf", &["-W", "-h", "-l", "-d", "-n", "-S", path.to_str().unwrap()]) else {
            return;
        };
        let ours = measured(&path);
        let what = |clause: &str| format!("{}: {clause}", path.display());
        assert_eq!(ours["interpreter"], list(&between(&text, "program interpreter: ", "]")), "{}", what("interpreter"));
        assert_eq!(ours["needed"], list(&between(&text, "Shared library: [", "]")), "{}", what("needed"));
        let rpath = between(&text, "Library rpath: [", "]").into_iter().map(|path| format!("RPATH {path}"));
        let runpath = between(&text, "Library runpath: [", "]").into_iter().map(|path| format!("RUNPATH {path}"));
        let run_path: Vec<String> = rpath.chain(runpath).collect();
        assert_eq!(
            ours["run path"],
            list(&run_path.iter().map(String::as_str).collect::<Vec<_>>()),
            "{}",
            what("run path")
        );
        // `-n` shows the note once as a section.
        let build_ids: Vec<_> =
            text.lines().filter_map(|line| Some(line.split_once("Build ID: ")?.1)).take(1).collect();
        assert_eq!(ours["build-id"], list(&build_ids), "{}", what("build-id"));
        let machine = text.lines().find_map(|line| line.trim().strip_prefix("Machine:")).unwrap().trim();
        assert_eq!(ours["machine"], machine.replace("Advanced Micro Devices X86-64", "x86-64"), "{}", what("machine"));
        let stack = text.lines().find(|line| line.trim().starts_with("GNU_STACK"));
        let flags: String = stack
            .into_iter()
            .flat_map(|line| line.split_whitespace().skip(6))
            .take_while(|flag| flag.chars().all(|flag| "RWE".contains(flag)))
            .collect();
        if !flags.is_empty() {
            assert_eq!(ours["stack"].replace([' ', '-'], ""), flags.replace("RWE", "RWX"), "{}", what("stack"));
        }
        assert_eq!(ours["RELRO"] != "none", text.contains("GNU_RELRO"), "{}", what("RELRO"));
        let now = text.lines().any(|line| {
            line.contains("(BIND_NOW)")
                || line.contains("(FLAGS)") && line.contains("BIND_NOW")
                || line.contains("(FLAGS_1)") && line.contains("NOW")
        });
        assert_eq!(ours["bind now"] == "yes", now, "{}", what("bind now"));
        assert_eq!(ours["packed relocations"] == "yes", text.contains("(RELR)"), "{}", what("packed relocations"));
        assert_eq!(ours["symbols, debug"].contains(".symtab"), text.contains(" .symtab "), "{}", what("symbols"));
        assert_eq!(
            ours["type"] == "PIE",
            text.contains("Flags: ") && text.lines().any(|line| line.contains("(FLAGS_1)") && line.contains("PIE")),
            "{}",
            what("type")
        );
    }
}

#[test]
fn patchelf_agrees() {
    let directory = tempfile::tempdir().unwrap();
    for path in files(directory.path()) {
        let file = path.to_str().unwrap();
        let ours = measured(&path);
        let Some(needed) = output("patchelf", &["--print-needed", file]) else { return };
        assert_eq!(ours["needed"], list(&needed.lines().collect::<Vec<_>>()), "{file}");
        let rpath = output("patchelf", &["--print-rpath", file]).unwrap();
        assert_eq!(
            ours["run path"].split(' ').next_back().unwrap(),
            list(&rpath.lines().filter(|line| !line.is_empty()).collect::<Vec<_>>()),
            "{file}"
        );
        // It cannot say that there is no interpreter but with an error.
        let interpreter = output("patchelf", &["--print-interpreter", file]).unwrap();
        assert_eq!(ours["interpreter"], list(&interpreter.lines().collect::<Vec<_>>()), "{file}");
    }
}

#[test]
fn checksec_agrees() {
    let directory = tempfile::tempdir().unwrap();
    for path in files(directory.path()) {
        let file = path.to_str().unwrap();
        let Some(text) = output("checksec", &[&format!("--file={file}"), "--output=json"]) else { return };
        let theirs: Value = serde_json::from_str(&text).unwrap();
        let theirs = &theirs[file];
        let ours = measured(&path);
        let relro = match (ours["RELRO"].as_str(), ours["bind now"].as_str()) {
            ("none", _) => "no",
            (_, "yes") => "full",
            _ => "partial",
        };
        assert_eq!(theirs["relro"], relro, "{file}");
        assert_eq!(theirs["nx"] == "yes", !ours["stack"].contains('X') && ours["stack"].starts_with('R'), "{file}");
        assert_eq!(theirs["rpath"] == "yes", ours["run path"].contains("RPATH "), "{file}");
        assert_eq!(theirs["runpath"] == "yes", ours["run path"].contains("RUNPATH "), "{file}");
        assert_eq!(theirs["symbols"] == "yes", ours["symbols, debug"].contains(".symtab"), "{file}");
    }
}

const LIEF: &str = r#"
import json, sys, lief
lief.logging.disable()
answers = {}
for path in sys.argv[1:]:
    elf = lief.ELF.parse(path)
    answers[path] = {
        "interpreter": elf.interpreter if elf.has_interpreter else "none",
        "needed": list(elf.libraries),
        "nx": elf.has_nx,
        "versions": {need.name: [aux.name for aux in need.get_auxiliary_symbols()] for need in elf.symbols_version_requirement},
    }
print(json.dumps(answers))
"#;

#[test]
fn lief_agrees_also_without_section_headers() {
    let directory = tempfile::tempdir().unwrap();
    let mut paths = files(directory.path());
    // readelf and most libraries find no versions in these.
    for path in paths.clone().into_iter().filter(|path| path.starts_with(directory.path())) {
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[40..48].fill(0);
        bytes[58..64].fill(0);
        let bare = path.with_extension("bare");
        std::fs::write(&bare, bytes).unwrap();
        paths.push(bare);
    }
    let files: Vec<&str> = paths.iter().map(|path| path.to_str().unwrap()).collect();
    let Some(text) = output("python3", &[&["-c", LIEF][..], &files].concat()) else { return };
    if text.is_empty() {
        return skipped("python3 has no module lief; run `pip install lief`");
    }
    let theirs: Value = serde_json::from_str(&text).unwrap();
    for path in &paths {
        let (ours, theirs) = (measured(path), &theirs[path.to_str().unwrap()]);
        let strings = |value: &Value| -> Vec<String> {
            value.as_array().unwrap().iter().map(|item| item.as_str().unwrap().to_owned()).collect()
        };
        assert_eq!(ours["interpreter"], theirs["interpreter"].as_str().unwrap(), "{}", path.display());
        let needed = strings(&theirs["needed"]);
        assert_eq!(ours["needed"], list(&needed.iter().map(String::as_str).collect::<Vec<_>>()), "{}", path.display());
        assert_eq!(
            !ours["stack"].contains('X') && ours["stack"].starts_with('R'),
            theirs["nx"] == true,
            "{}",
            path.display()
        );
        let highest = theirs["versions"].as_object().unwrap().iter().map(|(library, versions)| {
            let versions = strings(versions);
            let rank = |name: &String| -> Vec<u64> {
                let numbers = name.strip_prefix("GLIBC_").map(|rest| rest.split('.').map(str::parse).collect());
                numbers.and_then(Result::ok).unwrap_or(vec![u64::MAX])
            };
            let best = versions.iter().map(rank).max().unwrap();
            // Of several that are no numbers, the first of the file is shown.
            format!("{library} {}", versions.iter().find(|version| rank(version) == best).unwrap())
        });
        let mut highest: Vec<String> = highest.collect();
        highest.sort();
        assert_eq!(
            ours["symbol versions"],
            list(&highest.iter().map(String::as_str).collect::<Vec<_>>()),
            "{}",
            path.display()
        );
    }
}
