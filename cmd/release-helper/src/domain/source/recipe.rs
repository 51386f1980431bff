//! What the build of a stranger's source may be told: exactly what the recipe of this program needs. Everything by which
//! cargo, rustc or the linker could be made to run code of the source, or to take files from elsewhere, is refused: a
//! build script, a dependency, a macro crate, a wrapper, a runner, another linker, a plugin, a path out of the tree.

use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use toml_edit::{DocumentMut, Item};

use crate::plumbing::error::Hint;
use crate::plumbing::files;

const PROGRAM: &str = "cmd/tsuku-dltest";
const STUBS: &str = "cmd/tsuku-dltest/stubs/";

/// Fails, in plain words, unless the source tree at `root` is built by the plain recipe.
pub fn check(root: &Path) -> Result<()> {
    let checked = || -> Result<()> {
        workspace(root).context("Cargo.toml")?;
        package(root).with_context(|| format!("{PROGRAM}/Cargo.toml"))?;
        link(root).with_context(|| format!("{PROGRAM}/link.toml"))?;
        linked(&root.join(PROGRAM), PROGRAM)
    };
    checked().context("this source is not built by the plain recipe, and no code of a source is run: it is not built").hint(
        "an honest source has no build script, no dependency and no settings but those of the recipe (docs/trust.md)",
    )
}

fn workspace(root: &Path) -> Result<()> {
    let document = parse(&root.join("Cargo.toml"))?;
    for (key, item) in document.iter() {
        match key {
            "workspace" => keys(item, key, &["members", "resolver", "package", "lints", "dependencies"])?,
            // The other profiles take no part.
            "profile" => {
                for (name, profile) in table(item, key)?.filter(|(name, _)| name == "release") {
                    keys(profile, &format!("profile.{name}"), &PROFILE)?;
                }
            }
            _ => bail!("it has a section [{key}]"),
        }
    }
    let members = document["workspace"].get("members").and_then(Item::as_array);
    let members: Vec<_> = members.into_iter().flatten().map(toml_edit::Value::as_str).collect();
    ensure!(members == [Some("cmd/*")], "the members of the workspace are not those of \"cmd/*\"");
    if let Some(package) = document["workspace"].get("package") {
        keys(package, "workspace.package", &["edition", "rust-version", "license", "publish"])?;
    }
    Ok(())
}

/// The plain keys of a profile; no overrides for packages or build scripts.
const PROFILE: [&str; 11] = [
    "opt-level",
    "lto",
    "codegen-units",
    "panic",
    "strip",
    "debug",
    "debug-assertions",
    "overflow-checks",
    "incremental",
    "rpath",
    "split-debuginfo",
];

fn package(root: &Path) -> Result<()> {
    let document = parse(&root.join(PROGRAM).join("Cargo.toml"))?;
    for (key, item) in document.iter() {
        match key {
            "package" => {
                ensure!(item.get("build").is_none_or(|build| build.as_bool() == Some(false)), "it has a build script");
                keys(item, key, &PACKAGE)?;
            }
            "dependencies" | "dev-dependencies" | "build-dependencies" => {
                let first = table(item, key)?.next();
                ensure!(
                    first.is_none(),
                    "it has a dependency: {}",
                    first.map_or_else(String::new, |(name, _)| name.clone())
                );
            }
            "bin" => {
                let bins = item.as_array_of_tables().context("bin is no list of programs")?;
                for bin in bins {
                    for (key, value) in bin {
                        ensure!(["name", "path", "test", "bench", "doc"].contains(&key), "its program has a key {key}");
                        let elsewhere = key == "path" && value.as_str() != Some("src/main.rs");
                        ensure!(!elsewhere, "its program is not src/main.rs");
                    }
                }
            }
            "lints" => {}
            _ => bail!("it has a section [{key}]"),
        }
    }
    let name = document.get("package").and_then(|package| package.get("name")).and_then(Item::as_str);
    ensure!(name == Some("tsuku-dltest"), "the package is not called tsuku-dltest");
    // Cargo runs one by itself if it finds one.
    let script = root.join(PROGRAM).join("build.rs");
    ensure!(script.symlink_metadata().is_err() || document["package"].get("build").is_some(), "it has a build script");
    Ok(())
}

/// What describes the package, and which of its files are programs.
const PACKAGE: [&str; 21] = [
    "name",
    "version",
    "edition",
    "rust-version",
    "license",
    "publish",
    "description",
    "build",
    "repository",
    "homepage",
    "documentation",
    "readme",
    "authors",
    "keywords",
    "categories",
    "include",
    "exclude",
    "autobins",
    "autotests",
    "autobenches",
    "autoexamples",
];

fn link(root: &Path) -> Result<()> {
    let document = parse(&root.join(PROGRAM).join("link.toml"))?;
    for (key, item) in document.iter() {
        match key {
            "target" => {
                for (target, settings) in table(item, key)? {
                    keys(settings, &format!("target.{target}"), &["rustflags"])?;
                    let flags = settings.get("rustflags").and_then(Item::as_array);
                    for flag in flags.context("rustflags is no list")? {
                        rustflag(flag.as_str().context("a flag is no text")?)?;
                    }
                }
            }
            "env" => {
                keys(item, key, &["MACOSX_DEPLOYMENT_TARGET", "SDKROOT"])?;
                for (name, value) in table(item, key)? {
                    let value =
                        value.get("value").or(Some(value)).and_then(Item::as_str).context("a variable is no text")?;
                    inside(value).with_context(|| format!("env.{name}"))?;
                }
            }
            _ => bail!("it has a section [{key}]"),
        }
    }
    Ok(())
}

/// Lets pass what chooses among the toolchain's own abilities. `-Clink-args` is taken apart.
fn rustflag(flag: &str) -> Result<()> {
    const PLAIN: [&str; 7] = [
        "--cfg=",
        "-Cforce-unwind-tables=",
        "-Clink-self-contained=",
        "-Clinker-flavor=",
        "-Crelocation-model=",
        "-Ctarget-cpu=",
        "-Ctarget-feature=",
    ];
    if flag == "-Clinker=rust-lld" || PLAIN.iter().any(|plain| flag.starts_with(plain)) {
        return Ok(());
    }
    let arguments = flag.strip_prefix("-Clink-args=").or_else(|| flag.strip_prefix("-Clink-arg="));
    let arguments = arguments.with_context(|| format!("the compiler would be started with {flag}"))?;
    arguments.split_whitespace().try_for_each(link_argument)
}

/// Lets pass the linker's arguments that the recipe is made of: options that name no file, and files of the tree.
fn link_argument(argument: &str) -> Result<()> {
    const PLAIN: [&str; 31] = [
        "-pie",
        "--pie",
        "-static",
        "-znow",
        "-zrelro",
        "-znoexecstack",
        "-O1",
        "-O2",
        "-S",
        "-s",
        "-x",
        "macos",
        "--gc-sections",
        "--strip-all",
        "--strip-debug",
        "--no-eh-frame-hdr",
        "--no-rosegment",
        "--no-dynamic-linker",
        "--as-needed",
        "--no-as-needed",
        "--icf=all",
        "--icf=safe",
        "--icf=none",
        "-platform_version",
        "-dead_strip",
        "-adhoc_codesign",
        "-no_adhoc_codesign",
        "-install_name",
        "-final_output",
        "-lSystem",
        "tsuku-dltest",
    ];
    const VALUES: [&str; 5] =
        ["--build-id=", "--hash-style=", "--pack-dyn-relocs=", "-zmax-page-size=", "-zcommon-page-size="];
    const LOADERS: &str = "--dynamic-linker=";
    let is_version = argument.split('.').all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    let is_name = |value: &str| value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./+".contains(&byte));
    if PLAIN.contains(&argument)
        || is_version
        || VALUES.iter().any(|option| argument.strip_prefix(option).is_some_and(|value| !value.contains('/')))
        // A path for the loaded program, which the linker only writes down.
        || argument.strip_prefix(LOADERS).is_some_and(is_name)
    {
        return Ok(());
    }
    let script = argument.strip_prefix("-T").filter(|file| file.ends_with(".ld"));
    let file = script.or_else(|| Some(argument).filter(|file| file.starts_with(STUBS)));
    let file = file.filter(|file| file.starts_with(PROGRAM) && is_name(file));
    inside(file.with_context(|| format!("the linker would be started with {argument}"))?)
}

/// Fails if `path` could lead out of the tree.
fn inside(path: &str) -> Result<()> {
    let leads_out = path.starts_with('/') || path.split('/').any(|part| part == "..");
    ensure!(!leads_out, "{path} lies outside the source");
    Ok(())
}

/// Looks at every file below `directory` that a linker could be given: text it takes for a script may name files, and
/// only stubs and scripts of sections are needed.
fn linked(directory: &Path, name: &str) -> Result<()> {
    const COMMANDS: [&str; 9] =
        ["INPUT", "GROUP", "INCLUDE", "OUTPUT", "SEARCH_DIR", "STARTUP", "TARGET", "AS_NEEDED", "NOCROSSREFS"];
    for entry in directory.read_dir().with_context(|| format!("cannot list {}", directory.display()))? {
        let entry = entry.with_context(|| format!("cannot list {}", directory.display()))?;
        let (path, name) = (entry.path(), format!("{name}/{}", entry.file_name().to_string_lossy()));
        if entry.file_type().with_context(|| format!("cannot read {}", path.display()))?.is_dir() {
            linked(&path, &name)?;
            continue;
        }
        let is_script = path.extension().is_some_and(|extension| extension == "ld");
        if !is_script && !name.starts_with(STUBS) {
            continue;
        }
        let content = files::read(&path)?;
        if is_script {
            let text = String::from_utf8_lossy(&content).into_owned();
            let word = text
                .split(|char: char| !char.is_ascii_alphanumeric() && char != '_')
                .find(|word| COMMANDS.contains(word));
            ensure!(word.is_none(), "{name} is a linker script with {}", word.unwrap_or_default());
        } else {
            // Of a shared library or a list of names nothing is copied; of an object file (ET_REL), all code is.
            let is_shared = content.starts_with(b"\x7fELF") && content.get(16..18) == Some(&[3, 0]);
            ensure!(is_shared || content.starts_with(b"--- !tapi-tbd"), "{name} is no stub of a library");
        }
    }
    Ok(())
}

/// Fails if the table `item`, called `name`, has a key that is not `allowed`.
fn keys(item: &Item, name: &str, allowed: &[&str]) -> Result<()> {
    for (key, _) in table(item, name)? {
        ensure!(allowed.contains(&key.as_str()), "it has a key {name}.{key}");
    }
    Ok(())
}

fn table<'a>(item: &'a Item, name: &str) -> Result<impl Iterator<Item = (String, &'a Item)>> {
    let table = item.as_table_like().with_context(|| format!("{name} is no table"))?;
    Ok(table.iter().map(|(key, value)| (key.to_owned(), value)))
}

fn parse(path: &Path) -> Result<DocumentMut> {
    let text = String::from_utf8(files::read(path)?).context("it is not text")?;
    text.parse().context("it is not TOML")
}
