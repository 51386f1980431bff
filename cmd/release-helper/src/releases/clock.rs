//! Time and chance, behind a trait so that tests of back-off are instant.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

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

/// `time` as RFC 3339 in UTC with seconds, as in the REST API: `2026-11-22T20:00:00Z`.
pub fn rfc3339(time: SystemTime) -> String {
    let seconds = epoch_seconds(time);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Howard Hinnant's days-to-civil algorithm, for dates after 1970.
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_the_rest_api_writes_them() {
        let at = |seconds| rfc3339(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01T00:00:00Z");
        assert_eq!(at(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(at(1_795_391_999), "2026-11-22T23:59:59Z");
    }

    #[test]
    fn chance_lies_between_zero_and_one_and_varies() {
        let drawn: Vec<f64> = (0..20).map(|_| Machine.chance()).collect();
        assert!(drawn.iter().all(|chance| (0.0..1.0).contains(chance)), "{drawn:?}");
        assert!(drawn.iter().any(|chance| *chance != drawn[0]), "{drawn:?}");
    }
}
