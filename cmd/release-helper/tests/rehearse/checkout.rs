//! A fresh checkout of the repository as it is now, committed, in a directory of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

use release_helper::domain::source;

pub(crate) struct Checkout {
    place: tempfile::TempDir,
    path: PathBuf,
}

impl Checkout {
    pub(crate) fn new(name: &str) -> Self {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join(name);
        let root = source::root(None).unwrap();
        source::copy_tracked(&root, &path).unwrap();
        std::fs::create_dir(place.path().join("tmp")).unwrap();
        let checkout = Self { place, path };
        checkout.git(&["init", "--quiet"]);
        checkout.git(&["add", "--all"]);
        checkout.git(&["commit", "--quiet", "--message", "all of it"]);
        checkout
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// A program to run in the checkout, with a directory for temporary files that nobody else uses.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.path).env("TMPDIR", self.place.path().join("tmp"));
        // Set by the cargo that runs the tests; a newcomer's shell has none of it.
        for name in ["CARGO_TARGET_DIR", "RUSTFLAGS", "RUSTUP_TOOLCHAIN"] {
            command.env_remove(name);
        }
        command
    }

    pub(crate) fn helper(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(env!("CARGO_BIN_EXE_release-helper"));
        command.args(arguments);
        command
    }

    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let identity = ["-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "init.defaultBranch=main"];
        let output = self.command("git").args(identity).args(arguments).output().unwrap();
        assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Demands that no scratch directory and no half-written file is left.
    pub(crate) fn assert_no_traces(&self) {
        let mut directories = vec![self.place.path().join("tmp"), self.path.join("dist")];
        while let Some(directory) = directories.pop() {
            let Ok(entries) = directory.read_dir() else { continue };
            for entry in entries.map(Result::unwrap) {
                let name = entry.file_name().to_string_lossy().into_owned();
                assert!(
                    !name.starts_with(".tmp-") && !name.starts_with(".release-helper-"),
                    "left: {:?}",
                    entry.path()
                );
                if entry.file_type().unwrap().is_dir() {
                    directories.push(entry.path());
                }
            }
        }
        let left = self.place.path().join("tmp").read_dir().unwrap().count();
        assert_eq!(left, 0, "{left} temporary files are left");
    }
}
