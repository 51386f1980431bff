//! How much a server may ask of this client: waits, time and bytes. No server can keep it busy for ever.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use super::clock::Clock;
use super::failure::{Cause, Refusal};

/// What a client puts up with, over all its requests together.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest single wait that a server may ask for; what lasts longer is left to a person.
    pub wait: Duration,
    /// The time from the first request to the last byte.
    pub time: Duration,
    /// All answers together, in bytes.
    pub bytes: u64,
}

impl Limits {
    /// Those of a job that makes a release: GitHub ends a job after six hours, and an asset has up to 2 GB.
    pub const JOB: Self = Self { wait: Duration::from_secs(600), time: Duration::from_secs(6 * 3600), bytes: 1 << 40 };
    /// Those of somebody who reads a published release, from a server that may be anybody's.
    pub const READER: Self = Self { wait: Duration::from_secs(90), time: Duration::from_secs(600), bytes: 256 << 20 };
}

/// What is used up of the limits.
pub(super) struct Budget {
    limits: Limits,
    started: OnceLock<SystemTime>,
    received: AtomicU64,
}

impl Budget {
    pub(super) fn new(limits: Limits) -> Self {
        Self { limits, started: OnceLock::new(), received: AtomicU64::new(0) }
    }

    /// The longest wait that is kept to.
    pub(super) fn wait(&self) -> Duration {
        self.limits.wait
    }

    /// The time that is left, counted from the first call.
    pub(super) fn left(&self, clock: &dyn Clock) -> Result<Duration, Cause> {
        let now = clock.now();
        let spent = now.duration_since(*self.started.get_or_init(|| now)).unwrap_or_default();
        let limit = self.limits.time;
        let left = limit.checked_sub(spent).filter(|left| !left.is_zero());
        left.ok_or_else(|| refusal(format!("the server has taken more than {} s altogether", limit.as_secs())))
    }

    /// The bytes that may still come.
    pub(super) fn bytes(&self) -> u64 {
        self.limits.bytes.saturating_sub(self.received.load(Ordering::SeqCst))
    }

    /// Counts bytes that came.
    pub(super) fn receive(&self, bytes: u64) -> Result<(), Cause> {
        let before = self.received.fetch_add(bytes, Ordering::SeqCst);
        if before.saturating_add(bytes) > self.limits.bytes {
            return Err(refusal(format!("the server has sent more than {} MB altogether", self.limits.bytes >> 20)));
        }
        Ok(())
    }
}

/// What this client refuses by itself.
pub(super) fn refusal(message: String) -> Cause {
    Cause::Refusal(Refusal { status: 0, message, details: Vec::new() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::releases::clock::Jumping;

    #[test]
    fn time_is_counted_from_the_first_request_and_runs_out() {
        let (clock, budget) = (Jumping::new(), Budget::new(Limits { time: Duration::from_secs(10), ..Limits::READER }));
        clock.sleep(Duration::from_secs(100));
        assert_eq!(budget.left(&clock).unwrap(), Duration::from_secs(10));
        clock.sleep(Duration::from_secs(9));
        assert_eq!(budget.left(&clock).unwrap(), Duration::from_secs(1));
        clock.sleep(Duration::from_secs(1));
        assert!(budget.left(&clock).is_err());
    }

    #[test]
    fn bytes_are_counted_and_run_out() {
        let budget = Budget::new(Limits { bytes: 10, ..Limits::READER });
        assert_eq!((budget.bytes(), budget.wait()), (10, Duration::from_secs(90)));
        assert!(budget.receive(10).is_ok() && budget.bytes() == 0);
        assert!(budget.receive(1).is_err());
    }
}
