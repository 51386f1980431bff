//! What stands in for GitHub in a run on this machine. This file is the complete list:
//!
//! | in the workflow | here |
//! | --- | --- |
//! | api.github.com, github.com/…/releases | the helper's embedded release server |
//! | `actions/checkout` | a clone of this checkout, with the tag on it |
//! | `actions/upload-artifact`, `download-artifact` | a folder |
//! | `cargo build --package release-helper` | the helper that cargo built for this test |
//! | `release-helper build --backend cargo` | as `nix` below: what the cross-check builds in the first run is there for the others |
//! | `cachix/install-nix-action`, `nix` | `nix` in this directory's list of programs: cargo builds instead, by rustup's toolchain |
//! | `actions/attest`, `gh attestation verify` | a file with digests and identity, and a program that compares them |
//! | `gh api`, `gh release view`, `gh issue`, `gh pr` | curl, the helper, and files |
//! | `docker run IMAGE` | the artifact on this machine, under qemu where it is for another |
//! | `codesign --verify` | the helper's own verification |
//! | the protocol suite | left out: it has a run of its own |
//! | what needs a Mac, a machine without Nix, a loader that is not installed | left out, and said so in the log |

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use release_helper::domain::toolchain::Toolchain;
use release_helper::domain::{server, source};
use serde_json::Value;

use crate::document::{Names, root};
use crate::runner::{REPOSITORY, TOKEN};

/// Programs that are always on the PATH of a job.
const PROGRAMS: [(&str, &str); 6] = [
    // Nobody waits here.
    ("sleep", ""),
    (
        "cargo",
        r#"real=$(PATH=${PATH#*:} command -v cargo)
[[ $1 != release-helper ]] || exec "$STAGE/helper/release-helper" "${@:2}"
[[ "$*" == "build --locked --package release-helper" ]] || exec "$real" "$@"
mkdir -p target/debug
# A small file to hand on; the helper itself has a hundred megabytes of symbols.
cp "$STAGE/programs/built-helper" target/debug/release-helper"#,
    ),
    (
        "built-helper",
        r#"[[ "${*:1:1} ${*:4:3}" == "build --backend cargo --out" ]] || exec "$STAGE/helper/release-helper" "$@"
store=$(cd "$3" && "$STAGE/nix/nix" build --print-out-paths)
cp -r "$store/bin" "$7""#,
    ),
    (
        "codesign",
        "[[ $1 == --verify ]] || { echo \"codesign: only --verify here\" >&2; exit 2; }\n\
         release-helper signature \"${@: -1}\"",
    ),
    (
        "gh",
        r#"case "$1 $2" in
  'attestation verify')
    file=$3
    while (($#)); do
      case $1 in
        --bundle) bundle=$2 ;;
        --signer-workflow) workflow=$2 ;;
        --source-ref) ref=$2 ;;
        --source-digest) commit=$2 ;;
      esac
      shift
    done
    grep -qx "workflow $workflow" "$bundle"
    grep -qx "ref $ref" "$bundle"
    grep -qx "commit $commit" "$bundle"
    grep -qx "$(sha256sum <"$file" | cut -c 1-64)  ${file##*/}" "$bundle"
    ;;
  'api repos/'*)
    answer=$(curl -s --noproxy '*' -w '\n%{http_code}' "$GITHUB_API_URL/$2")
    [[ ${answer##*$'\n'} == 200 ]] || { echo "gh: (HTTP ${answer##*$'\n'})" >&2; exit 1; }
    sed -n 's/.*"tag_name": *"\([^"]*\)".*/\1/p' <<<"$answer" | head -1
    ;;
  # The number of a draft.
  'release view') GITHUB_TOKEN=$GH_TOKEN "$STAGE/helper/release-helper" draft "$3" ;;
  'issue list') echo '[]' ;;
  'issue create' | 'pr create') printf '%s\n' "$*" >>"$STAGE/$1s" ;;
  *) echo "gh: no $1 $2 here" >&2; exit 2 ;;
esac"#,
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

/// What `cachix/install-nix-action` brings: a store that builds a source once. A flake on the server is a clone of the
/// repository. The checks that crane equals naersk are for nix/tests to run.
const NIX: &str = r#"helper=$STAGE/helper/release-helper
flake=
for argument; do
  case $argument in
    github:*)
      [[ ! -e $STAGE/api-limited ]] || { echo "error: HTTP error 403: API rate limit exceeded" >&2; exit 1; }
      flake=${argument%%#*} flake=${flake##*/}
      ;;
    git+*) flake=${argument%%#*} flake=${flake##*/} ;;
  esac
done
if [[ -n $flake ]]; then
  tree=$(mktemp -d)/tree
  git clone --quiet --branch "$flake" "$STAGE/repository" "$tree" 2>/dev/null
  cd "$tree"
fi
stated=$(sed -n 's/^version = "\(.*\)"/\1/p' cmd/tsuku-dltest/Cargo.toml)
if [[ $1 == eval ]]; then
  printf %s "$stated"
  exit
elif [[ $1 == run ]]; then
  [[ $2 == *#build && $3 == -- && $5 == --out ]] || { echo "nix run: only the app build here" >&2; exit 2; }
  exec "$helper" build --root "$tree" --tag "$4" --backend cargo --out "$6"
fi
sources=(Cargo.* release.toml rust-toolchain.toml cmd/tsuku-dltest/{*.toml,src,stubs})
inputs() {
  # It is large, and new whenever cargo has built it.
  stat --dereference --format '%s %y' "$helper"
  find "${sources[@]}" -type f -exec sha256sum {} + | sort
}
store=$STAGE/store/$(inputs | sha256sum | cut -c 1-32)
(
  flock 9
  if ! [[ -e $store ]]; then
    rm -rf "$store.new"
    "$helper" build --backend cargo --out "$store.new/bin" >&2
    (cd "$store.new/bin" && sha256sum -- * >../SHA256SUMS)
    mv "$store.new" "$store"
  fi
) 9>"$STAGE/store/lock"
if [[ $* == *--print-out-paths* ]]; then echo "$store"; fi
[[ $* != *--json* ]] || printf '[{"outputs": {"out": "%s"}}, {"outputs": {"out": "%s"}}]\n' "$store" "$STAGE/toolchain""#;

/// What a stage begins with.
pub struct Scene<'a> {
    /// Tags on the branch.
    pub tags: &'a [&'a str],
    /// Tags on a commit that no branch has.
    pub stray_tags: &'a [&'a str],
    /// The version that the tree states; none leaves it as it is.
    pub stamped: Option<&'a str>,
    /// How the required check of the branch ended.
    pub checked: &'a str,
    /// Whether published releases are immutable.
    pub immutable: bool,
}

impl Default for Scene<'_> {
    fn default() -> Self {
        Self { tags: &[], stray_tags: &[], stamped: None, checked: "success", immutable: false }
    }
}

/// The stage of a run: a repository, a release server, and the stand-ins.
pub struct Stage {
    place: tempfile::TempDir,
    tags: Vec<server::Tag>,
    server: Option<server::Running>,
}

impl Stage {
    /// A stage on which this checkout, as it is on the disk, states the version of `tag` and is tagged with it.
    pub fn new(tag: &str) -> Self {
        Self::of(&Scene { tags: &[tag], stamped: tag.strip_prefix('v'), ..Scene::default() })
    }

    /// The stage of `scene`, with this checkout as it is on the disk.
    pub fn of(scene: &Scene) -> Self {
        let place = tempfile::tempdir().expect("a place for the stage");
        let repository = place.path().join("repository");
        source::copy_tracked(&root(), &repository).expect("a copy of the checkout");
        if let Some(version) = scene.stamped {
            let tag = format!("v{version}").parse().expect("a version");
            release_helper::domain::version::inject(&repository, &tag).expect("a version is injected");
        }
        git(&repository, &["init", "--quiet", "--initial-branch", "main"]);
        git(&repository, &["add", "--all"]);
        git(&repository, &["commit", "--quiet", "--message", "the checkout"]);
        git(&repository, &["branch", "work"]);
        let mut tags = Vec::new();
        let mut tag = |name: &&str| {
            git(&repository, &["tag", "--annotate", "--message", "What is new", "--", name]);
            let commit = commit_of(&repository, "HEAD");
            tags.push(server::Tag { commit, ..server::Tag::annotated(name, "What is new") });
        };
        scene.tags.iter().for_each(&mut tag);
        let commit = commit_of(&repository, "HEAD");
        if !scene.stray_tags.is_empty() {
            git(&repository, &["checkout", "--quiet", "--detach"]);
            git(&repository, &["commit", "--quiet", "--allow-empty", "--message", "seen by nobody"]);
            scene.stray_tags.iter().for_each(&mut tag);
            git(&repository, &["checkout", "--quiet", "main"]);
        }
        let programs = place.path().join("programs");
        for (name, script) in PROGRAMS {
            program(place.path(), &programs, name, script);
        }
        program(place.path(), &place.path().join("nix"), "nix", NIX);
        let toolchain = Toolchain::of_tree(&repository).expect("the pinned toolchain");
        symlink(toolchain.sysroot(), place.path().join("toolchain")).expect("a link");
        fs::create_dir(place.path().join("helper")).expect("a writable place");
        symlink(env!("CARGO_BIN_EXE_release-helper"), place.path().join("helper/release-helper")).expect("a link");
        // As on a machine of one's own, all that come after a build have it, too.
        let store = Path::new(env!("CARGO_TARGET_TMPDIR")).join("nix-store");
        fs::create_dir_all(&store).expect("target is writable");
        symlink(store, place.path().join("store")).expect("a link");
        let checks = vec![server::Check { commit, name: "all-green".into(), conclusion: Some(scene.checked.into()) }];
        let mut stage = Self { place, tags, server: None };
        stage.serve(checks, scene.immutable, server::Plan::default());
        stage
    }

    fn serve(&mut self, checks: Vec<server::Check>, immutable: bool, faults: server::Plan) {
        // The one that serves the folder now has to leave it first.
        self.server = None;
        let server = server::start(server::Options {
            repository: REPOSITORY.to_owned(),
            token: Some(TOKEN.to_owned()),
            tags: self.tags.clone(),
            checks,
            immutable,
            faults,
            ..server::Options::new(&self.place.path().join("releases"))
        });
        self.server = Some(server.expect("a release server"));
    }

    /// The release server.
    pub fn server(&self) -> &server::Running {
        self.server.as_ref().expect("it serves as long as there is a stage")
    }

    /// What git says of the repository: its branches and tags, and what is on them.
    pub fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git").arg("-C").arg(self.place.path().join("repository")).args(arguments).output();
        let output = output.expect("git starts");
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text").trim().to_owned()
    }

    /// The commit that a branch or tag of the repository means.
    pub fn commit_of(&self, name: &str) -> String {
        commit_of(&self.place.path().join("repository"), name)
    }

    /// The file of an artifact of the run.
    pub fn artifact(&self, name: &str, file: &str) -> PathBuf {
        self.place.path().join("artifacts").join(name).join(file)
    }

    /// What the run has left at `name`, such as `attestations` or `issues`: nothing, if it made none.
    pub fn left(&self, name: &str) -> String {
        fs::read_to_string(self.place.path().join(name)).unwrap_or_default()
    }

    /// Puts other bytes in the place of an asset of the newest release, as whoever has write access can.
    pub fn forge(&self, name: &str, bytes: &[u8]) {
        let api = format!("{}/repos/{REPOSITORY}/releases", self.server().url());
        let bearer = format!("Bearer {TOKEN}");
        let answer = ureq::get(&api).header("Authorization", &bearer).call().expect("an answer");
        let releases: Value = serde_json::from_reader(answer.into_body().as_reader()).expect("JSON");
        let assets = releases[0]["assets"].as_array().expect("a release");
        let asset = assets.iter().find(|asset| asset["name"] == name).expect("the asset");
        let url = asset["url"].as_str().expect("an address");
        ureq::delete(url).header("Authorization", &bearer).call().expect("it is deleted");
        let url = releases[0]["upload_url"].as_str().expect("an address");
        let url = url.replace("{?name,label}", &format!("?name={name}"));
        let upload = ureq::post(&url).header("Authorization", &bearer);
        upload.header("Content-Type", "application/octet-stream").send(bytes).expect("it is uploaded");
    }

    /// Has GitHub's API refuse everybody for longer than a job waits, but for the question which release is the latest.
    pub fn limit_the_api(&mut self) {
        fs::write(self.place.path().join("api-limited"), "").expect("a writable place");
        let limited =
            |operation| server::Fault::new(operation, server::Kind::PrimaryLimit).times(u64::MAX / 2).seconds(4000);
        use server::Operation as O;
        let faults = [O::GetReleaseByTag, O::ListReleases, O::GetRelease, O::GetRef].map(limited).to_vec();
        self.serve(Vec::new(), false, server::Plan { faults, random: None });
    }

    /// The directories of programs for every step; Rust's, and the system's.
    pub fn path(&self) -> impl Iterator<Item = PathBuf> {
        [self.place.path().join("programs")].into_iter().chain(system_path())
    }

    /// What every step has in its environment, beside what the runner sets.
    pub fn environment(&self) -> Vec<(String, String)> {
        let mut environment = homes();
        environment.extend([
            ("GITHUB_API_URL".to_owned(), self.server().url().to_owned()),
            ("GITHUB_SERVER_URL".to_owned(), self.server().url().to_owned()),
            ("STAGE".to_owned(), self.place.path().to_string_lossy().into_owned()),
        ]);
        environment
    }
}

fn system_path() -> Vec<PathBuf> {
    let cargo = Path::new(env!("CARGO")).parent().expect("cargo is in a directory").to_owned();
    let system = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&system).chain([cargo]).collect()
}

/// Where Rust is.
fn homes() -> Vec<(String, String)> {
    let home = std::env::var("HOME").unwrap_or_default();
    let or = |name: &str, below: &str| (name.to_owned(), std::env::var(name).unwrap_or(format!("{home}/{below}")));
    vec![or("RUSTUP_HOME", ".rustup"), or("CARGO_HOME", ".cargo")]
}

/// The command that stands in for an action.
pub fn action(uses: &str, with: &Names) -> Result<String, String> {
    let name = uses.split('@').next().unwrap_or_default();
    let given = |name: &str| with.get(name).map(String::as_str).filter(|value| !value.is_empty());
    Ok(match name {
        "actions/checkout" => {
            let path = given("path").unwrap_or(".");
            let commit = given("ref").unwrap_or("\"$GITHUB_SHA\"");
            format!(
                "git clone --quiet --no-checkout \"$STAGE/repository\" {path} 2>/dev/null\n\
                 git -C {path} -c advice.detachedHead=false checkout --quiet {commit}"
            )
        }
        "actions/upload-artifact" => format!(
            "rm -rf \"$STAGE/artifacts/{0}\"; mkdir -p \"$STAGE/artifacts\"; cp -r '{1}' \"$STAGE/artifacts/{0}\"",
            with["name"], with["path"]
        ),
        "actions/download-artifact" => format!(
            // A file in an artifact of the run has lost its permissions.
            "mkdir -p '{1}'\ncp --no-preserve=mode \"$STAGE\"/artifacts/{0}/* '{1}'",
            given("pattern").unwrap_or_else(|| with["name"].as_str()),
            with["path"]
        ),
        "cachix/install-nix-action" => {
            "[[ -e $RUNNER_TEMP/nix-installer ]]\necho \"$STAGE/nix\" >>\"$GITHUB_PATH\"".to_owned()
        }
        "actions/attest" => format!(
            "bundle=$RUNNER_TEMP/bundle.json\n\
             {{ cat '{}'; echo \"workflow $GITHUB_REPOSITORY/.github/workflows/build-rust.yml\"\n\
             echo \"ref refs/tags/$GITHUB_REF_NAME\"; echo \"commit $GITHUB_SHA\"; }} >\"$bundle\"\n\
             cat \"$bundle\" >>\"$STAGE/attestations\"\n\
             echo \"bundle-path=$bundle\" >>\"$GITHUB_OUTPUT\"",
            with["subject-checksums"]
        ),
        _ => return Err(format!("nothing stands in for {uses}")),
    })
}

/// The command that stands in for another one of a leg for `platform`, if any.
pub fn command(run: &str, platform: &str) -> Option<String> {
    let left_out = |reason: &str| Some(format!("echo 'left out here: {reason}'"));
    match run {
        ".github/scripts/fetch-nix-installer.sh" => Some("touch \"$RUNNER_TEMP/nix-installer\"".to_owned()),
        "test ! -e /nix" => left_out("this machine may have Nix"),
        ".ci/apt-install musl" => left_out("nothing is installed on this machine"),
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

fn commit_of(repository: &Path, name: &str) -> String {
    source::commit(repository, name).expect("a commit of the stage")
}

fn git(repository: &Path, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.current_dir(repository).args(["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]);
    let status = command.args(["-c", "commit.gpgsign=false", "-c", "tag.gpgsign=false"]).args(arguments).status();
    assert!(status.expect("git starts").success(), "git {arguments:?}");
}

/// Writes a program. It is told where the stage is, because whoever calls it may pass nothing on.
fn program(stage: &Path, directory: &Path, name: &str, script: &str) {
    fs::create_dir_all(directory).expect("a writable place");
    let path = directory.join(name);
    let homes: String = homes().iter().map(|(name, value)| format!("export {name}='{value}'\n")).collect();
    let system = std::env::join_paths(system_path()).expect("a PATH");
    let head = format!("STAGE='{}'\n{homes}PATH=$PATH:{}", stage.display(), system.display());
    fs::write(&path, format!("#!/usr/bin/env bash\nset -euo pipefail\n{head}\n{script}\n")).expect("a writable place");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a program");
}
