//! The workflows of `.github/workflows`: read as data, held to the rules of the house, and run on this machine.
//!
//! `document` reads them, `github` asks GitHub's own packages, `runner` and `leg` execute their jobs, and `stand_ins` is the
//! complete list of what is not GitHub's own in such a run.

mod adoption;
mod ci;
mod command_lines;
mod dependencies;
mod document;
mod github;
#[path = "../support/installed.rs"]
mod installed;
mod leg;
mod linters;
mod prepare_runs;
mod refusals;
mod release_runs;
mod reverify_runs;
mod runner;
#[path = "../support/skipped.rs"]
mod skipped;
mod stand_ins;
mod structure;
