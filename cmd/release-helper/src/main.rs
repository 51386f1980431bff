//! `release-helper`: builds, inspects, signs, releases and verifies `tsuku-dltest`.

mod inherited;

use std::process::ExitCode;

use clap::Parser;
use release_helper::commands::Arguments;

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    // Before there is a second thread.
    let prepared =
        inherited::close_on_exec().and_then(|()| release_helper::plumbing::interrupt::clean_up_on_interrupt());
    match prepared.and_then(|()| command.run()) {
        Ok(verdict) => verdict.into(),
        Err(error) => {
            release_helper::plumbing::error::report(&error);
            ExitCode::from(2)
        }
    }
}
