//! How a test that cannot run here says so, in every test target: `skipped: TARGET::TEST: REASON` on stderr. libtest
//! counts such a test as passed; `.ci/run` counts these lines, once for each test.

use std::io::Write;

/// Reports the test that calls this, or a part of it, as not run.
pub fn skipped(reason: &str) {
    // libtest runs each test in a thread of its name.
    report(std::thread::current().name().unwrap_or("unknown"), reason);
}

/// Reports the test of this name as not run.
pub fn report(test: &str, reason: &str) {
    let reason: Vec<&str> = reason.split_whitespace().collect();
    // In one piece, so that what libtest prints meanwhile does not come between. Past libtest, which keeps what
    // `eprintln` says in a test that passes. Nobody listening is no reason to fail.
    let line = format!("skipped: {}::{test}: {}\n", env!("CARGO_CRATE_NAME"), reason.join(" "));
    let _ = std::io::stderr().write_all(line.as_bytes());
}
