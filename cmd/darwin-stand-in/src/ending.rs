//! How a run ends that goes beyond what is known here, or that macOS would not begin.

use std::ffi::OsString;
use std::fmt::Arguments;
use std::fs::File;
use std::io::Write as _;
use std::sync::OnceLock;

/// The status of a run that asked for something unknown: a flag, an option, a value, a load command.
const UNKNOWN: i32 = 119;
/// The status of a run whose program macOS would not start.
const REFUSED: i32 = 118;
/// Where to write down what was unknown, too: the standard error of a child is nobody's.
const LOG: &str = "DARWIN_STAND_IN_LOG";

static LOG_FILE: OnceLock<Option<OsString>> = OnceLock::new();

/// Takes the name of the log from the environment, before the program can change it.
pub(crate) fn prepare() {
    LOG_FILE.get_or_init(|| std::env::var_os(LOG));
}

fn end(status: i32, text: &str) -> ! {
    let line = format!("darwin-stand-in: {text}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
    if let Some(Some(path)) = LOG_FILE.get()
        && let Ok(mut log) = File::options().append(true).create(true).open(path)
    {
        let _ = log.write_all(line.as_bytes());
    }
    // SAFETY: always allowed. No exit handlers run: they would be the program's.
    unsafe { libc::_exit(status) }
}

/// Ends a run that asks for what is not known here.
pub(crate) fn unknown(what: Arguments<'_>) -> ! {
    end(UNKNOWN, &format!("unknown: {what}"))
}

/// Ends a run whose program would not be started.
pub(crate) fn refused(why: Arguments<'_>) -> ! {
    end(REFUSED, &format!("refused: {why}"))
}

/// Ends a process as macOS does when code is not what was signed.
pub(crate) fn killed(why: Arguments<'_>) -> ! {
    eprintln!("darwin-stand-in: killed: {why}");
    // SAFETY: takes no pointer.
    unsafe {
        libc::kill(libc::getpid(), libc::SIGKILL);
        libc::_exit(REFUSED)
    }
}
