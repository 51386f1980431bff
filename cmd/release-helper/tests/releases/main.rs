//! Releases: the client's state machine against the embedded server, the server against GitHub's own description
//! and independent clients, and both against faults.

mod campaign;
mod clients;
mod command;
mod common;
mod conformance;
#[path = "../shared/installed.rs"]
mod installed;
mod rerun;
mod server;
mod sums;
mod tools;
mod traps;
