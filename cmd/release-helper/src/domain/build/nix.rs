//! The Nix backend: `nix build` of the flake's packages, and what its failures mean.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Artifact;
use crate::domain::contract::Platform;
use crate::domain::source;
use crate::domain::toolchain::Toolchain;
use crate::plumbing::error::{Hint, hinted};
use crate::plumbing::process::Call;
use crate::plumbing::{files, foreign, output};

/// What to ask of Nix beyond the artifacts.
#[derive(Clone, Debug)]
pub struct Demands {
    /// Build everything twice, and fail unless both builds give the same bytes.
    pub rebuild: bool,
    /// Tell the compiler of each artifact too. It is fetched for that, even if Nix has the artifact already.
    pub toolchains: bool,
    /// How long to wait before trying again, each time the network fails. Nix itself has tried five times by then.
    pub pauses: Vec<Duration>,
}

impl Default for Demands {
    fn default() -> Self {
        Self { rebuild: false, toolchains: false, pauses: vec![Duration::from_secs(5), Duration::from_secs(20)] }
    }
}

/// What Nix has built.
pub struct Product {
    /// An artifact of each platform, in their order.
    pub artifacts: Vec<Artifact>,
    /// The compiler of each of them, if it was demanded.
    pub toolchains: Vec<Toolchain>,
}

/// Builds the artifacts of `platforms` from the flake in the source tree at `tree`. They are what the packages hold,
/// signed by the flake itself. A git checkout is copied below `place` first: Nix would take all that lies around in it.
pub fn build(platforms: &[&Platform], tree: &Path, place: &Path, demands: &Demands) -> Result<Product> {
    let mut flake = tree.to_owned();
    if tree.join(".git").exists() {
        flake = place.join("flake");
        source::copy_tracked(tree, &flake)?;
    }
    output::step(format_args!("nix build: {} of {}", platforms.len(), tree.display()));
    let names =
        |suffix: &str| platforms.iter().map(|platform| format!("{}{suffix}", platform.name)).collect::<Vec<_>>();
    let mut wanted = names("");
    if demands.toolchains {
        wanted.extend(names(".toolchain"));
    }
    let outputs = persistent(demands, || nix_build(&wanted, &flake, false))?;
    if demands.rebuild {
        persistent(demands, || nix_build(&names(""), &flake, true))?;
    }
    let artifact = |platform: &&Platform| {
        let path = outputs
            .iter()
            .map(|output| output.join("bin").join(&platform.asset))
            .find(|path| path.is_file())
            .with_context(|| format!("the package {} holds no bin/{}", platform.name, platform.asset))
            .hint("compare nix/recipe.nix with the contract")?;
        Ok(Artifact::new(platform, files::read(&path)?))
    };
    let toolchain = |platform: &&Platform| {
        outputs
            .iter()
            .find(|output| output.join("bin/rustc").is_file() && Toolchain::has(output, platform))
            .with_context(|| format!("{0}.toolchain holds no compiler for {0}", platform.name))
            .hint("compare nix/toolchain.nix with the contract")
            .and_then(|output| Toolchain::at(output.clone()))
    };
    let toolchains =
        if demands.toolchains { platforms.iter().map(toolchain).collect::<Result<_>>()? } else { Vec::new() };
    Ok(Product { artifacts: platforms.iter().map(artifact).collect::<Result<_>>()?, toolchains })
}

/// One element of `nix build --json`.
#[derive(Deserialize)]
struct Built {
    outputs: BTreeMap<String, PathBuf>,
}

/// Calls `nix build` of the packages that are named, and returns the store paths of the outputs.
fn nix_build(names: &[String], flake: &Path, again: bool) -> Result<Vec<PathBuf>, Failure> {
    let mut command = Command::new("nix");
    // Where the user's Nix is, and how it is set up.
    let is_own = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with("NIX_");
    command.envs(std::env::vars_os().filter(|(name, _)| is_own(name)));
    if let Some(settings) = std::env::var_os("NIX_CONFIG") {
        command.env("NIX_CONFIG", without_tokens(&settings.to_string_lossy()));
    }
    // Nothing has to be switched on in the user's configuration; nor may an environment variable colour what Nix says.
    command.args(["--extra-experimental-features", "nix-command flakes", "build"]).env("NO_COLOR", "1");
    command.args(["--json", "--no-link", "--no-update-lock-file"]).current_dir(flake);
    if again {
        command.arg("--rebuild");
    }
    command.args(names.iter().map(|name| format!("path:.#{name}")));
    let call = Call::new(command)
        .with_network()
        .hint("install Nix (https://nixos.org/download), or build with --backend cargo");
    let outcome = call.outcome()?;
    if !outcome.status.success() {
        return Err(Failure::of(&String::from_utf8_lossy(&outcome.stderr)));
    }
    let built: Result<Vec<Built>> =
        serde_json::from_slice(&outcome.stdout).context("nix build --json printed something else");
    Ok(built?.into_iter().flat_map(|built| built.outputs.into_values()).collect())
}

/// The lines of `NIX_CONFIG` but those that hold tokens. Those in the user's nix.conf Nix reads by itself.
fn without_tokens(settings: &str) -> String {
    let is_token = |line: &&str| line.split('=').next().is_some_and(|name| name.trim().ends_with("access-tokens"));
    settings.lines().filter(|line| !is_token(line)).map(|line| format!("{line}\n")).collect()
}

/// Does `work` again, after the demanded pauses, as long as it fails for want of a network.
fn persistent<T>(demands: &Demands, work: impl Fn() -> Result<T, Failure>) -> Result<T> {
    for pause in &demands.pauses {
        match work() {
            Err(Failure::Told(told)) if told.reason.passing => {
                output::step(format_args!("{}; trying again in {} s", told.reason.meaning, pause.as_secs()));
                std::thread::sleep(*pause);
            }
            done => return done.map_err(Failure::into),
        }
    }
    work().map_err(Failure::into)
}

/// Why Nix did not build.
enum Failure {
    /// It said why.
    Told(Told),
    /// It could not be asked or understood.
    Other(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Other(error)
    }
}

/// What Nix said, and what that means.
struct Told {
    reason: &'static Reason,
    /// The last error and all that follows it: Nix prints the cause after the places it came through.
    error: String,
}

impl Failure {
    fn of(said: &str) -> Self {
        let reason = REASONS.iter().find(|reason| reason.says.iter().any(|part| said.contains(part)));
        let start = said.rfind("error:").unwrap_or(0);
        let error = said[start..].trim().trim_end_matches("(use '--show-trace' to show detailed location information)");
        Self::Told(Told { reason: reason.unwrap_or(&UNKNOWN), error: error.trim_end().to_owned() })
    }
}

impl From<Failure> for anyhow::Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Told(Told { reason, error }) => {
                let error = error.strip_prefix("error:").unwrap_or(&error).trim();
                hinted(format_args!("{}: {}", reason.meaning, foreign::said(error)), reason.advice)
            }
            Failure::Other(error) => error,
        }
    }
}

/// A failure that is known, by any of the phrases Nix has for it.
struct Reason {
    says: &'static [&'static str],
    meaning: &'static str,
    advice: &'static str,
    /// Whether trying again may help.
    passing: bool,
}

/// Nix's phrases, as 2.8 to 2.31 have them; the first that matches counts. The causes come before their consequences.
const REASONS: [Reason; 14] = [
    Reason {
        says: &["unrecognised flag '--extra-experimental-features'", "is not a recognised command"],
        meaning: "this Nix is too old for flakes",
        advice: "install Nix 2.26 or later, or build with --backend cargo",
        passing: false,
    },
    Reason {
        says: &["experimental Nix feature"],
        meaning: "this Nix has its flakes switched off",
        advice: "add `experimental-features = nix-command flakes` to /etc/nix/nix.conf or ~/.config/nix/nix.conf",
        passing: false,
    },
    Reason {
        says: &["cannot connect to socket", "getting status of /nix/var/nix/daemon-socket", "cannot connect to daemon"],
        meaning: "Nix's daemon cannot be reached",
        advice: "start it (Linux: `sudo systemctl start nix-daemon`; macOS: `sudo launchctl kickstart system/org.nixos.nix-daemon`), \
                 or build with --backend cargo",
        passing: false,
    },
    Reason {
        says: &["specified in 'build-users-group' does not exist", "creating directory '/nix'"],
        meaning: "this Nix has no store or no build users, which Debian's nix-bin does not make",
        advice: "install Debian's nix-setup-systemd too, or Nix from https://nixos.org/download, \
                 or build with --backend cargo",
        passing: false,
    },
    Reason {
        says: &["may not be deterministic"],
        meaning: "two Nix builds of the same source differ",
        advice: "on macOS `--rebuild` itself can cause this (docs/nix.md): delete the output and build again; \
                 elsewhere report it, with what `release-helper compare` says",
        passing: false,
    },
    Reason {
        says: &["are not valid, so checking is not possible"],
        meaning: "Nix can only rebuild what it has built before",
        advice: "build once without --rebuild first",
        passing: false,
    },
    Reason {
        says: &["is not allowed to refer to the following paths"],
        meaning: "the artifact refers to the Nix store, so it would run nowhere else",
        advice: "find the path with `strings`; the linker was given something from outside the source tree",
        passing: false,
    },
    Reason {
        says: &["hash mismatch in fixed-output derivation", "NAR hash mismatch", "mismatch in field 'narHash'"],
        meaning: "a download is not what its pinned digest says",
        advice: "do not build from it: compare the digest with docs/nix.md and report it",
        passing: false,
    },
    Reason {
        says: &["requires lock file changes"],
        meaning: "flake.lock does not fit flake.nix",
        advice: "restore both with git; docs/nix.md says how pins are updated",
        passing: false,
    },
    Reason {
        says: &["HTTP error 403", "HTTP error 429"],
        meaning: "GitHub refuses more downloads for now",
        advice: "wait an hour, or give Nix an `access-tokens = github.com=…` line in nix.conf",
        passing: false,
    },
    Reason {
        says: &["HTTP error 404"],
        meaning: "a pinned input is gone",
        advice: "compare flake.lock with docs/nix.md; a tag's own flake.lock must not be changed",
        passing: false,
    },
    Reason {
        says: &["unable to download"],
        meaning: "Nix cannot download the flake's inputs or a package",
        advice: "check the network or proxy; `--backend cargo` needs none once the Rust targets are installed",
        passing: true,
    },
    Reason {
        says: &["is required to build"],
        meaning: "a package asks for another kind of machine",
        advice: "add a remote builder for it (docs/nix.md), or build with --backend cargo",
        passing: false,
    },
    Reason {
        says: &["failed with exit code", "builder failed", "Cannot build '"],
        meaning: "a build inside Nix failed",
        advice: "`nix log` with the .drv path above shows all of its output",
        passing: false,
    },
];

const UNKNOWN: Reason = Reason {
    says: &[],
    meaning: "nix build failed",
    advice: "run the same `nix build` by hand with --show-trace, or build with --backend cargo",
    passing: false,
};

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    fn told(said: &str) -> (String, String) {
        let error = anyhow::Error::from(Failure::of(said));
        (format!("{error:#}"), crate::plumbing::error::hint_of(&error).unwrap().to_owned())
    }

    /// Verbatim: Nix 2.26.3 and 2.8.0.
    #[test]
    fn each_known_failure_is_named_for_what_it_is() {
        for (said, meaning) in [
            ("error: unrecognised flag '--extra-experimental-features'\nTry 'nix --help'", "this Nix is too old"),
            (
                "error: experimental Nix feature 'flakes' is disabled; add '--extra-experimental-features flakes' to enable it",
                "this Nix has its flakes switched off",
            ),
            (
                "error:\n       … while fetching the input 'path:/project'\n\n       error: cannot connect to socket at \
                 '/nix/var/nix/daemon-socket/socket': No such file or directory\n",
                "Nix's daemon cannot be reached: cannot connect to socket",
            ),
            (
                "error: getting status of /nix/var/nix/daemon-socket/socket: Permission denied\n",
                "Nix's daemon cannot be reached: getting status",
            ),
            (
                "error: the group 'nixbld' specified in 'build-users-group' does not exist\n",
                "this Nix has no store or no build users, which Debian's nix-bin does not make: the group 'nixbld'",
            ),
            (
                "error: creating directory '/nix': Permission denied\n",
                "this Nix has no store or no build users, which Debian's nix-bin does not make: creating directory",
            ),
            (
                "checking outputs of '/nix/store/9dv-random.drv'...\nerror: derivation '/nix/store/9dv-random.drv' may not be \
                 deterministic: output '/nix/store/4xk-random' differs\n",
                "two Nix builds of the same source differ: derivation",
            ),
            (
                "error: some outputs of '/nix/store/nqr-never.drv' are not valid, so checking is not possible\n",
                "Nix can only rebuild what it has built before",
            ),
            (
                "error: output '/nix/store/fnc-refers' is not allowed to refer to the following paths:\n         \
                 /nix/store/fnc-refers\n",
                "the artifact refers to the Nix store",
            ),
            (
                "error: hash mismatch in fixed-output derivation '/nix/store/0nx-hash.drv':\n         specified: sha256-A\n",
                "a download is not what its pinned digest says",
            ),
            (
                "error: mismatch in field 'narHash' of input '{\"narHash\":\"sha256-A\"}', got '{\"narHash\":\"sha256-B\"}'",
                "a download is not what its pinned digest says",
            ),
            (
                "error:\n       … while updating the lock file of flake 'path:/tmp/o'\n\n       error: flake 'path:/tmp/o' \
                 requires lock file changes but they're not allowed due to '--no-update-lock-file'\n",
                "flake.lock does not fit flake.nix: flake",
            ),
            (
                "error: a 'aarch64-darwin' with features {} is required to build '/nix/store/n4n-foreign.drv', but I am a \
                 'x86_64-linux' with features {kvm}\n",
                "a package asks for another kind of machine",
            ),
            (
                "error: builder for '/nix/store/cpd-fails.drv' failed with exit code 3;\n       last 1 log lines:\n       \
                 > this is why\n",
                "a build inside Nix failed: builder for",
            ),
            ("error: flake 'path:.' does not provide attribute 'nosuch'\n", "nix build failed: flake 'path:.'"),
        ] {
            let (message, hint) = told(said);
            assert!(message.starts_with(meaning), "{message}");
            assert!(!hint.is_empty() && !message.contains(&hint));
        }
    }

    #[test]
    fn settings_are_passed_on_without_their_tokens() {
        let settings = "sandbox = true\naccess-tokens = github.com=secret\n extra-access-tokens=x=secret\ncores = 2";
        assert_eq!(without_tokens(settings), "sandbox = true\ncores = 2\n");
    }

    #[test]
    fn what_a_failed_build_printed_is_part_of_the_error() {
        let (message, hint) = told("error: builder for '/nix/store/a.drv' failed with exit code 3;\n  > this is why\n");
        assert!(message.ends_with("> this is why") && hint.contains("nix log"), "{message}");
    }

    #[test]
    fn the_network_is_given_more_chances_and_nothing_else_is() {
        const NETWORK: &str = "error: unable to download 'https://api.github.com/': Could not resolve hostname (6)";
        let demands = Demands { pauses: vec![Duration::ZERO; 2], ..Demands::default() };
        let attempts = Cell::new(0);
        let count = |said: &'static str, until: u32| {
            attempts.set(0);
            persistent(&demands, || {
                attempts.set(attempts.get() + 1);
                if attempts.get() == until { Ok(()) } else { Err(Failure::of(said)) }
            })
        };
        assert!(count(NETWORK, 3).is_ok());
        assert!(format!("{:#}", count(NETWORK, 4).unwrap_err()).starts_with("Nix cannot download"));
        assert_eq!(attempts.get(), 3);
        for final_one in
            ["error: unable to download 'https://x': HTTP error 404", "error: cannot connect to socket at 'x'"]
        {
            assert!(count(final_one, 2).is_err());
            assert_eq!(attempts.get(), 1, "{final_one}");
        }
    }
}
