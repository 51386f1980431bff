//! A file cut into named parts, so that every byte belongs to exactly one.

use std::collections::BTreeMap;
use std::ops::Range;

/// A named part of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// `.text`, `LC_UUID`, `section headers`; unique within its file.
    pub(super) name: String,
    /// Where it is, in bytes from the beginning of the file.
    pub(super) range: Range<u64>,
}

impl Part {
    /// A part of `size` bytes at `offset`; one that leaves the number range ends with it.
    pub(super) fn new(name: impl Into<String>, offset: u64, size: u64) -> Self {
        Self { name: name.into(), range: offset..offset.saturating_add(size) }
    }
}

/// Cuts a file of `length` bytes into parts: `inner` where they lie, in between what of `outer` lies there, else padding.
/// Where parts overlap, the one that begins first has the bytes.
pub(super) fn cut(length: u64, mut inner: Vec<Part>, outer: &[Part]) -> Vec<Part> {
    inner.sort_by_key(|part| (part.range.start, part.range.end));
    let mut parts: Vec<Part> = Vec::new();
    let mut position = 0;
    for part in inner {
        let start = part.range.start.max(position);
        let end = part.range.end.min(length);
        if start >= end {
            continue;
        }
        fill(&mut parts, position..start, outer, length);
        parts.push(Part { name: part.name, range: start..end });
        position = end;
    }
    fill(&mut parts, position..length, outer, length);
    number_twins(&mut parts);
    parts
}

/// Names the bytes of `gap`, which no inner part has.
fn fill(parts: &mut Vec<Part>, gap: Range<u64>, outer: &[Part], length: u64) {
    if gap.is_empty() {
        return;
    }
    let name = match (outer.iter().find(|part| part.range.contains(&gap.start)), parts.last()) {
        (Some(outer), _) => outer.name.clone(),
        (None, _) if gap.end == length => "after the end".into(),
        (None, Some(before)) => format!("padding after {}", before.name),
        (None, None) => "before the beginning".into(),
    };
    parts.push(Part { name, range: gap });
}

/// Gives parts of the same name different ones: a file may have several sections of one name.
fn number_twins(parts: &mut [Part]) {
    let mut seen: BTreeMap<String, u32> = BTreeMap::new();
    for part in parts {
        let count = seen.entry(part.name.clone()).or_default();
        *count += 1;
        if *count > 1 {
            part.name = format!("{} #{count}", part.name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(parts: &[Part]) -> Vec<(&str, u64, u64)> {
        parts.iter().map(|part| (part.name.as_str(), part.range.start, part.range.end)).collect()
    }

    #[test]
    fn every_byte_has_exactly_one_part() {
        let inner = vec![Part::new("b", 10, 10), Part::new("a", 0, 4), Part::new("b", 18, 6), Part::new("far", 90, 9)];
        assert_eq!(
            names(&cut(30, inner, &[])),
            [("a", 0, 4), ("padding after a", 4, 10), ("b", 10, 20), ("b #2", 20, 24), ("after the end", 24, 30)]
        );
    }

    #[test]
    fn what_no_inner_part_has_belongs_to_the_outer_one() {
        let outer = [Part::new("segment", 0, 20)];
        assert_eq!(
            names(&cut(20, vec![Part::new("a", 4, 4)], &outer)),
            [("segment", 0, 4), ("a", 4, 8), ("segment #2", 8, 20)]
        );
    }

    #[test]
    fn lengths_that_overflow_are_cut_at_the_end_of_the_file() {
        assert_eq!(
            names(&cut(8, vec![Part::new("a", 4, u64::MAX)], &[])),
            [("before the beginning", 0, 4), ("a", 4, 8)]
        );
    }
}
