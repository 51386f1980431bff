//! The rooms of the helper that are fuzzed, under the names they have there.

#[path = "../src/codesign/mod.rs"]
pub mod codesign;
#[path = "../src/error.rs"]
pub mod error;
