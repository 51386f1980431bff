//! `man`: our manual pages.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap_mangen::Man as Page;

use crate::Verdict;
use crate::plumbing::{files, output};

/// Without a directory: the page of the whole, for `man --local-file -`. The Nix package installs them.
#[derive(clap::Args)]
pub struct Man {
    /// Write the pages of all commands into this directory
    #[arg(long, value_name = "DIR")]
    directory: Option<PathBuf>,
}

impl Man {
    pub fn run(self, command: &clap::Command) -> Result<Verdict> {
        let mut command = command.clone();
        command.build();
        match self.directory {
            None => output::print(String::from_utf8_lossy(&render(&command)?))?,
            Some(directory) => {
                files::create_dir(&directory)?;
                write(&command, &directory)?;
            }
        }
        Ok(Verdict::Yes)
    }
}

/// The page of `command`, and those of the commands below it.
fn write(command: &clap::Command, directory: &std::path::Path) -> Result<()> {
    let name = command.get_display_name().unwrap_or_else(|| command.get_name());
    files::write(&directory.join(format!("{name}.1")), &render(command)?)?;
    let below = command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help");
    below.into_iter().try_for_each(|below| write(below, directory))
}

fn render(command: &clap::Command) -> Result<Vec<u8>> {
    let mut page = Vec::new();
    Page::new(command.clone()).render(&mut page).context("cannot write a manual page")?;
    Ok(page)
}
