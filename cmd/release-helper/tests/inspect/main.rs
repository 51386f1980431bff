//! `inspect`: every clause holds for a proper artifact, each can be broken alone, and nothing makes it panic.

mod clauses;
mod command;
mod damage;
mod fixtures;
mod peers;
mod rare;
#[path = "../support/skipped.rs"]
mod skipped;

use release_helper::domain::artifact::{self, Inspection};
use release_helper::domain::contract::Platform;

/// Inspects `bytes` as an artifact of `platform`, on a machine that left no traces.
fn inspect(bytes: &[u8], platform: &Platform) -> anyhow::Result<Inspection> {
    let nowhere = artifact::inspect::Surroundings::default();
    artifact::inspect::inspect_in(bytes, platform, &fixtures::contract(), Some(fixtures::VERSION), &nowhere)
}
