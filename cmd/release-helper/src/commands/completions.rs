//! `completions`: what a shell needs to complete our command line.

use anyhow::Result;
use clap_complete::Shell;

use crate::Verdict;
use crate::plumbing::output;

/// For bash: `source <(release-helper completions bash)`. The Nix package installs them.
#[derive(clap::Args)]
pub struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub fn run(self, command: &mut clap::Command) -> Result<Verdict> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, command, "release-helper", &mut script);
        output::print(String::from_utf8_lossy(&script))?;
        Ok(Verdict::Yes)
    }
}
