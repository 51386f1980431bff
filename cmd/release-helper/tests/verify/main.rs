//! `verify` says `reproduced` of a release that is what it should be, and of no other.

mod attestations;
#[path = "../support/browser.rs"]
mod browser;
mod by_nix;
mod commits;
mod common;
mod folders;
mod hostile;
mod judging;
#[path = "../support/nix.rs"]
mod nix;
mod pages;
mod recipes;
mod reports;
mod served;
mod servers;
#[path = "../support/skipped.rs"]
mod skipped;
mod sources;
mod tagged;
mod trees;
mod walls;
mod whole;
