//! `confine`: another program inside walls. For `vary`, whose builds are started by programs that must stay outside.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::Result;

use crate::Verdict;
use crate::plumbing::confine::Walls;

/// Runs a program that reads and writes what is named, and the system's programs and libraries, and nothing else
#[derive(clap::Args)]
pub struct Confine {
    /// A file or directory to read and execute; may be given again
    #[arg(long, value_name = "PATH")]
    read: Vec<PathBuf>,
    /// A directory to do everything in; may be given again
    #[arg(long, value_name = "DIR")]
    write: Vec<PathBuf>,
    /// The program
    program: PathBuf,
    /// Its arguments
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl Confine {
    pub fn run(self) -> Result<Verdict> {
        let walls = Walls { readable: self.read, writable: self.write };
        match walls.exec(&self.program, &self.arguments)? {}
    }
}
