//! One answer: what happened to a library, as JSON.

use core::ffi::CStr;

use crate::describe;
use crate::json::{self, Sink};
use crate::sys::{self, Ending, Errno, Phase, Slot};

/// How a library's child ended.
#[derive(Clone, Copy)]
pub(crate) enum Outcome {
    /// By itself, or by a signal or stop: its phase says in the midst of what.
    Ended(Ending),
    /// Killed by us at its deadline.
    TimedOut,
    /// It never began.
    NotStarted(Errno),
    /// Twice the driver itself was killed by this signal, the second time with this library alone.
    KilledDriver(u8),
}

/// Writes the answer for the library at `path`; true if it loaded.
pub(crate) fn write(sink: &mut dyn Sink, path: &CStr, outcome: Outcome, slot: Option<Slot>, timeout: u32) -> bool {
    sink.put(b"{\"path\":");
    json::string(sink, path.to_bytes());
    let phase = slot.map_or(Phase::Loading, |slot| slot.phase());
    let tried = matches!(outcome, Outcome::Ended(_) | Outcome::TimedOut);
    if tried && phase == Phase::Loaded {
        sink.put(b",\"ok\":true}");
        return true;
    }
    sink.put(b",\"ok\":false,\"error\":\"");
    let mut signaled = |how: &[u8], signal| {
        sink.put(how);
        sys::signal_name(sink, signal);
    };
    match outcome {
        Outcome::NotStarted(error) => {
            sink.put(b"no process could be started: ");
            error.describe(sink);
        }
        Outcome::KilledDriver(signal) => signaled(b"the driver was killed by ", signal),
        _ if phase == Phase::Failed => slot.iter().for_each(|slot| slot.text(|text| json::text(sink, text))),
        Outcome::Ended(Ending::Exit(status)) => {
            sink.put(b"exited with status ");
            json::decimal(sink, status.into());
        }
        Outcome::Ended(Ending::Signal(signal)) => signaled(b"killed by ", signal),
        Outcome::Ended(Ending::Stopped(signal)) => signaled(b"stopped by ", signal),
        Outcome::TimedOut => {
            sink.put(b"timed out after ");
            json::decimal(sink, timeout);
            sink.put(b" ms");
        }
    }
    let when: &[u8] = match (outcome, phase) {
        (Outcome::NotStarted(_), _) | (_, Phase::Failed) => b"",
        (_, Phase::Loading) => b" while loading",
        (_, Phase::Unloading) => b" while unloading",
        _ => b" after it overwrote its result",
    };
    sink.put(when);
    if let Outcome::Ended(Ending::Signal(signal)) = outcome {
        sink.put(describe::death(signal).as_bytes());
    }
    sink.put(b"\"}");
    false
}
