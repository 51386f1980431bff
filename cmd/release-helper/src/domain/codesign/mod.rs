//! Ad-hoc code signatures of Mach-O files: signing, verifying and removing them on any system, byte for byte as
//! Apple's tools and the linkers do. This room knows nothing of releases. `docs/signing.md` says who writes what.
//!
//! [`sign`], [`verify`] and [`unsign`] work on bytes in memory; [`sign_file`], [`verify_file`] and [`unsign_file`]
//! on files of any size in constant memory, hashing on all processors.

mod digest;
mod fat;
mod file;
mod form;
mod identifier;
mod image;
mod layout;
mod linker;
mod plan;
#[cfg(feature = "property-lists")]
mod property_list;
#[cfg(not(feature = "property-lists"))]
#[path = "without_property_lists.rs"]
mod property_list;
mod report;
mod signature;
mod source;
mod verify;

use anyhow::Result;

use crate::plumbing::bytes::{self, Source};

pub use file::{Outcome, sign_file, unsign_file, verify_file};
pub use form::{Form, Linker, PageSize, Signing, Style};
pub use report::{Blob, CodeDirectory, ExecSegment, Report, Signature, Slice};

/// The Mach-O file `bytes` with an ad-hoc signature in place of any it had. The result depends on the code and on
/// `signing` alone; signing twice changes nothing. An error says why the file cannot be signed.
pub fn sign(bytes: &[u8], signing: &Signing) -> Result<Vec<u8>> {
    plan::Plan::sign(&bytes, signing, None)?.to_vec(&bytes)
}

/// Verifies every signature in `bytes`. Whatever they are, there is a report.
pub fn verify(bytes: &[u8]) -> Result<Report> {
    verify::verify(&bytes)
}

/// As [`verify`], for bytes anywhere.
pub fn verify_source(source: &dyn Source) -> Result<Report> {
    verify::verify(source)
}

/// Whether two Mach-O files are the same with everything set aside that signing changes; an error says why one of them
/// cannot be judged. What `codesign --remove-signature` leaves differs from the unsigned file in the rounding of
/// `__LINKEDIT`'s size in memory, so that is set aside, too.
pub fn same_unsigned(a: &dyn Source, b: &dyn Source) -> Result<bool> {
    let aligned = plan::is_signed(a)? || plan::is_signed(b)?;
    let (plan_a, plan_b) = (plan::Plan::bare(a, aligned)?, plan::Plan::bare(b, aligned)?);
    Ok(plan_a.size == plan_b.size && bytes::agree(&plan_a.result(a), &plan_b.result(b))?)
}

/// The Mach-O file `bytes` without signatures, as `codesign --remove-signature` leaves it.
pub fn unsign(bytes: &[u8]) -> Result<Vec<u8>> {
    plan::Plan::unsign(&bytes)?.to_vec(&bytes)
}
