//! Whether two files are the same, and if not, where and most likely why.

mod causes;
mod comparison;
mod places;
mod tokens;

use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Result;
use sha2::{Digest, Sha256};

use super::container::Container;
use super::layout::{self, Part};
use super::view::View;
use crate::domain::codesign;
use crate::plumbing::bytes::{self, Source, Window};
use crate::plumbing::digest::hex;
use places::Reading;

pub use comparison::{Cause, Comparison, Difference, Extent, Map, Place, Side};

/// As [`compare_sources`], for files in memory, with their hashes.
pub fn compare(a: &[u8], b: &[u8]) -> Comparison {
    compare_sources(&a, &b, true).expect("what is in memory can be read")
}

/// Compares two files byte for byte, and part by part where both are ELF or both are Mach-O. Neither is held in memory.
/// `hashed` asks for the hashes of files that differ, which takes longer than all the rest. An error says that one could
/// not be read.
pub fn compare_sources(a: &dyn Source, b: &dyn Source, hashed: bool) -> Result<Comparison> {
    let (a, b) = (Window::whole(a), Window::whole(b));
    let differ = AtomicBool::new(a.size() != b.size());
    let hash = |file| sha256(file, || hashed || !differ.load(Ordering::Relaxed));
    std::thread::scope(|scope| {
        // One hash will do for files that turn out to be the same.
        let hashes = [Some(a), hashed.then_some(b)].map(|file| file.map(|file| scope.spawn(move || hash(file))));
        let comparison = compare_content(a, b, &differ);
        let [hash_a, hash_b] = hashes.map(|hash| {
            hash.map(|hash| hash.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))).transpose()
        });
        let mut comparison = comparison?;
        comparison.a.sha256 = hash_a?.flatten();
        comparison.b.sha256 = hash_b?.flatten().or_else(|| comparison.a.sha256.clone());
        Ok(comparison)
    })
}

/// The hash of a file, while it is wanted.
fn sha256(file: Window<'_>, wanted: impl Fn() -> bool) -> Result<Option<String>> {
    let mut hasher = Sha256::new();
    let mut complete = wanted();
    if complete {
        bytes::pieces(&file, |piece| {
            hasher.update(piece);
            complete = wanted();
            complete
        })?;
    }
    Ok(complete.then(|| hex(&hasher.finalize())))
}

/// Compares two files but for their hashes, and says early whether they differ.
fn compare_content(a: Window<'_>, b: Window<'_>, differ: &AtomicBool) -> Result<Comparison> {
    let (view_a, view_b) = (View::read(a)?, View::read(b)?);
    let alike = view_a.container == view_b.container;
    let (parts_a, parts_b) = if alike { parts_of_both(&view_a, &view_b) } else { (whole(a), whole(b)) };
    let mut reading = Reading::of(a, b, &parts_a, &parts_b, differ)?;
    // One changed byte of a header can give every part another name: then position says more than names.
    if a.size() == b.size() && parts_a != parts_b {
        let by_position = Reading::of(a, b, &parts_a, &parts_a, differ)?;
        if by_position.differing() < reading.differing() || reading.places.is_empty() {
            reading = by_position;
        }
    }
    let same = a.size() == b.size() && reading.places.is_empty();
    differ.fetch_or(!same, Ordering::Relaxed);
    let is_mach_o = matches!(view_a.container, Container::MachO | Container::FatMachO);
    let Reading { map_a, map_b, places, tokens } = reading;
    let side = |view: &View<'_>, map| Side { size: view.file.size(), kind: view.describe(), sha256: None, map };
    let mut comparison = Comparison {
        same,
        same_unsigned: if !same && alike && is_mach_o { codesign::same_unsigned(&a, &b).ok() } else { None },
        a: side(&view_a, map_a),
        b: side(&view_b, map_b),
        places,
        causes: Vec::new(),
    };
    if !same {
        comparison.causes = causes::find(&view_a, &view_b, &comparison, &tokens)?;
    }
    Ok(comparison)
}

/// A file of which nothing is known.
fn whole(file: Window<'_>) -> Vec<Part> {
    layout::cut(file.size(), vec![Part::new("file", 0, file.size())], &[])
}

/// Both files cut into parts. One that is too damaged for it is cut like the other.
fn parts_of_both(a: &View<'_>, b: &View<'_>) -> (Vec<Part>, Vec<Part>) {
    let like = |parts: &[Part], view: &View<'_>| layout::cut(view.file.size(), parts.to_vec(), &[]);
    match (a.parts(), b.parts()) {
        (Some(parts_a), Some(parts_b)) => (parts_a, parts_b),
        (Some(parts_a), None) => (parts_a.clone(), like(&parts_a, b)),
        (None, Some(parts_b)) => (like(&parts_b, a), parts_b),
        (None, None) => (whole(a.file), whole(b.file)),
    }
}
