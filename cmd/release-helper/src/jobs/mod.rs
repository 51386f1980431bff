//! What people come for: each of these takes several rooms of the layer below to answer one question.

pub mod preflight;
pub mod rehearse;
pub mod summary;
pub mod tally;
pub mod vary;
pub mod verify;
