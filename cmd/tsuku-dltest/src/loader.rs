//! The child: one library, loaded and unloaded. Whatever happens to it, the phase it left in its slot is the answer.

use core::ffi::CStr;

use crate::describe;
use crate::json::Sink;
use crate::sys::{self, Asked, Kind, Phase, Slot};

/// Loads and unloads the library at `path` and leaves the outcome in `slot`.
pub(crate) fn load(path: &CStr, slot: &mut Slot) {
    let loaded = attempt(path, slot);
    slot.enter(if loaded { Phase::Loaded } else { Phase::Failed });
}

fn attempt(path: &CStr, slot: &mut Slot) -> bool {
    let bytes = path.to_bytes();
    // To dlopen, an empty name is the program itself.
    if bytes.is_empty() {
        slot.put(b"the path is empty");
        return false;
    }
    // A name without a slash is searched for by the loader: there is no file to look at.
    let is_file = bytes.contains(&b'/');
    if is_file && let Kind::Blocking(kind) = sys::kind(path) {
        // The loader would wait for whoever is at its other end.
        slot.put(bytes);
        slot.put(b": is ");
        slot.put(kind.as_bytes());
        slot.put(b", not a library");
        return false;
    }
    let asked = Asked::new(path);
    sys::dl_error(slot, false);
    let Some(library) = sys::dl_open(path) else {
        sys::dl_error(slot, true);
        if is_file {
            explain(path, slot);
        }
        return false;
    };
    if is_file && let Some(why) = asked.was_not_loaded() {
        slot.put(bytes);
        slot.put(why.as_bytes());
        return false;
    }
    slot.enter(Phase::Unloading);
    if !library.close() {
        slot.put(b"dlclose: ");
        sys::dl_error(slot, true);
        return false;
    }
    true
}

/// Adds what the file is, if it can be no library here.
fn explain(path: &CStr, slot: &mut Slot) {
    let mut head = [0; describe::HEAD];
    if let Some(head) = sys::head(path, &mut head)
        && let Some(phrase) = describe::mismatch(head)
    {
        slot.put(b" (the file is ");
        for part in phrase {
            slot.put(part.as_bytes());
        }
        slot.put(b")");
    }
}
