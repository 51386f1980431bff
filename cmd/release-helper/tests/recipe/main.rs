//! The recipe of the released bytes: they follow the source and rustc, and nothing else.

mod alone;
mod hash;
mod hosts;
mod package;
mod recipe;
mod sdk;
#[path = "../support/skipped.rs"]
mod skipped;
mod stubs;
