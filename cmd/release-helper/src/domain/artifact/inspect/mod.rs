//! Whether an artifact fulfils the contract, clause by clause, measured on its bytes.

mod clauses;
mod content;
mod elf;
mod macho;

use anyhow::{Context, Result};
use serde::Serialize;

use super::container::Container;
use super::elf::Elf;
use super::macho::MachO;
use crate::domain::contract::{Contract, Platform};
use crate::plumbing::bytes::{Source, Window};
use crate::plumbing::error::Hint;

pub use clauses::Clause;
use clauses::Clauses;
pub use content::Surroundings;

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
