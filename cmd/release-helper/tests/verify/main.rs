//! `verify` says `reproduced` of a release that is what it should be, and of no other.

mod attestations;
mod commits;
mod common;
mod folders;
mod hostile;
mod judging;
mod recipes;
mod served;
mod servers;
mod sources;
mod tagged;
mod trees;
mod walls;
mod whole;
