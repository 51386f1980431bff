//! Time and chance, behind a trait so that tests of back-off are instant.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::plumbing::date;

/// What waits and what tells the time.
pub trait Clock: Send + Sync {
    /// The time now.
    fn now(&self) -> SystemTime;
    /// Waits for `duration`.
    fn sleep(&self, duration: Duration);
    /// A number between 0 and 1, for jitter.
    fn chance(&self) -> f64;
}

/// The machine's clock.
pub struct Machine;

impl Clock for Machine {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep(&self, duration: Duration) {
        std::thread::sleep(duration);
    }

    fn chance(&self) -> f64 {
        // Each RandomState is keyed anew: good enough to spread clients apart, not for secrets.
        (RandomState::new().build_hasher().finish() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// A clock that jumps instead of waiting, for tests and the fault campaign.
pub struct Jumping {
    nanoseconds: AtomicU64,
}

impl Jumping {
    /// A clock that starts at a fixed moment.
    pub fn new() -> Self {
        Self { nanoseconds: AtomicU64::new(1_800_000_000_000_000_000) }
    }
}

impl Default for Jumping {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for Jumping {
    fn now(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_nanos(self.nanoseconds.load(Ordering::SeqCst))
    }

    fn sleep(&self, duration: Duration) {
        self.nanoseconds.fetch_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 2), Ordering::SeqCst);
    }

    fn chance(&self) -> f64 {
        0.5
    }
}

/// Seconds since 1970-01-01 UTC, as in `x-ratelimit-reset`.
pub fn epoch_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// `time` as in the REST API.
pub fn rfc3339(time: SystemTime) -> String {
    date::rfc3339(epoch_seconds(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chance_lies_between_zero_and_one_and_varies() {
        let drawn: Vec<f64> = (0..20).map(|_| Machine.chance()).collect();
        assert!(drawn.iter().all(|chance| (0.0..1.0).contains(chance)), "{drawn:?}");
        assert!(drawn.iter().any(|chance| *chance != drawn[0]), "{drawn:?}");
    }

    #[test]
    fn a_jump_of_any_length_goes_forward() {
        let clock = Jumping::new();
        let start = clock.now();
        clock.sleep(Duration::from_millis(1500));
        assert_eq!(clock.now(), start + Duration::from_millis(1500));
        clock.sleep(Duration::MAX);
        assert!(clock.now() > start + Duration::from_secs(100 * 365 * 86400));
    }
}
