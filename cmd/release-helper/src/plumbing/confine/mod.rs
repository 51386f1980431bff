//! Walls around a program and all that it starts: it reads what it needs, writes its own folder, and reaches nothing
//! else. The build of a stranger's source runs inside (docs/trust.md).

#[cfg(target_os = "linux")]
mod linux;
mod strength;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::sync::OnceLock;

use anyhow::{Context, Result, anyhow, ensure};

use crate::plumbing::error::Hint;

pub use strength::Strength;

/// What a program inside may reach, beside [`SYSTEM`] and `/dev/null`.
#[derive(Clone, Debug, Default)]
pub struct Walls {
    /// What it may read and execute.
    pub readable: Vec<PathBuf>,
    /// Where it may do everything.
    pub writable: Vec<PathBuf>,
}

impl Strength {
    /// How strong walls are on this machine.
    pub fn here() -> &'static Self {
        static HERE: OnceLock<Strength> = OnceLock::new();
        HERE.get_or_init(|| {
            // What is entered cannot be left: a thread tries it.
            let tried = std::thread::spawn(|| Walls::default().enter()).join();
            match tried {
                Ok(Ok(strength)) => strength,
                Ok(Err(error)) => Self::None(format!("{error:#}")),
                Err(_) => Self::None("the attempt failed".to_owned()),
            }
        })
    }
}

impl Walls {
    /// Puts this thread, and all that it starts, inside. There is no way back.
    pub fn enter(&self) -> Result<Strength> {
        #[cfg(target_os = "linux")]
        let strength = linux::enter(&self.readable, &self.writable);
        #[cfg(not(target_os = "linux"))]
        let strength = Ok(Strength::None(format!("{} has no Landlock", std::env::consts::OS)));
        strength
    }

    /// Starts `command` inside. The caller's own thread stays outside.
    pub fn spawn(self, mut command: Command) -> Result<Child> {
        let expected = Strength::here();
        let inside = move || -> Result<Child> {
            let strength = self.enter()?;
            ensure!(strength == *expected, "the walls are weaker than they should be: {strength}, not {expected}");
            Ok(command.spawn()?)
        };
        // Landlock and seccomp hold for one thread and what it starts.
        std::thread::spawn(inside).join().map_err(|_| anyhow!("cannot start a thread inside the walls"))?
    }

    /// The beginning of a command line that does the same: this program's own `confine`. For what is started by
    /// another program that must stay outside.
    pub fn command_line(&self) -> Result<Vec<OsString>> {
        let own = std::env::current_exe().context("cannot tell where this program lies")?;
        let mut line = vec![own.into_os_string(), "confine".into()];
        let mut add = |option: &str, paths: &[PathBuf]| {
            line.extend(paths.iter().flat_map(|path| [option.into(), path.clone().into_os_string()]));
        };
        add("--read", &self.readable);
        add("--write", &self.writable);
        line.push("--".into());
        Ok(line)
    }

    /// Becomes `program` inside.
    pub fn exec(&self, program: &Path, arguments: &[OsString]) -> Result<std::convert::Infallible> {
        use std::os::unix::process::CommandExt;
        self.enter()?;
        let error = Command::new(program).args(arguments).exec();
        Err(error).with_context(|| format!("cannot run {}", program.display())).hint("check that the program is there")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_says_how_strong_the_walls_are_and_what_is_open() {
        assert_eq!(Strength::Full.to_string(), "confined");
        assert_eq!(Strength::Partial("sockets".to_owned()).to_string(), "partly confined (sockets)");
        assert_eq!(Strength::None("no Landlock".to_owned()).to_string(), "not confined (no Landlock)");
    }

    #[test]
    fn a_command_line_names_every_place_as_what_it_is() {
        let walls = Walls { readable: vec!["/a".into(), "/b".into()], writable: vec!["/c d".into()] };
        let line = walls.command_line().unwrap();
        assert_eq!(Path::new(&line[0]), std::env::current_exe().unwrap());
        assert_eq!(line[1..], ["confine", "--read", "/a", "--read", "/b", "--write", "/c d", "--"]);
    }
}
