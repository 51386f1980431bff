//! What `sign`, `unsign` and `signature` promise, on real Mach-O files.

mod apple;
mod corpus;
mod files;
mod finds;
mod forms;
mod images;
mod invariants;
mod mutations;
mod programs;
mod refusals;
#[path = "../support/skipped.rs"]
mod skipped;
