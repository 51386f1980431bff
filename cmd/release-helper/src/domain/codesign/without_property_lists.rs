//! A helper built without the feature `property-lists`: it makes no identifier of one. `cargo rehearse` is such a one, since
//! its artifacts hold none, and the library for them brings 6 more.

use anyhow::{Result, anyhow};

use crate::plumbing::error::Hint;

/// That nothing here can read it.
pub(super) fn bundle_identifier(_: &[u8]) -> Result<Option<String>> {
    Err(anyhow!("this helper was built without property lists"))
        .hint("use `cargo release-helper`, or give --identifier")
}
