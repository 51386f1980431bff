//! Errors that say what happened, to which file, and what to do next.

use std::fmt;

use crate::plumbing::output::step;

/// An error with advice. It displays as the error it wraps; [`report`] prints the advice on a line of its own.
struct Hinted {
    error: anyhow::Error,
    hint: String,
}

impl fmt::Debug for Hinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}\nhint: {}", self.error, self.hint)
    }
}

impl fmt::Display for Hinted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for Hinted {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

/// Adds advice to errors.
pub trait Hint<T> {
    /// Says what to do next if this failed. The outermost hint is the one that is printed.
    fn hint(self, hint: impl Into<String>) -> anyhow::Result<T>;
}

impl<T, E: Into<anyhow::Error>> Hint<T> for Result<T, E> {
    fn hint(self, hint: impl Into<String>) -> anyhow::Result<T> {
        self.map_err(|error| anyhow::Error::new(Hinted { error: error.into(), hint: hint.into() }))
    }
}

/// A new error with advice.
pub fn hinted(message: impl fmt::Display, hint: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Hinted { error: anyhow::anyhow!("{message}"), hint: hint.into() })
}

/// The advice that belongs to `error`, if any.
pub fn hint_of(error: &anyhow::Error) -> Option<&str> {
    error.downcast_ref::<Hinted>().map(|hinted| hinted.hint.as_str())
}

/// Prints `error` to stderr: the whole chain on one line, then its hint. Nothing in it acts.
pub fn report(error: &anyhow::Error) {
    step(format_args!("error: {error:#}"));
    if let Some(hint) = hint_of(error) {
        step(format_args!("hint: {hint}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::{Context, anyhow};

    #[test]
    fn a_hint_survives_context_and_stays_out_of_the_message() {
        let error = Err::<(), _>(anyhow!("root").context("middle")).hint("do this").context("top").unwrap_err();
        assert_eq!(format!("{error:#}"), "top: middle: root");
        assert_eq!(hint_of(&error), Some("do this"));
    }

    #[test]
    fn the_outermost_hint_wins() {
        let error = Err::<(), _>(anyhow!("root")).hint("inner").hint("outer").unwrap_err();
        assert_eq!(hint_of(&error), Some("outer"));
    }
}
