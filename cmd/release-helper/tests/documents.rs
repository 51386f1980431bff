//! What the documents say is so: command lines parse, links lead somewhere, tables are complete.

use std::collections::BTreeSet;
use std::path::PathBuf;

use clap::Subcommand;
use release_helper::commands::Command;
use release_helper::domain::contract::Contract;
use release_helper::domain::source;

/// All documents, with their text.
fn documents() -> Vec<(PathBuf, String)> {
    let root = source::root(None).unwrap();
    let mut paths = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root.join(name)).to_vec();
    paths.extend(root.join("docs").read_dir().unwrap().map(|entry| entry.unwrap().path()));
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    assert!(paths.len() >= 5);
    paths.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

/// The lines of the shell blocks of `text`.
fn shell_lines(text: &str) -> Vec<&str> {
    let blocks = text.split("```").skip(1).step_by(2);
    blocks.filter_map(|block| block.strip_prefix("sh\n")).flat_map(str::lines).map(str::trim).collect()
}

/// The helper's arguments in a shell line, if it calls the helper.
fn helper_arguments(line: &str) -> Option<Vec<String>> {
    let line = line.split(" #").next().unwrap_or_default();
    let (alias, rest) = match line.strip_prefix("cargo rehearse") {
        Some(rest) => (Some("rehearse".to_owned()), rest),
        None => (None, line.strip_prefix("cargo ").unwrap_or(line).strip_prefix("release-helper ")?),
    };
    // What is behind an operator is another program's; a variable stands for some value.
    let own = rest.split(['|', '>', '<', '&', ';']).next().unwrap_or_default();
    let word = |word: &str| if word.contains('$') { "7".to_owned() } else { word.trim_matches(['"', '\'']).to_owned() };
    Some(alias.into_iter().chain(own.split_whitespace().map(word)).collect())
}

#[test]
fn the_helper_understands_every_command_line_of_the_documents() {
    let mut seen = 0;
    for (path, text) in documents() {
        for line in shell_lines(&text) {
            let Some(arguments) = helper_arguments(line) else { continue };
            let helper = Command::augment_subcommands(clap::Command::new("release-helper").subcommand_required(true));
            let words = std::iter::once("release-helper".to_owned()).chain(arguments);
            if let Err(error) = helper.try_get_matches_from(words)
                && error.use_stderr()
            {
                panic!("{}: {line}: {error}", path.display());
            }
            seen += 1;
        }
    }
    assert!(seen >= 8, "found only {seen}");
}

#[test]
fn a_command_line_that_is_wrong_is_noticed() {
    let arguments = helper_arguments("cargo release-helper platforms --jsn | head # why").unwrap();
    assert_eq!(arguments, ["platforms", "--jsn"]);
    assert_eq!(helper_arguments("cargo rehearse --keep").unwrap(), ["rehearse", "--keep"]);
    assert_eq!(helper_arguments("cargo test"), None);
}

#[test]
fn every_relative_link_leads_to_a_file() {
    for (path, text) in documents() {
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = target.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let file = path.parent().unwrap().join(target);
            assert!(file.exists(), "{}: {target} leads nowhere", path.display());
        }
    }
}

#[test]
fn the_readme_has_a_line_for_each_dependency_and_no_other() {
    let root = source::root(None).unwrap();
    let manifest = std::fs::read_to_string(root.join("cmd/release-helper/Cargo.toml")).unwrap();
    let manifest: toml_edit::DocumentMut = manifest.parse().unwrap();
    let tables = manifest["target"].as_table_like().into_iter().flat_map(|targets| targets.iter());
    let tables = tables.map(|(_, target)| target).chain([manifest.as_item()]);
    let declared: BTreeSet<String> = tables
        .flat_map(|table| ["dependencies", "dev-dependencies"].map(|name| table.get(name)))
        .flatten()
        .flat_map(|table| table.as_table_like().unwrap().iter())
        .map(|(name, _)| name.to_owned())
        .collect();
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let section = readme.split("## Dependencies").nth(1).unwrap().split("## Limits").next().unwrap();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| ")).skip(2);
    let told: BTreeSet<String> = rows
        .filter_map(|row| row.split(" |").next())
        .flat_map(|cell| cell.split(", "))
        .map(|name| name.trim_end_matches(" (tests)").to_owned())
        .collect();
    assert_eq!(told, declared);
}

#[test]
fn the_documents_name_no_platform_that_the_contract_lacks() {
    let contract = Contract::embedded().unwrap();
    let known: BTreeSet<&str> = contract.platforms().map(|platform| platform.name.as_str()).collect();
    let is_part = |character: char| character.is_ascii_alphanumeric() || character == '-' || character == '_';
    for (path, text) in documents() {
        for word in text.split(|character| !is_part(character)) {
            let name = word.strip_prefix("tsuku-dltest-").unwrap_or(word);
            let machine = name.strip_prefix("linux-").or(name.strip_prefix("darwin-"));
            if machine.is_some_and(|machine| machine.starts_with("amd64") || machine.starts_with("arm64")) {
                assert!(known.contains(name), "{}: {name}", path.display());
            }
        }
    }
}

#[test]
fn contributing_tells_what_each_test_program_of_more_than_a_file_is_for() {
    let root = source::root(None).unwrap();
    let tests = root.join("cmd/release-helper/tests");
    let entries = tests.read_dir().unwrap().map(|entry| entry.unwrap().path());
    let large = entries.filter(|path| path.join("main.rs").exists());
    let names = large.map(|path| path.file_name().unwrap().to_str().unwrap().to_owned());
    let text = std::fs::read_to_string(root.join("CONTRIBUTING.md")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next());
    let told: BTreeSet<String> = rows.map(str::to_owned).collect();
    let large: BTreeSet<String> = names.chain(["dltest-protocol".to_owned()]).collect();
    assert!(large.is_subset(&told), "{:?}", large.difference(&told));
    assert!(told.difference(&large).all(|name| tests.join(format!("{name}.rs")).exists()), "{told:?}");
}

/// The versions that CHANGELOG.md has headings for, the newest first.
fn logged(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("## [")).filter_map(|rest| rest.split(']').next()).collect()
}

#[test]
fn the_changelog_has_what_is_unreleased_and_then_the_version_that_the_tree_states() {
    let root = source::root(None).unwrap();
    let manifest = std::fs::read_to_string(root.join("cmd/tsuku-dltest/Cargo.toml")).unwrap();
    let manifest: toml_edit::DocumentMut = manifest.parse().unwrap();
    let text = std::fs::read_to_string(root.join("CHANGELOG.md")).unwrap();
    // Before the first release the tree states 0.0.0.
    let stated = manifest["package"]["version"].as_str().filter(|version| *version != "0.0.0");
    let expected: Vec<_> = ["Unreleased"].into_iter().chain(stated).collect();
    assert!(logged(&text).starts_with(&expected), "CHANGELOG.md has {:?}, and not first {expected:?}", logged(&text));
    assert_eq!(logged("## [Unreleased]\n### Added\n## [1.2.3] - 2026-01-01\n"), ["Unreleased", "1.2.3"]);
}

#[test]
fn every_mutant_that_may_live_is_explained_and_every_file_that_is_mutated_is_there() {
    let root = source::root(None).unwrap();
    let text = std::fs::read_to_string(root.join(".cargo/mutants.toml")).unwrap();
    let config: toml_edit::DocumentMut = text.parse().unwrap();
    let strings = |key: &str| -> Vec<String> {
        config[key].as_array().unwrap().iter().map(|value| value.as_str().unwrap().to_owned()).collect()
    };
    for glob in strings("examine_globs") {
        let path = root.join(glob.trim_end_matches("/*.rs"));
        assert!(path.exists(), "{glob}");
    }
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    for regex in strings("exclude_re") {
        let at = lines.iter().position(|line| line.trim_end_matches(',') == format!("{regex:?}")).unwrap();
        assert!(lines[at - 1].starts_with("# "), "{regex} is not explained");
    }
}

#[test]
fn every_test_that_the_trust_model_names_is_there() {
    let root = source::root(None).unwrap();
    let text = std::fs::read_to_string(root.join("docs/trust.md")).unwrap();
    let tests = root.join("cmd/release-helper/tests/verify");
    let source = |module: &str| {
        let beside = tests.join(format!("{module}.rs"));
        let own = root.join("cmd/release-helper/src/domain/build").join(format!("{module}.rs"));
        std::fs::read_to_string(&beside).or_else(|_| std::fs::read_to_string(own)).unwrap()
    };
    let mut named = 0;
    for (module, test) in text.split('`').filter_map(|word| word.split_once("::")) {
        // A group of tests is named by what their names begin with.
        let function = format!("fn {}", test.trim_end_matches('…'));
        assert!(source(module).contains(&function), "{module}::{test}");
        named += 1;
    }
    assert!(named > 50, "{named}");
}
