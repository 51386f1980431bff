//! `release-helper`: builds, inspects, signs, releases and verifies `tsuku-dltest`.

use std::process::ExitCode;

use clap::Parser;
use release_helper::commands::Arguments;

fn main() -> ExitCode {
    let command = Arguments::parse().command;
    match release_helper::interrupt::clean_up_on_interrupt().and_then(|()| command.run()) {
        Ok(verdict) => verdict.into(),
        Err(error) => {
            release_helper::error::report(&error);
            ExitCode::from(2)
        }
    }
}
