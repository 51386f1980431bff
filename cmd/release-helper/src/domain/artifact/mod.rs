//! What a built file is: its parts, read from the bytes; whether it fulfils the contract; how two of them differ.
//!
//! Nothing here trusts an offset, a length or a count found in a file: a hostile file is an error, never a panic, a hang
//! or an allocation larger than the file.

pub mod compare;
mod container;
mod elf;
pub mod inspect;
mod layout;
mod macho;
mod reading;
mod text;
mod view;

use crate::plumbing::bytes::Window;

pub use compare::{Comparison, compare, compare_sources};
pub use container::Container;
pub use inspect::{Inspection, inspect, inspect_source};

/// What kind of file `bytes` are, in a few words: container, class, machine, type.
pub fn describe(bytes: &[u8]) -> String {
    match view::View::read(Window::whole(&bytes)) {
        Ok(view) => view.describe(),
        Err(error) => format!("unreadable: {error:#}"),
    }
}
