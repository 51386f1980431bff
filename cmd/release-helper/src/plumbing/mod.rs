//! What any program of this kind needs, and that knows nothing of releases.

pub mod bytes;
pub mod confine;
pub mod date;
pub mod digest;
pub mod error;
pub mod files;
pub mod foreign;
pub mod interrupt;
pub mod output;
pub(crate) mod place;
pub mod process;
