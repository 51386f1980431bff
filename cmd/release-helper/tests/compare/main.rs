//! `compare`: where two files differ, and why, on pairs made here and on real ones from PyPI.

mod causes;
mod command;
mod diffoscope;
#[path = "../inspect/fixtures.rs"]
mod fixtures;
mod places;
#[path = "../support/skipped.rs"]
mod skipped;
mod wheels;

use release_helper::domain::artifact::{Comparison, compare};
use release_helper::domain::contract::Platform;

/// The platforms whose artifacts can be linked here.
fn platforms() -> Vec<Platform> {
    fixtures::contract().platforms().filter(|platform| fixtures::has_target(platform)).cloned().collect()
}

/// A comparison that must be different and consistent in itself.
#[track_caller]
fn different(a: &[u8], b: &[u8]) -> Comparison {
    let comparison = compare(a, b);
    assert!(!comparison.same && !comparison.places.is_empty());
    for (side, bytes) in [(&comparison.a, a), (&comparison.b, b)] {
        assert_eq!(side.size, bytes.len() as u64);
        let mut position = 0;
        for part in &side.map.parts {
            assert_eq!(part.offset, position, "{} leaves a gap", part.name);
            position += part.size;
        }
        assert_eq!(position, side.size);
    }
    comparison
}

/// The names of the parts in which two files differ.
fn places(comparison: &Comparison) -> Vec<&str> {
    comparison.places.iter().map(|place| place.name.as_str()).collect()
}

/// The text of the cause of a kind.
#[track_caller]
fn cause<'a>(comparison: &'a Comparison, kind: &str) -> &'a str {
    let found = comparison.causes.iter().find(|cause| cause.kind == kind);
    &found.unwrap_or_else(|| panic!("no cause {kind:?} among {:#?}", comparison.causes)).text
}
