//! Releases: the client's state machine against the embedded server, the server against GitHub's own description
//! and independent clients, and both against faults.

mod actors;
#[path = "../support/browser.rs"]
mod browser;
mod campaign;
mod clients;
mod command;
mod common;
mod conformance;
mod finalizing;
mod graphql;
mod guard;
#[path = "../support/installed.rs"]
mod installed;
mod pages;
mod rerun;
mod server;
#[path = "../support/skipped.rs"]
mod skipped;
mod sums;
mod tools;
mod traps;
