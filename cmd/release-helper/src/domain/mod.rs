//! What this project is about, a room for each concern. Data flows one way:
//! contract → artifact → inspected → signed → digest → asset → published → verified.

pub mod artifact;
pub mod build;
pub mod codesign;
pub mod contract;
pub mod exercise;
pub mod provenance;
pub mod record;
pub mod releases;
pub mod server;
pub mod source;
pub mod toolchain;
pub mod version;
