//! What can be different around a build. The list follows reprotest's
//! (<https://salsa.debian.org/reproducible-builds/reprotest>): its eleven that apply to a build without a
//! package manager, and those that concern cargo.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

use super::clock;
use crate::domain::build::cargo::{Surroundings, staged};
use crate::plumbing::files;
use crate::plumbing::process::{self, Call};

/// One thing around a build that must not reach its bytes.
pub struct Variation {
    /// Its name, as results give it.
    pub name: &'static str,
    /// What is different when it is applied.
    pub what: &'static str,
    apply: fn(&mut Plan),
}

/// Where and how a build is to happen; variations change it.
pub struct Plan {
    /// The directory that is this run's alone. It holds whatever the variations need, beside the build's own place.
    pub room: PathBuf,
    /// The directory below which the build happens.
    pub place: PathBuf,
    /// What is around it.
    pub surroundings: Surroundings,
    /// The library that moves the clock, where there is one.
    pub clock: Option<PathBuf>,
    /// What is done to the staged source before the build.
    prepare: Vec<fn(&Path) -> Result<()>>,
}

impl Plan {
    /// The plan in which nothing is varied, below `room`.
    pub fn new(room: &Path, clock: Option<PathBuf>) -> Self {
        let mut plan = Self {
            room: room.to_owned(),
            place: room.join("place"),
            surroundings: Surroundings::default(),
            clock,
            // Copies are as old as the round; in every round they shall be equally old.
            prepare: vec![|source| set_times(source, 1_600_000_000)],
        };
        plan.surroundings.home = Some(room.join("home"));
        plan.surroundings.cargo_home = Some(room.join("cargo-home"));
        plan.set("TMPDIR", plan.room.join("temporary"));
        plan
    }

    /// Applies `variation`.
    pub fn vary(&mut self, variation: &Variation) {
        (variation.apply)(self);
    }

    /// Makes the clock stand still at a fixed instant, where it can be moved.
    pub fn stop_clock(&mut self) {
        self.set_clock("=1700000000");
    }

    /// Creates the directories of the plan, and does to the source in its place what the variations want.
    pub fn prepare(&self) -> Result<()> {
        let temporary = self.surroundings.environment.iter().rev().find(|(name, _)| name == "TMPDIR");
        let temporary = temporary.and_then(|(_, value)| value.as_ref()).map(PathBuf::from);
        let homes = [&self.surroundings.home, &self.surroundings.cargo_home, &temporary];
        homes.into_iter().flatten().try_for_each(|directory| files::create_dir(directory))?;
        let staged = staged(&self.place);
        self.prepare.iter().try_for_each(|prepare| prepare(&staged))
    }

    /// Why this plan cannot be carried out here, if it cannot: starts a program that does nothing in it.
    pub fn obstacle(&self) -> Result<Option<String>> {
        files::create_dir(&staged(&self.place))?;
        files::write(&staged(&self.place).join("file"), b"")?;
        self.prepare()?;
        let program = process::find("true").context("there is no `true` on PATH")?;
        match self.surroundings.call(&program, &self.place, &[])?.outcome() {
            Ok(outcome) if outcome.status.success() => Ok(None),
            Ok(outcome) => {
                let said = String::from_utf8_lossy(&outcome.stderr).into_owned();
                Ok(Some(said.lines().next().map_or_else(|| outcome.status.to_string(), str::to_owned)))
            }
            Err(error) => Ok(Some(format!("{error:#}"))),
        }
    }

    fn set(&mut self, name: &str, value: impl Into<OsString>) {
        self.surroundings.environment.push((name.into(), Some(value.into())));
    }

    fn wrap<const N: usize>(&mut self, program: [&str; N]) {
        self.surroundings.wrapper.extend(program.map(OsString::from));
    }

    /// Starts the build from a shell that first does what `script` says. `$0` is the source's directory.
    fn wrap_in_shell(&mut self, script: &str) {
        self.wrap(["sh", "-c", &format!("{script} exec \"$@\"")]);
        self.surroundings.wrapper.push(staged(&self.place).into());
    }

    fn set_clock(&mut self, setting: &str) {
        if let Some(library) = self.clock.clone() {
            self.set("LD_PRELOAD", library);
            self.set(clock::VARIABLE, setting);
        } else {
            // Found by `obstacle`: there is no way to move the clock here.
            self.wrap(["sh", "-c", "echo 'no library to move the clock with' >&2; exit 1"]);
        }
    }
}

/// A part of a path that is long and has every character that is legal and unusual. Not among them: the colon,
/// which separates the directories of library search paths, and the quote, the backslash and control characters,
/// which a manifest cannot hold; brackets and braces, which cargo takes for a pattern in a path to `cmd/*`; the percent
/// sign, which LLVM replaces by random digits when it opens an output file.
const ODD: &str = "a b  (c) #1 +x =y ,z ~ @ & ; ! $HOME ü 漢";

/// All variations. Those that change the path come first: others refer to it.
pub const ALL: &[Variation] = &[
    Variation {
        name: "build-path-length",
        what: "built 180 characters deeper",
        apply: |plan| plan.place = plan.place.join(["d".repeat(59).as_str(); 3].join("/")),
    },
    Variation {
        name: "build-path-characters",
        what: "built in a directory with blanks, signs and letters of other scripts in its name",
        apply: |plan| plan.place = plan.place.join(ODD),
    },
    Variation {
        name: "target-directory",
        what: "cargo's target directory is elsewhere",
        apply: |plan| plan.surroundings.target = Some(plan.room.join("elsewhere/out")),
    },
    Variation {
        name: "home",
        what: "HOME is another directory",
        apply: |plan| plan.surroundings.home = Some(plan.room.join("another home")),
    },
    Variation {
        name: "cargo-home",
        what: "CARGO_HOME is another directory",
        apply: |plan| plan.surroundings.cargo_home = Some(plan.room.join("another-cargo")),
    },
    Variation {
        name: "temporary-directory",
        what: "TMPDIR is another directory",
        apply: |plan| plan.set("TMPDIR", plan.room.join("tmp of another")),
    },
    Variation { name: "time-zone", what: "TZ is twelve hours away", apply: |plan| plan.set("TZ", "GST+12") },
    Variation {
        name: "locale",
        what: "language, sorting and number format are Turkish",
        apply: |plan| {
            plan.set("LANG", "tr_TR.UTF-8");
            plan.set("LC_ALL", "tr_TR.UTF-8");
            plan.set("LANGUAGE", "tr");
        },
    },
    Variation {
        name: "clock",
        what: "the clock is 398 days and seven hours ahead",
        apply: |plan| plan.set_clock("+34412400"),
    },
    Variation {
        name: "source-date-epoch",
        what: "SOURCE_DATE_EPOCH is set",
        apply: |plan| plan.set("SOURCE_DATE_EPOCH", "86400"),
    },
    Variation {
        name: "environment",
        what: "there are variables no build knows",
        apply: |plan| {
            plan.set("CAPTURE_ENVIRONMENT", "i_capture_the_environment");
            plan.set("EMPTY", "");
            plan.set("VERSION", "9.9.9");
            plan.set("CI", "true");
        },
    },
    Variation {
        name: "compiler-flags",
        what: "CFLAGS, CXXFLAGS, CPPFLAGS and LDFLAGS ask for debug information",
        apply: |plan| {
            ["CFLAGS", "CXXFLAGS", "CPPFLAGS", "LDFLAGS"].into_iter().for_each(|name| plan.set(name, "-g -O0"))
        },
    },
    Variation {
        name: "search-path",
        what: "PATH has more directories, at both ends",
        apply: |plan| {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let mut longer = OsString::from("/i_capture_the_path_before:");
            longer.push(path);
            longer.push(":/i_capture_the_path");
            plan.set("PATH", longer);
        },
    },
    Variation { name: "jobs", what: "cargo runs seven jobs at once", apply: |plan| plan.surroundings.jobs = Some(7) },
    Variation {
        name: "one-by-one",
        what: "each platform is built in a run of cargo of its own",
        apply: |plan| plan.surroundings.one_by_one = true,
    },
    Variation {
        name: "host",
        what: "rustc says that it runs on a Mac with an Arm processor",
        apply: |plan| plan.surroundings.told.push(("host", "aarch64-apple-darwin")),
    },
    Variation {
        name: "cargo-hash",
        what: "rustc says that it was made on another day, which is in all of cargo's hashes",
        apply: |plan| plan.surroundings.told.push(("commit-date", "2001-01-01")),
    },
    Variation {
        name: "file-times",
        what: "the source files are from 2001",
        apply: |plan| {
            plan.prepare.push(|source| set_times(source, 1_000_000_000));
        },
    },
    Variation {
        name: "file-modes",
        what: "the source files may be executed and written by everybody",
        apply: |plan| {
            plan.prepare.push(|source| {
                walk(source, &|path| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)))
            });
        },
    },
    Variation {
        name: "git",
        what: "the source is a git repository with a commit, a tag and a change",
        apply: |plan| plan.prepare.push(make_repository),
    },
    // From here on the build is started by other programs. The user comes last: it gives up the rights the others need.
    Variation {
        name: "file-order",
        what: "directories list their entries the other way round (disorderfs)",
        apply: |plan| {
            plan.prepare.push(|source| {
                let beneath = beneath(source);
                std::fs::rename(source, &beneath).with_context(|| format!("cannot move {}", source.display()))?;
                files::create_dir(source)
            });
            plan.wrap(["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child"]);
            let options = "--quiet --multi-user=no --sort-dirents=yes --reverse-dirents=yes";
            // The shell stays: it is the namespace's first process, and must collect what others leave behind.
            let script = format!("disorderfs {options} \"$0\"{BENEATH} \"$0\" >&2 && cd \"$0\" && \"$@\"; exit $?");
            plan.wrap(["sh", "-c", &script]);
            plan.surroundings.wrapper.push(staged(&plan.place).into());
        },
    },
    Variation {
        name: "host-name",
        what: "the machine has another name",
        apply: |plan| {
            plan.wrap(["unshare", "--user", "--map-root-user", "--uts"]);
            plan.wrap_in_shell("echo i-capture-the-hostname.example >/proc/sys/kernel/hostname &&");
        },
    },
    Variation {
        name: "network",
        what: "there is no network",
        apply: |plan| plan.wrap(["unshare", "--user", "--map-root-user", "--net"]),
    },
    Variation {
        name: "kernel",
        what: "the kernel says it is version 2.6",
        apply: |plan| plan.wrap(["setarch", "--uname-2.6"]),
    },
    Variation {
        name: "address-layout",
        what: "addresses are not random",
        apply: |plan| plan.wrap(["setarch", "--addr-no-randomize"]),
    },
    Variation {
        name: "cores",
        what: "there is one processor",
        apply: |plan| {
            let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
            let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or("0").trim();
            let first = list.split([',', '-']).next().unwrap_or("0");
            if first == list {
                plan.wrap(["sh", "-c", "echo 'there is only one processor' >&2; exit 1"]);
            }
            plan.wrap(["taskset", "--cpu-list", first]);
        },
    },
    Variation {
        name: "umask",
        what: "new files are for their owner alone",
        apply: |plan| plan.wrap_in_shell("umask 077;"),
    },
    Variation {
        name: "terminal",
        what: "standard input and output are a terminal",
        apply: |plan| {
            plan.set("TERM", "xterm-256color");
            plan.set("SHELL", "/bin/sh");
            // util-linux' `script` takes one string; a word with a quote in it becomes several quoted parts. Its own
            // input is a pipe that never ends and never says anything: at the end of a file it would spin.
            let quote = r#"printf %s "$word" | sed "s/'/'\\\\''/g""#;
            let line = format!(r#"line=; for word do line="$line '$({quote})'"; done;"#);
            let start = r#"rm -f "$0.input" && mkfifo "$0.input" && exec script --quiet --return --command "$line" /dev/null <>"$0.input""#;
            plan.wrap(["sh", "-c", &format!("{line} {start}")]);
            plan.surroundings.wrapper.push(staged(&plan.place).into());
        },
    },
    Variation {
        name: "user",
        what: "user and group are number 1234, called builder",
        apply: |plan| {
            plan.set("USER", "builder");
            plan.set("LOGNAME", "builder");
            plan.wrap(["unshare", "--user", "--map-user=1234", "--map-group=1234"]);
        },
    },
];

/// Ends the name of the directory that disorderfs shows at the source's place.
const BENEATH: &str = ".beneath";

fn beneath(source: &Path) -> PathBuf {
    let mut path = source.as_os_str().to_owned();
    path.push(BENEATH);
    path.into()
}

/// Does `change` to every file and directory below `path`, and to itself, contents before directories.
fn walk(path: &Path, change: &dyn Fn(&Path) -> std::io::Result<()>) -> Result<()> {
    if path.is_dir() {
        for entry in path.read_dir().with_context(|| format!("cannot list {}", path.display()))? {
            walk(&entry.with_context(|| format!("cannot list {}", path.display()))?.path(), change)?;
        }
    }
    change(path).with_context(|| format!("cannot change {}", path.display()))
}

/// Makes every file below `source` last modified so many seconds after 1970.
fn set_times(source: &Path, seconds: u64) -> Result<()> {
    let then = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    walk(source, &|path| std::fs::File::open(path)?.set_modified(then))
}

fn make_repository(source: &Path) -> Result<()> {
    let git = |arguments: &[&str]| -> Result<()> {
        let mut command = Command::new("git");
        command.arg("-C").arg(source).args(arguments);
        let who = [("NAME", "A. Builder"), ("EMAIL", "builder@example.org")];
        for (role, (what, value)) in ["AUTHOR", "COMMITTER"].into_iter().flat_map(|role| who.map(|who| (role, who))) {
            command.env(format!("GIT_{role}_{what}"), value);
        }
        Call::new(command).read().map(drop)
    };
    git(&["init", "--quiet"])?;
    git(&["add", "--all"])?;
    git(&["commit", "--quiet", "--no-verify", "--no-gpg-sign", "--message", "i capture the repository"])?;
    git(&["-c", "tag.gpgSign=false", "tag", "v9.9.9"])?;
    files::write(&source.join("uncommitted"), b"a change\n")
}
