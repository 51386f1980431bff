//! What stands in for GitHub in a run on this machine. This file is the complete list:
//!
//! | in the workflow | here |
//! | --- | --- |
//! | api.github.com, github.com/…/releases | the helper's embedded release server |
//! | `actions/checkout` | a clone of this checkout, with the tag on it |
//! | `install-helper.sh` | the helper that cargo built for this test |
//! | `cachix/install-nix-action`, `nix build` | `nix` in this directory's list of programs: cargo builds instead |
//! | `actions/attest`, `gh attestation verify` | a file with the digest, and a program that compares it |
//! | `docker run IMAGE` | the artifact on this machine, under qemu where it is for another |
//! | `codesign --verify` | the helper's own verification |
//! | the protocol suite | left out: it has a run of its own |
//! | what needs a Mac, a machine without Nix, a loader that is not installed | left out, and said so in the log |

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use release_helper::{server, source};

use crate::document::{Names, root};
use crate::runner::{REPOSITORY, TOKEN};

/// Programs that are always on the PATH of a job.
const PROGRAMS: [(&str, &str); 3] = [
    (
        "codesign",
        "[[ $1 == --verify ]] || { echo \"codesign: only --verify here\" >&2; exit 2; }\n\
         release-helper signature \"${@: -1}\"",
    ),
    (
        "gh",
        "[[ \"$1 $2 $4\" == 'attestation verify --bundle' ]] || { echo \"gh: only attestation verify here\" >&2; exit 2; }\n\
         [[ $(sha256sum <\"$3\") == $(cat \"$5\") ]]",
    ),
    (
        "docker",
        r#"[[ $1 == run ]] || exit 0
while [[ $1 != --volume ]]; do shift; done
artifact=${2%%:*}
shift 4 # the option, its value, the image, the program's path in it
start=()
library=
case $artifact in
  *-linux-amd64-musl) library=/lib/ld-musl-x86_64.so.1 ;;
  *-linux-arm64)
    library=/usr/aarch64-linux-gnu/lib/libm.so.6
    start=(qemu-aarch64 -L /usr/aarch64-linux-gnu -E "LD_LIBRARY_PATH=$TMPDIR")
    ;;
esac
# The image's libz.so.1 is whatever library of that platform there is.
[[ -z $library ]] || ln -sf "$library" "$TMPDIR/libz.so.1"
[[ $library == /usr/* ]] || export LD_LIBRARY_PATH=$TMPDIR
exec "${start[@]}" "$artifact" "$@""#,
    ),
];

/// What `cachix/install-nix-action` brings: a store that builds a source once. The checks that crane equals naersk
/// are for nix/tests to run.
const NIX: &str = "\
store=$STAGE/store/$(cat cmd/tsuku-dltest/Cargo.toml | sha256sum | cut -c 1-32)
mkdir -p \"$STAGE/store\"
(
  flock 9
  if ! [[ -e $store ]]; then
    release-helper build --backend cargo --out \"$store.new/bin\" >&2
    mv \"$store.new\" \"$store\"
  fi
) 9>\"$STAGE/store/lock\"
[[ $* != *--json* ]] || printf '[{\"outputs\": {\"out\": \"%s\"}}]\\n' \"$store\"";

/// The stage of a run: a repository, a release server, and the stand-ins.
pub struct Stage {
    place: tempfile::TempDir,
    pub server: server::Running,
}

impl Stage {
    /// A stage on which this checkout, as it is on the disk, is tagged with each of `tags`.
    pub fn new(tags: &[&str]) -> Self {
        let place = tempfile::tempdir().expect("a place for the stage");
        let repository = place.path().join("repository");
        source::copy_tracked(&root(), &repository).expect("a copy of the checkout");
        git(&repository, &["init", "--quiet", "--initial-branch", "main"]);
        git(&repository, &["add", "--all"]);
        git(&repository, &["commit", "--quiet", "--message", "the checkout"]);
        for tag in tags {
            git(&repository, &["tag", "--annotate", "--message", "What is new", "--", tag]);
        }
        let programs = place.path().join("programs");
        for (name, script) in PROGRAMS {
            program(&programs, name, script);
        }
        program(&place.path().join("nix"), "nix", NIX);
        fs::create_dir(place.path().join("helper")).expect("a writable place");
        symlink(env!("CARGO_BIN_EXE_release-helper"), place.path().join("helper/release-helper")).expect("a link");
        let server = server::start(server::Options {
            repository: REPOSITORY.to_owned(),
            token: Some(TOKEN.to_owned()),
            tags: tags.iter().map(|tag| server::Tag::annotated(tag, "What is new")).collect(),
            ..server::Options::new(&place.path().join("releases"))
        });
        Self { server: server.expect("a release server"), place }
    }

    /// The directories of programs for every step; Rust's, and the system's.
    pub fn path(&self) -> impl Iterator<Item = PathBuf> {
        let cargo = Path::new(env!("CARGO")).parent().expect("cargo is in a directory").to_owned();
        let system = std::env::var_os("PATH").unwrap_or_default();
        let system: Vec<_> = std::env::split_paths(&system).collect();
        [self.place.path().join("programs")].into_iter().chain(system).chain([cargo])
    }

    /// What every step has in its environment, beside what the runner sets.
    pub fn environment(&self) -> Vec<(String, String)> {
        let home = std::env::var("HOME").unwrap_or_default();
        let or = |name: &str, below: &str| (name.to_owned(), std::env::var(name).unwrap_or(format!("{home}/{below}")));
        vec![
            or("RUSTUP_HOME", ".rustup"),
            or("CARGO_HOME", ".cargo"),
            ("GITHUB_API_URL".to_owned(), self.server.url().to_owned()),
            ("GITHUB_SERVER_URL".to_owned(), self.server.url().to_owned()),
            ("STAGE".to_owned(), self.place.path().to_string_lossy().into_owned()),
        ]
    }
}

/// The command that stands in for an action.
pub fn action(uses: &str, with: &Names) -> Result<String, String> {
    let name = uses.split('@').next().unwrap_or_default();
    Ok(match name {
        "actions/checkout" => "git -c advice.detachedHead=false clone --quiet --branch \"$GITHUB_REF_NAME\" \
                               \"$STAGE/repository\" ."
            .to_owned(),
        "cachix/install-nix-action" => "echo \"$STAGE/nix\" >>\"$GITHUB_PATH\"".to_owned(),
        "actions/attest" => format!(
            "sha256sum <'{}' >\"$RUNNER_TEMP/bundle.json\"\n\
             echo \"bundle-path=$RUNNER_TEMP/bundle.json\" >>\"$GITHUB_OUTPUT\"",
            with["subject-path"]
        ),
        _ => return Err(format!("nothing stands in for {uses}")),
    })
}

/// The command that stands in for another one of a leg for `platform`, if any.
pub fn command(run: &str, platform: &str) -> Option<String> {
    let left_out = |reason: &str| Some(format!("echo 'left out here: {reason}'"));
    match run {
        ".github/scripts/install-helper.sh" => Some("echo \"$STAGE/helper\" >>\"$GITHUB_PATH\"".to_owned()),
        "test ! -e /nix" => left_out("this machine may have Nix"),
        ".github/scripts/install-musl.sh" => left_out("nothing is installed on this machine"),
        _ if run.starts_with("cargo test") => left_out("the protocol suite has a run of its own"),
        _ if run.starts_with("release-helper exercise") => left_out(missing(platform)?),
        _ => None,
    }
}

/// What this machine lacks to run the artifact of `platform`, if anything.
fn missing(platform: &str) -> Option<&'static str> {
    let needed = match platform {
        "linux-amd64" => "/lib64/ld-linux-x86-64.so.2",
        "linux-amd64-musl" => "/lib/ld-musl-x86_64.so.1",
        "linux-arm64" => "/usr/aarch64-linux-gnu/lib/ld-linux-aarch64.so.1",
        "linux-arm64-musl" => "/lib/ld-musl-aarch64.so.1",
        _ => "a Mac",
    };
    (!Path::new(needed).exists()).then_some(needed)
}

fn git(repository: &Path, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.current_dir(repository).args(["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]);
    let status = command.args(["-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false"]).args(arguments).status();
    assert!(status.expect("git starts").success(), "git {arguments:?}");
}

fn program(directory: &Path, name: &str, script: &str) {
    fs::create_dir_all(directory).expect("a writable place");
    let path = directory.join(name);
    fs::write(&path, format!("#!/usr/bin/env bash\nset -euo pipefail\n{script}\n")).expect("a writable place");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a program");
}
