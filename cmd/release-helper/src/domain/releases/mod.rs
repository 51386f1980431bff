//! Releases on GitHub, made so that every step can be repeated: a run that was cut off anywhere is continued by
//! running the same command again. The traps behind each rule are listed, with evidence, in issue 5.
//!
//! One draft per tag (the oldest release with the tag is *the* release); assets are compared by size and digest and
//! replaced on drafts only; publishing is the last write and happens only when the exact set is there. A published release
//! that lost its sums, and nothing else, gets them back.

mod address;
mod api;
mod client;
pub mod clock;
mod download;
mod draft;
mod failure;
mod finalize;
mod limits;
mod progress;
pub mod runner;
mod sums;
mod token;
mod upload;

pub use api::{Asset, CheckRun, Release};
pub use client::{Client, Report};
pub use download::{Downloaded, download};
pub use draft::{Draft, Notes, State, draft};
pub use failure::{Cause, Failure};
pub use finalize::{Expectation, Finalized, ensure_tag, finalize};
pub use limits::Limits;
pub use sums::{Sums, digest_of_file};
pub use upload::{Check, Outcome, Rules, Uploaded, upload};
