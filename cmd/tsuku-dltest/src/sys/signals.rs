//! Names of signals.

use crate::json::{Sink, decimal};

/// From 1 on, in order, without `SIG`. One string and no table of strings: it needs no relocation.
#[cfg(target_os = "linux")]
const NAMES: &str = "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP \
                     TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH IO PWR SYS";
#[cfg(target_os = "macos")]
const NAMES: &str = "HUP INT QUIT ILL TRAP ABRT EMT FPE KILL BUS SEGV SYS PIPE ALRM TERM URG STOP TSTP CONT CHLD TTIN \
                     TTOU IO XCPU XFSZ VTALRM PROF WINCH INFO USR1 USR2";

/// Writes `SIGSEGV`, or `signal 40` for one without a name.
pub(crate) fn signal_name(sink: &mut dyn Sink, signal: u8) {
    match NAMES.split(' ').nth(usize::from(signal).wrapping_sub(1)) {
        Some(name) => {
            sink.put(b"SIG");
            sink.put(name.as_bytes());
        }
        None => {
            sink.put(b"signal ");
            decimal(sink, signal.into());
        }
    }
}
