//! Whether an artifact fulfils the contract, clause by clause, measured on its bytes.

mod content;
mod elf;
mod macho;

use anyhow::{Context, Result, bail};
use serde::Serialize;

use super::{Container, elf::Elf, macho::MachO};
use crate::bytes::{Source, Window};
use crate::contract::{Contract, Platform};
use crate::error::Hint;

pub use content::Surroundings;

/// One demand of the contract and what the file is instead, or is indeed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Clause {
    /// What is measured: `interpreter`, `symbol versions`.
    pub clause: &'static str,
    /// What the file has.
    pub measured: String,
    /// What the contract demands.
    pub expected: String,
    /// Whether the one fulfils the other.
    pub holds: bool,
}

/// What an inspection found out.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// The platform whose contract was applied.
    pub platform: String,
    /// Every clause that could be measured, in a fixed order.
    pub clauses: Vec<Clause>,
}

impl Inspection {
    /// Whether every clause holds.
    pub fn holds(&self) -> bool {
        self.broken().next().is_none()
    }

    /// The clauses that do not hold.
    pub fn broken(&self) -> impl Iterator<Item = &Clause> {
        self.clauses.iter().filter(|clause| !clause.holds)
    }
}

/// The clauses being collected.
#[derive(Default)]
struct Clauses(Vec<Clause>);

impl Clauses {
    fn add(&mut self, clause: &'static str, measured: impl Into<String>, expected: impl Into<String>, holds: bool) {
        self.0.push(Clause { clause, measured: measured.into(), expected: expected.into(), holds });
    }

    /// A clause that demands exactly `expected`.
    fn equal(&mut self, clause: &'static str, measured: impl Into<String>, expected: impl Into<String>) {
        let (measured, expected) = (measured.into(), expected.into());
        let holds = measured == expected;
        self.add(clause, measured, expected, holds);
    }

    /// A clause that demands that there is none of `found`.
    fn none(&mut self, clause: &'static str, found: &[String]) {
        self.equal(clause, list(found), "none");
    }
}

/// `items` separated by commas, or `none`.
fn list(items: &[String]) -> String {
    if items.is_empty() { "none".into() } else { items.join(", ") }
}

/// Measures every clause of `platform`'s contract on `bytes`. `version` is the one the artifact must report, with or
/// without a `v`; without it, any one version will do. Strings that name the machine this runs on count as build paths.
///
/// Fails where the file cannot be judged: it is damaged, cut off, or no program at all.
pub fn inspect(bytes: &[u8], platform: &Platform, contract: &Contract, version: Option<&str>) -> Result<Inspection> {
    inspect_in(bytes, platform, contract, version, &Surroundings::here())
}

/// [`inspect`], with `surroundings` in place of the machine this runs on.
pub fn inspect_in(
    bytes: &[u8],
    platform: &Platform,
    contract: &Contract,
    version: Option<&str>,
    surroundings: &Surroundings,
) -> Result<Inspection> {
    inspect_source(&bytes, platform, contract, version, surroundings)
}

/// [`inspect_in`], for bytes anywhere: however many there are, few are held in memory.
pub fn inspect_source(
    source: &dyn Source,
    platform: &Platform,
    contract: &Contract,
    version: Option<&str>,
    surroundings: &Surroundings,
) -> Result<Inspection> {
    let bytes = Window::whole(source);
    let container = Container::at(bytes)?;
    if let Container::Foreign(what) = container {
        return Err(anyhow::anyhow!("neither an ELF nor a Mach-O file, but {what}"))
            .hint("give the artifact itself: the file that `release-helper build` wrote or that the release offers");
    }
    let damaged = |kind| format!("this {kind} file is damaged or cut off");
    let mut clauses = Clauses::default();
    clauses.equal("container", container.to_string(), if platform.is_darwin() { "Mach-O" } else { "ELF" });
    match (container, platform.is_darwin()) {
        (Container::Elf, false) => {
            let elf = Elf::read(bytes).with_context(|| damaged("ELF"))?;
            elf::clauses(&elf, bytes, platform, &mut clauses)?;
        }
        (Container::MachO, true) => {
            let macho = MachO::read(bytes).with_context(|| damaged("Mach-O"))?;
            macho::clauses(&macho, bytes, platform, contract, &mut clauses)?;
        }
        // Of a file for another system nothing further can be compared with the contract.
        _ => {}
    }
    let size = bytes.size();
    clauses.add("size", format!("{size} bytes"), format!("at most {}", platform.max_size), size <= platform.max_size);
    content::clauses(bytes, platform, contract, version, surroundings, &mut clauses)?;
    Ok(Inspection { platform: platform.name.clone(), clauses: clauses.0 })
}

/// The machine in `platform`'s target triple.
fn machine_of(platform: &Platform) -> Result<&str> {
    match platform.target.split('-').next() {
        Some(machine @ ("x86_64" | "aarch64")) => Ok(machine),
        _ => bail!("the contract has a target for no known machine: {}", platform.target),
    }
}
