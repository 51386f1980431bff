//! Builds the artifacts again and again under varied surroundings, and names the variation that changes a byte.

mod clock;
pub mod variations;

use anyhow::Result;
use serde::Serialize;

use crate::domain::build::{Artifact, cargo};
use crate::domain::contract::{Contract, Platform};
use crate::domain::source;
use crate::domain::toolchain::Toolchain;
use crate::plumbing::interrupt::Scratch;
use crate::plumbing::output;
use std::path::Path;
use variations::{ALL, Plan, Variation};

/// What to build.
pub struct Subject<'a> {
    /// With what.
    pub toolchain: &'a Toolchain,
    /// What a release is.
    pub contract: &'a Contract,
    /// For which platforms.
    pub platforms: &'a [&'a Platform],
    /// The source tree.
    pub tree: &'a Path,
}

/// What came of it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Outcome {
    /// How many varied builds were compared with the reference.
    pub rounds: usize,
    /// The platforms that each of them built.
    pub platforms: Vec<String>,
    /// Every variation, and what became of it.
    pub variations: Vec<Tried>,
    /// What changes bytes; empty if nothing does.
    pub culprits: Vec<Culprit>,
}

/// A variation in an [`Outcome`].
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Tried {
    /// Its name.
    pub name: &'static str,
    /// What it makes different.
    pub what: &'static str,
    /// In how many rounds it was applied.
    pub rounds: usize,
    /// Why it was not tried, if it was not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub obstacle: Option<String>,
}

/// What changes bytes.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Culprit {
    /// The variations it takes, all of them together. None: two builds differ with nothing varied.
    pub variations: Vec<&'static str>,
    /// What happens then.
    pub effects: Vec<String>,
}

impl Outcome {
    /// Whether no byte differed.
    pub fn holds(&self) -> bool {
        self.culprits.is_empty()
    }

    /// How many variations were tried.
    pub fn tried(&self) -> usize {
        self.variations.iter().filter(|tried| tried.rounds > 0).count()
    }
}

/// How many rounds it takes to try all variations together, and each alone.
pub fn default_rounds() -> usize {
    ALL.len() + 1
}

/// Builds `subject` once as it is, and `rounds` times varied: each variation alone, then everything at once, then
/// random choices, the same in every run. If the rounds do not suffice for each alone, everything at once comes first. A round that differs is narrowed down
/// to the variations it takes; those are left out from then on, so that they hide no other.
pub fn vary(subject: &Subject<'_>, rounds: usize) -> Result<Outcome> {
    let scratch = Scratch::new()?;
    let clock = clock::library(subject.toolchain, scratch.path())?;
    let mut bench = Bench { subject, scratch, clock, reference: Vec::new(), stopped: false };
    bench.reference = bench.build(&[])?;
    let mut outcome = Outcome {
        rounds: 0,
        platforms: subject.platforms.iter().map(|platform| platform.name.clone()).collect(),
        variations: Vec::new(),
        culprits: Vec::new(),
    };
    for variation in ALL {
        let obstacle = bench.in_room(|room, clock| {
            let mut plan = Plan::new(room, clock);
            plan.vary(variation);
            plan.obstacle()
        })?;
        outcome.variations.push(Tried { name: variation.name, what: variation.what, rounds: 0, obstacle });
    }
    let mut left: Vec<&Variation> = Vec::new();
    left.extend(ALL.iter().zip(&outcome.variations).filter(|(_, tried)| tried.obstacle.is_none()).map(|(one, _)| one));

    if let Some(effects) = bench.effects(&[])? {
        bench.stopped = bench.clock.is_some();
        bench.reference = if bench.stopped { bench.build(&[])? } else { Vec::new() };
        if !bench.stopped || bench.effects(&[])?.is_some() {
            outcome.culprits.push(Culprit { variations: Vec::new(), effects });
            return Ok(outcome);
        }
        // The same as long as the clock stands still: what changes the bytes is the time of the build.
        outcome.culprits.push(Culprit { variations: vec!["clock"], effects });
        left.retain(|variation| variation.name != "clock");
    }

    let alone = left.clone();
    for round in 0..rounds {
        outcome.rounds += 1;
        loop {
            let mut chosen = match round {
                // Few rounds tell most with everything at once; where there is time for each alone, that names faster.
                0 if rounds <= alone.len() => left.clone(),
                _ if rounds <= alone.len() => vec![alone[round - 1]],
                _ if round < alone.len() => vec![alone[round]],
                _ if round == alone.len() => left.clone(),
                _ => some_of(&left, round),
            };
            chosen.retain(|variation| left.iter().any(|other| other.name == variation.name));
            output::progress(format_args!("round {} of {rounds}: {}", round + 1, names(&chosen).join(", ")));
            let Some(effects) = bench.effects(&chosen)? else {
                for tried in &mut outcome.variations {
                    tried.rounds += usize::from(chosen.iter().any(|variation| variation.name == tried.name));
                }
                break;
            };
            let (culprits, effects) = bench.narrow(chosen, effects)?;
            for tried in &mut outcome.variations {
                tried.rounds += usize::from(culprits.iter().any(|variation| variation.name == tried.name));
            }
            left.retain(|variation| culprits.iter().all(|culprit| culprit.name != variation.name));
            outcome.culprits.push(Culprit { variations: names(&culprits), effects });
        }
    }
    output::progress("");
    Ok(outcome)
}

/// What the rounds of one run share.
struct Bench<'a> {
    subject: &'a Subject<'a>,
    scratch: Scratch,
    clock: Option<std::path::PathBuf>,
    reference: Vec<Artifact>,
    /// Whether the clock stands still in every build, because the time alone changes bytes.
    stopped: bool,
}

impl Bench<'_> {
    /// Calls `work` with a room that is empty and at the same path each time.
    fn in_room<T>(&self, work: impl FnOnce(&Path, Option<std::path::PathBuf>) -> Result<T>) -> Result<T> {
        let room = self.scratch.path().join("room");
        let result = work(&room, self.clock.clone());
        // What a variation left behind must not become one of the next round.
        std::fs::remove_dir_all(&room)?;
        result
    }

    fn build(&self, chosen: &[&Variation]) -> Result<Vec<Artifact>> {
        let Subject { toolchain, contract, platforms, tree } = *self.subject;
        self.in_room(|room, clock| {
            let mut plan = Plan::new(room, clock);
            if self.stopped {
                plan.stop_clock();
            }
            chosen.iter().for_each(|variation| plan.vary(variation));
            source::stage(tree, &cargo::staged(&plan.place))?;
            plan.prepare()?;
            cargo::compile(toolchain, contract, platforms, &plan.place, &plan.surroundings)
        })
    }

    /// How a build under `chosen` differs from the reference, if it does. A build that fails differs, too.
    fn effects(&self, chosen: &[&Variation]) -> Result<Option<Vec<String>>> {
        let built = match self.build(chosen) {
            Ok(built) => built,
            Err(error) => {
                let text = format!("{error:#}");
                let said = text.lines().find(|line| line.starts_with("error")).unwrap_or(&text);
                return Ok(Some(vec![format!("the build fails: {said}")]));
            }
        };
        let effects: Vec<_> =
            self.reference.iter().zip(&built).filter_map(|(ours, other)| effect(ours, other)).collect();
        Ok((!effects.is_empty()).then_some(effects))
    }

    /// The smallest part of `chosen` found that still has an effect.
    fn narrow<'v>(
        &self,
        mut chosen: Vec<&'v Variation>,
        mut effects: Vec<String>,
    ) -> Result<(Vec<&'v Variation>, Vec<String>)> {
        'halves: while chosen.len() > 1 {
            let (front, back) = chosen.split_at(chosen.len() / 2);
            for half in [front.to_vec(), back.to_vec()] {
                output::progress(format_args!("narrowing down: {}", names(&half).join(", ")));
                if let Some(found) = self.effects(&half)? {
                    (chosen, effects) = (half, found);
                    continue 'halves;
                }
            }
            break;
        }
        // Where it takes several, from both halves: leave out what is not needed.
        let mut index = 0;
        while chosen.len() > 1 && index < chosen.len() {
            let mut fewer = chosen.clone();
            fewer.remove(index);
            match self.effects(&fewer)? {
                Some(found) => (chosen, effects) = (fewer, found),
                None => index += 1,
            }
        }
        Ok((chosen, effects))
    }
}

fn names(variations: &[&Variation]) -> Vec<&'static str> {
    variations.iter().map(|variation| variation.name).collect()
}

/// About half of `variations`; which, follows from `seed` alone, so that every run tries the same.
fn some_of<'v>(variations: &[&'v Variation], seed: usize) -> Vec<&'v Variation> {
    // SplitMix64's mixing function: every bit of its result depends on every bit of the seed.
    let mut bits = (seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^= bits >> 31;
    variations.iter().enumerate().filter(|(index, _)| bits >> (index % 64) & 1 == 1).map(|(_, one)| *one).collect()
}

/// How `other` differs from `reference`, if it does.
fn effect(reference: &Artifact, other: &Artifact) -> Option<String> {
    let (ours, theirs) = (&reference.bytes, &other.bytes);
    let name = &reference.platform;
    let offset = ours.iter().zip(theirs).position(|(one, two)| one != two);
    match offset {
        Some(offset) => {
            let count = ours.iter().zip(theirs).filter(|(one, two)| one != two).count();
            let resized = if ours.len() == theirs.len() {
                String::new()
            } else {
                format!(", and its size from {} to {}", ours.len(), theirs.len())
            };
            let (one, two) = (ours[offset], theirs[offset]);
            Some(format!(
                "{name}: {count} bytes change, the first at {offset:#x} from {one:#04x} to {two:#04x}{resized}"
            ))
        }
        None if ours.len() != theirs.len() => {
            Some(format!("{name}: the size changes from {} to {} bytes", ours.len(), theirs.len()))
        }
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_more_than_sixteen_variations_of_different_names() {
        let mut names: Vec<_> = ALL.iter().map(|variation| variation.name).collect();
        names.sort_unstable();
        names.dedup();
        assert!(names.len() == ALL.len() && names.len() > 16);
    }

    #[test]
    fn random_rounds_are_the_same_in_every_run_and_differ_from_each_other() {
        let all: Vec<_> = ALL.iter().collect();
        let choice = |seed| names(&some_of(&all, seed));
        assert_eq!(choice(40), choice(40));
        let distinct: std::collections::BTreeSet<_> = (30..130).map(choice).collect();
        assert_eq!(distinct.len(), 100);
        for variation in &all {
            let rounds = (30..130).filter(|&seed| choice(seed).contains(&variation.name)).count();
            assert!((25..75).contains(&rounds), "{} is in {rounds} of 100 rounds", variation.name);
        }
    }
}
