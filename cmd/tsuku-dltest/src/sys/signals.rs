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
    let mut before = signal.wrapping_sub(1);
    let mut name = NAMES.as_bytes();
    while before > 0 && !name.is_empty() {
        before -= u8::from(name[0] == b' ');
        name = &name[1..];
    }
    if name.is_empty() {
        sink.put(b"signal ");
        return decimal(sink, signal.into());
    }
    sink.put(b"SIG");
    for byte in name {
        if *byte == b' ' {
            break;
        }
        sink.put(&[*byte]);
    }
}
