//! Tags that want more of cargo, rustc or the linker than the recipe needs: refused before anything is started.

use std::os::unix::fs::PermissionsExt;

use crate::tagged::{Tagged, edit, put};

const MANIFEST: &str = "cmd/tsuku-dltest/Cargo.toml";
const LINK: &str = "cmd/tsuku-dltest/link.toml";

/// Demands that the change is refused in these words.
fn refused(file: &str, from: &str, to: &str, words: &str) {
    let refusal = Tagged::edited(file, from, to).refusal();
    assert!(refusal.contains(words) && refusal.contains("it is not built"), "{to}: {refusal}");
}

#[test]
fn finding_1_a_tag_does_not_bring_its_own_compiler() {
    let marker = tempfile::tempdir().unwrap();
    let proof = marker.path().join("ran");
    let tag = Tagged::new(|root| {
        put(root, "rust-toolchain", "[toolchain]\npath = \"/proc/self/cwd/fake\"\n");
        for name in ["rustc", "cargo"] {
            let script = format!("#!/bin/sh\ntouch '{}'\necho 'release: 1.95.0'\n", proof.display());
            put(root, &format!("fake/bin/{name}"), &script);
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(root.join("fake/bin").join(name), mode).unwrap();
        }
    });
    let refusal = tag.refusal();
    assert!(refusal.contains("rust-toolchain: rustup would take the toolchain it names"), "{refusal}");
    assert!(!proof.exists(), "the tag's compiler was started");
}

#[test]
fn a_rival_of_the_toolchain_file_is_refused_even_as_a_symlink_to_nowhere() {
    let tag = Tagged::new(|root| std::os::unix::fs::symlink("nowhere", root.join("rust-toolchain")).unwrap());
    assert!(tag.refusal().contains("rust-toolchain is a symbolic link"));
}

#[test]
fn a_channel_is_three_numbers() {
    for channel in [
        "stable",
        "nightly",
        "1.95",
        "1.95.0-evil",
        "1.95.0-x86_64-unknown-linux-gnu",
        "+1.95.0",
        "../evil",
        "/evil",
        "1.95.00000",
        "",
        "1.95.0 ",
    ] {
        let refusal = Tagged::edited("rust-toolchain.toml", "\"1.95.0\"", &format!("{channel:?}")).refusal();
        assert!(refusal.contains("asks for the channel"), "{channel}: {refusal}");
    }
}

#[test]
fn a_toolchain_file_names_no_place() {
    for line in ["path = \"/evil\"", "extra = 1"] {
        let refusal = Tagged::edited("rust-toolchain.toml", "[toolchain]", &format!("[toolchain]\n{line}")).refusal();
        assert!(refusal.contains("rust-toolchain.toml"), "{line}: {refusal}");
    }
}

#[test]
fn a_build_script_is_refused_however_it_is_named() {
    let script = "fn main() { panic!() }\n";
    assert!(Tagged::with_file("cmd/tsuku-dltest/build.rs", script).refusal().contains("it has a build script"));
    for line in ["build = \"src/main.rs\"", "build = true", "build = [\"a.rs\", \"b.rs\"]"] {
        refused(MANIFEST, "version = ", &format!("{line}\nversion = "), "it has a build script");
    }
}

#[test]
fn a_dependency_is_refused_wherever_it_stands() {
    for section in ["dependencies", "build-dependencies", "dev-dependencies"] {
        let tag = Tagged::new(|root| {
            edit(root, MANIFEST, "[dependencies]\n", &format!("[{section}.evil]\npath = \"evil\"\n"));
            put(root, "cmd/tsuku-dltest/evil/Cargo.toml", "[package]\nname = \"evil\"\nversion = \"1.0.0\"\n");
            put(root, "cmd/tsuku-dltest/evil/src/lib.rs", "");
        });
        let refusal = tag.refusal();
        assert!(refusal.contains("it has a dependency: evil"), "{refusal}");
    }
    let target = "[target.'cfg(all())'.dependencies]\nevil = \"1\"\n\n[dependencies]";
    refused(MANIFEST, "[dependencies]", target, "it has a section [target]");
}

#[test]
fn a_package_has_no_more_than_the_program_needs() {
    for (line, words) in [
        ("cargo-features = [\"profile-rustflags\"]\n", "[cargo-features]"),
        ("[patch.crates-io]\nx = { path = \"x\" }\n", "[patch]"),
        ("[replace]\n", "[replace]"),
        ("[lib]\nproc-macro = true\n", "[lib]"),
        ("[features]\ndefault = []\n", "[features]"),
        ("[[example]]\nname = \"x\"\n", "[example]"),
        ("[badges]\n", "[badges]"),
    ] {
        refused(MANIFEST, "[package]", &format!("{line}[package]"), &format!("it has a section {words}"));
    }
    for key in ["links = \"c\"", "workspace = \"../..\"", "forced-target = \"x\"", "default-target = \"x\""] {
        refused(MANIFEST, "version = ", &format!("{key}\nversion = "), "it has a key package.");
    }
}

#[test]
fn the_program_is_the_one_in_its_place() {
    for path in ["../../evil.rs", "/evil.rs", "src/../../../evil.rs", "build.rs"] {
        refused(MANIFEST, "path = \"src/main.rs\"", &format!("path = {path:?}"), "its program is not src/main.rs");
    }
    refused(MANIFEST, "name = \"tsuku-dltest\"", "name = \"evil\"", "the package is not called tsuku-dltest");
    refused(MANIFEST, "bench = false\n", "bench = false\nplugin = true\n", "its program has a key plugin");
}

#[test]
fn a_workspace_has_one_member_and_plain_profiles() {
    refused("Cargo.toml", "[\"cmd/*\"]", "[\"cmd/*\", \"../elsewhere\"]", "the members of the workspace");
    for (section, words) in [
        ("[patch.crates-io]\n", "it has a section [patch]"),
        ("[package]\nname = \"x\"\n", "it has a section [package]"),
        ("[dependencies]\nx = \"1\"\n", "it has a section [dependencies]"),
        ("cargo-features = [\"codegen-backend\"]\n", "it has a section [cargo-features]"),
    ] {
        refused("Cargo.toml", "[workspace]\n", &format!("{section}[workspace]\n"), words);
    }
    for (line, words) in [
        ("codegen-backend = \"/evil.so\"", "profile.release.codegen-backend"),
        ("rustflags = [\"-Clinker=/evil\"]", "profile.release.rustflags"),
        ("package.\"*\".opt-level = 0", "profile.release.package"),
        ("build-override.opt-level = 0", "profile.release.build-override"),
        ("inherits = \"dev\"", "profile.release.inherits"),
    ] {
        refused("Cargo.toml", "[profile.release]\n", &format!("[profile.release]\n{line}\n"), words);
    }
}

#[test]
fn a_recipe_has_no_program_but_the_toolchains() {
    for (section, words) in [
        ("[build]\nrustc-wrapper = \"/evil\"\n", "it has a section [build]"),
        ("[build]\nrustc = \"/evil\"\n", "it has a section [build]"),
        ("[host]\nlinker = \"/evil\"\n", "it has a section [host]"),
        ("[unstable]\nbuild-std = [\"core\"]\n", "it has a section [unstable]"),
        ("[source.crates-io]\nreplace-with = \"x\"\n", "it has a section [source]"),
        ("[net]\ngit-fetch-with-cli = true\n", "it has a section [net]"),
        ("[alias]\nbuild = \"run\"\n", "it has a section [alias]"),
        ("[registry]\nglobal-credential-providers = [\"/evil\"]\n", "it has a section [registry]"),
        ("[profile.release]\nopt-level = 3\n", "it has a section [profile]"),
        ("include = \"/evil.toml\"\n", "it has a section [include]"),
        ("paths = [\"/evil\"]\n", "it has a section [paths]"),
        ("[target.'cfg(unix)']\nrunner = \"/evil\"\n", "it has a key target.cfg(unix).runner"),
        ("[target.'cfg(windows)']\nlinker = \"/evil\"\n", "it has a key target.cfg(windows).linker"),
        ("[target.x.libc]\nrustc-link-search = [\"/\"]\n", "it has a key target.x.libc"),
    ] {
        let first = "[target.'cfg(all())']";
        refused(LINK, first, &format!("{section}\n{first}"), words);
    }
}

#[test]
fn a_recipe_sets_two_variables_and_no_other() {
    for name in ["RUSTC_WRAPPER", "RUSTC_BOOTSTRAP", "PATH", "LD_PRELOAD", "RUSTC"] {
        refused(LINK, "[env]\n", &format!("[env]\n{name} = \"/evil\"\n"), &format!("it has a key env.{name}"));
    }
    refused(LINK, "\"tsuku-dltest\", relative", "\"/evil\", relative", "/evil lies outside the source");
}

#[test]
fn the_compiler_is_told_nothing_that_loads_or_finds_files() {
    for flag in [
        "-Clinker=/evil",
        "-Clinker=cmd/tsuku-dltest/evil",
        "-Zunstable-options",
        "-Zcodegen-backend=/evil.so",
        "-Cllvm-args=-load=/evil.so",
        "-Cpasses=evil",
        "-L/evil",
        "-Lnative=/evil",
        "--extern=evil=/evil.so",
        "--sysroot=/evil",
        "-Clink-self-contained-path=/evil",
        "-Cincremental=/evil",
        "--emit=asm=/evil",
        "-o/evil",
        "@/evil",
        "-Cprofile-use=/evil",
        "-Clinker-plugin-lto=/evil.so",
        "-C",
        "linker=/evil",
    ] {
        let last = "\"-Cforce-unwind-tables=no\"]";
        let words = format!("the compiler would be started with {flag}");
        refused(LINK, last, &format!("\"-Cforce-unwind-tables=no\", {flag:?}]"), &words);
    }
}

#[test]
fn the_linker_is_told_nothing_that_loads_writes_or_finds_files() {
    for argument in [
        "@/evil",
        "@cmd/tsuku-dltest/evil",
        "-T/evil.ld",
        "-Tcmd/tsuku-dltest/src/main.rs",
        "-Tcmd/tsuku-dltest/../../../evil.ld",
        "/evil.o",
        "cmd/tsuku-dltest/evil.o",
        "cmd/tsuku-dltest/stubs/../../../../evil.o",
        "cmd/tsuku-dltest-evil/x.ld",
        "-L/evil",
        "-levil",
        "--plugin=/evil.so",
        "--load-pass-plugin=/evil.so",
        "-mllvm",
        "--mllvm=-load=/evil.so",
        "-o/evil",
        "-Map=/evil",
        "--reproduce=/evil",
        "--dependency-file=/evil",
        "--version-script=/evil",
        "--just-symbols=/evil",
        "--chroot=/evil",
        "--sysroot=/evil",
        "-dynamic_linker=/evil;x",
        "--dynamic-linker=$ORIGIN/evil",
        "--build-id=/evil",
        "-syslibroot",
        "-sectcreate",
        "-bundle_loader",
    ] {
        let words = format!("the linker would be started with {argument}");
        let refusal =
            Tagged::edited(LINK, "-Clink-args=--gc-sections", &format!("-Clink-args={argument} --gc-sections"))
                .refusal();
        assert!(refusal.contains(&words) || refusal.contains("lies outside the source"), "{argument}: {refusal}");
    }
}

#[test]
fn what_is_linked_copies_no_machine_code_and_names_no_other_file() {
    let script = "cmd/tsuku-dltest/discard.ld";
    for command in ["INPUT(/evil.o)", "GROUP(/evil.a)", "INCLUDE /evil", "OUTPUT(/evil)", "SEARCH_DIR(/evil)"] {
        let tag = Tagged::new(|root| put(root, script, &format!("{command}\nSECTIONS {{}}\n")));
        assert!(tag.refusal().contains("discard.ld is a linker script with"), "{command}");
    }
    for content in ["INPUT(/evil.o)\n", "!<arch>\n", "\u{7f}ELF\u{2}\u{1}\u{1}\0\0\0\0\0\0\0\0\0\u{1}\0>\0"] {
        let stub = "cmd/tsuku-dltest/stubs/x86_64-unknown-linux-gnu/libc.so.6";
        let tag = Tagged::new(|root| put(root, stub, content));
        assert!(tag.refusal().contains("libc.so.6 is no stub of a library"), "{content:?}");
    }
}

#[test]
fn a_manifest_that_is_no_toml_or_no_text_is_refused() {
    for file in ["Cargo.toml", MANIFEST, LINK, "rust-toolchain.toml"] {
        let tag = Tagged::new(|root| std::fs::write(root.join(file), b"\xff\xfe").unwrap());
        assert!(tag.refusal().contains(file), "{file}");
        let tag = Tagged::new(|root| put(root, file, "[[[\n"));
        assert!(tag.refusal().contains(file), "{file}");
    }
}
