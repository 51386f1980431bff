//! Faults on demand: each trap of GitHub's releases, by operation and count, or at random from a seed.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::routes::Operation;
use crate::plumbing::error::Hint;
use crate::plumbing::files;

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// 500 before anything was done.
    ServerError,
    /// 502 before anything was done.
    BadGateway,
    /// 503 with `Retry-After`.
    Unavailable,
    /// 408 before anything was done.
    RequestTimeout,
    /// Done, but the answer is a 502 (a POST that stored and failed).
    LostAnswer,
    /// The connection closes before anything was done.
    CutBefore,
    /// Done, but the connection closes instead of an answer.
    CutAfter,
    /// An upload or download stops in its middle; an upload leaves a `starter` asset.
    CutMiddle,
    /// No answer for two seconds, then the connection closes.
    Stall,
    /// An upload answers 502 and leaves a `starter` asset of size 0.
    Starter,
    /// 403 with `Retry-After` (a secondary rate limit).
    SecondaryLimit,
    /// 429 with `Retry-After`.
    TooManyRequests,
    /// 403 with `x-ratelimit-remaining: 0` and a reset time.
    PrimaryLimit,
    /// 403 "Resource not accessible by integration".
    Forbidden,
    /// 401 "Bad credentials".
    Unauthorized,
    /// 404, as for a token that may not see.
    NotFound,
    /// A reading answers as of some seconds ago.
    Lag,
    /// The digests in the answer are null.
    NullDigest,
    /// A download is GitHub's HTML error page with status 200 (microsoft/git#934).
    Html,
    /// A download has a flipped byte.
    Corrupt,
    /// A 500 whose message repeats the Authorization header.
    EchoToken,
    /// A 200 or 201 whose JSON stops in its middle.
    HalfJson,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 22] = [
        Self::ServerError,
        Self::BadGateway,
        Self::Unavailable,
        Self::RequestTimeout,
        Self::LostAnswer,
        Self::CutBefore,
        Self::CutAfter,
        Self::CutMiddle,
        Self::Stall,
        Self::Starter,
        Self::SecondaryLimit,
        Self::TooManyRequests,
        Self::PrimaryLimit,
        Self::Forbidden,
        Self::Unauthorized,
        Self::NotFound,
        Self::Lag,
        Self::NullDigest,
        Self::Html,
        Self::Corrupt,
        Self::EchoToken,
        Self::HalfJson,
    ];

    /// Whether the fault can happen to this operation.
    pub fn fits(self, operation: Operation) -> bool {
        use Operation as O;
        let download = matches!(operation, O::DownloadAsset | O::Object | O::BrowserDownload);
        match self {
            Self::CutMiddle => download || operation == O::UploadReleaseAsset,
            Self::Starter => operation == O::UploadReleaseAsset,
            Self::Html | Self::Corrupt => download,
            Self::Lag | Self::NullDigest => {
                matches!(operation, O::ListReleases | O::ListReleaseAssets | O::GetRelease | O::GetReleaseByTag)
            }
            Self::HalfJson => !download && !matches!(operation, O::DeleteRelease | O::DeleteReleaseAsset),
            // The object store knows neither rate limits nor permissions.
            Self::SecondaryLimit
            | Self::TooManyRequests
            | Self::PrimaryLimit
            | Self::Forbidden
            | Self::Unauthorized
            | Self::EchoToken => operation != O::Object,
            _ => true,
        }
    }
}

/// A fault at certain requests of one operation.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Fault {
    /// The operation that fails; any if absent.
    pub operation: Option<Operation>,
    /// What goes wrong.
    pub kind: Kind,
    /// How many fitting requests pass before the first fault.
    #[serde(default)]
    pub skip: u64,
    /// How many requests fail.
    #[serde(default = "one")]
    pub count: u64,
    /// Seconds, for kinds that take a time: `lag`, and the waits that a limit asks for.
    pub seconds: Option<u64>,
}

impl Fault {
    /// A fault at the first request of an operation.
    pub fn new(operation: Operation, kind: Kind) -> Self {
        Self { operation: Some(operation), kind, skip: 0, count: 1, seconds: None }
    }

    /// The same for the next `count` requests.
    pub fn times(self, count: u64) -> Self {
        Self { count, ..self }
    }

    /// The same after `skip` requests.
    pub fn after(self, skip: u64) -> Self {
        Self { skip, ..self }
    }

    /// The same with a time in seconds.
    pub fn seconds(self, seconds: u64) -> Self {
        Self { seconds: Some(seconds), ..self }
    }
}

fn one() -> u64 {
    1
}

/// Faults at random requests.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Random {
    /// The same seed and the same requests give the same faults.
    pub seed: u64,
    /// The share of requests that fail, from 0 to 1.
    pub rate: f64,
    /// The kinds to draw from; all if empty.
    #[serde(default)]
    pub kinds: Vec<Kind>,
}

/// Which faults to make: the content of a faults file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Plan {
    /// Faults by operation and count.
    #[serde(default, rename = "fault")]
    pub faults: Vec<Fault>,
    /// Faults at random.
    pub random: Option<Random>,
}

impl Plan {
    /// Reads a faults file (TOML).
    pub fn read(path: &Path) -> Result<Self> {
        let text = String::from_utf8(files::read(path)?).with_context(|| format!("{} is not text", path.display()))?;
        let plan: Self = toml_edit::de::from_str(&text)
            .with_context(|| format!("{} is not a faults file", path.display()))
            .hint("see `release-helper serve-releases --help` for an example")?;
        for fault in &plan.faults {
            let fits = fault.operation.is_none_or(|operation| fault.kind.fits(operation));
            ensure!(fits, "{}: {:?} cannot happen to {:?}", path.display(), fault.kind, fault.operation);
        }
        let rate = plan.random.as_ref().map_or(0.0, |random| random.rate);
        ensure!((0.0..=1.0).contains(&rate), "{}: the rate {rate} is not between 0 and 1", path.display());
        Ok(plan)
    }

    /// Whether some answer may have to be one from the past.
    pub(super) fn wants_history(&self) -> bool {
        let random = |random: &Random| random.kinds.is_empty() || random.kinds.contains(&Kind::Lag);
        self.faults.iter().any(|fault| fault.kind == Kind::Lag) || self.random.as_ref().is_some_and(random)
    }
}

/// A fault that was drawn for one request.
#[derive(Clone, Copy, Debug)]
pub(super) struct Drawn {
    pub(super) kind: Kind,
    pub(super) time: Duration,
}

/// Deals the faults of a plan out to requests.
pub(super) struct Dealer {
    plan: Plan,
    state: Mutex<(Vec<u64>, u64)>,
}

impl Dealer {
    pub(super) fn new(plan: Plan) -> Self {
        let seed = plan.random.as_ref().map_or(0, |random| random.seed);
        Self { state: Mutex::new((vec![0; plan.faults.len()], seed)), plan }
    }

    /// The fault for the next request of `operation`, if any.
    pub(super) fn draw(&self, operation: Operation) -> Option<Drawn> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (seen, seed) = &mut *state;
        let mut drawn = None;
        for (fault, seen) in self.plan.faults.iter().zip(seen.iter_mut()) {
            if fault.operation.is_none_or(|wanted| wanted == operation) && fault.kind.fits(operation) {
                if *seen >= fault.skip && *seen - fault.skip < fault.count && drawn.is_none() {
                    drawn = Some(Drawn { kind: fault.kind, time: Duration::from_secs(fault.seconds.unwrap_or(1)) });
                }
                *seen += 1;
            }
        }
        if let (None, Some(random)) = (&drawn, &self.plan.random) {
            let fitting: Vec<Kind> = if random.kinds.is_empty() { Kind::ALL.to_vec() } else { random.kinds.clone() }
                .into_iter()
                .filter(|kind| kind.fits(operation))
                .collect();
            let share = (next(seed) >> 11) as f64 / (1_u64 << 53) as f64;
            let (choice, seconds) = (next(seed), next(seed) % 60);
            if share < random.rate && !fitting.is_empty() {
                let kind = fitting[(choice % fitting.len() as u64) as usize];
                drawn = Some(Drawn { kind, time: Duration::from_secs(seconds) });
            }
        }
        drawn
    }
}

/// SplitMix64: small, and the same everywhere.
pub fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *seed;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_comes_at_its_operation_after_its_skip_and_as_often_as_its_count() {
        let fault = Fault::new(Operation::CreateRelease, Kind::BadGateway).after(1).times(2);
        let dealer = Dealer::new(Plan { faults: vec![fault], random: None });
        assert!(dealer.draw(Operation::ListReleases).is_none());
        let drawn: Vec<bool> = (0..4).map(|_| dealer.draw(Operation::CreateRelease).is_some()).collect();
        assert_eq!(drawn, [false, true, true, false]);
    }

    #[test]
    fn the_same_seed_gives_the_same_faults() {
        let kinds = |seed| {
            let random = Random { seed, rate: 0.5, kinds: Vec::new() };
            let dealer = Dealer::new(Plan { faults: Vec::new(), random: Some(random) });
            (0..50).map(|_| dealer.draw(Operation::ListReleases).map(|drawn| drawn.kind)).collect::<Vec<_>>()
        };
        assert_eq!(kinds(7), kinds(7));
        assert_ne!(kinds(7), kinds(8));
    }

    #[test]
    fn a_faults_file_that_makes_no_sense_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("faults.toml");
        let refusal = |text: &str| {
            std::fs::write(&path, text).unwrap();
            format!("{:#}", Plan::read(&path).unwrap_err())
        };
        assert!(refusal("[[fault]]\nkind = \"gremlin\"\n").contains("unknown variant `gremlin`"));
        assert!(refusal("[[fault]]\nkind = \"starter\"\noperation = \"list-releases\"\n").contains("cannot happen"));
        assert!(refusal("[random]\nseed = 1\nrate = 2.0\n").contains("not between 0 and 1"));
    }
}
