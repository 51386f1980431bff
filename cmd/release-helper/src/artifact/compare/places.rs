//! Where two files differ: part against part of the same name.

use std::collections::BTreeMap;

use super::{Difference, Extent, Map, Place};
use crate::artifact::text;

/// Equal stretches are skipped in blocks of this many bytes.
const BLOCK: usize = 256;

/// The parts in which the files differ, those of `a` first. Marks the differing bytes in both maps.
pub(super) fn places(a: &[u8], b: &[u8], map_a: &mut Map, map_b: &mut Map) -> Vec<Place> {
    let parts_a = map_a.parts.clone();
    let parts_b = map_b.parts.clone();
    let mut unmatched: BTreeMap<&str, &Extent> = parts_b.iter().map(|part| (part.name.as_str(), part)).collect();
    let mut places = Vec::new();
    for part in &parts_a {
        match unmatched.remove(part.name.as_str()) {
            Some(other) => places.extend(place(a, b, part, other, map_a, map_b)),
            None => {
                map_a.mark(part.offset, part.size);
                places.push(alone(part, Some(part.clone()), None));
            }
        }
    }
    for part in parts_b.iter().filter(|part| unmatched.contains_key(part.name.as_str())) {
        map_b.mark(part.offset, part.size);
        places.push(alone(part, None, Some(part.clone())));
    }
    places
}

fn alone(part: &Extent, a: Option<Extent>, b: Option<Extent>) -> Place {
    Place { name: part.name.clone(), a, b, differing: part.size, first: None }
}

fn place(a: &[u8], b: &[u8], part_a: &Extent, part_b: &Extent, map_a: &mut Map, map_b: &mut Map) -> Option<Place> {
    let (content_a, content_b) = (content(a, part_a), content(b, part_b));
    if content_a == content_b {
        return None;
    }
    let mut differing = 0;
    let mut first = None;
    let blocks = content_a.chunks(BLOCK).zip(content_b.chunks(BLOCK)).enumerate();
    for (index, (block_a, block_b)) in blocks.filter(|(_, (block_a, block_b))| block_a != block_b) {
        let mut rest = block_a.iter().zip(block_b).map(|(byte_a, byte_b)| byte_a == byte_b).enumerate().peekable();
        while let Some((start, same)) = rest.next() {
            if same {
                continue;
            }
            let mut run = 1;
            while rest.next_if(|(_, same)| !same).is_some() {
                run += 1;
            }
            let offset = (index * BLOCK + start) as u64;
            differing += run;
            map_a.mark(part_a.offset + offset, run);
            map_b.mark(part_b.offset + offset, run);
            first.get_or_insert(offset);
        }
    }
    // What one has beyond the other's end.
    let common = part_a.size.min(part_b.size);
    map_a.mark(part_a.offset + common, part_a.size - common);
    map_b.mark(part_b.offset + common, part_b.size - common);
    differing += part_a.size.max(part_b.size) - common;
    let first = first.map(|offset| difference(a, b, offset, part_a, part_b));
    Some(Place { name: part_a.name.clone(), a: Some(part_a.clone()), b: Some(part_b.clone()), differing, first })
}

fn difference(a: &[u8], b: &[u8], offset_in_part: u64, part_a: &Extent, part_b: &Extent) -> Difference {
    let (offset_a, offset_b) = (part_a.offset + offset_in_part, part_b.offset + offset_in_part);
    let text = |bytes: &[u8], offset: u64| text::shown(&bytes[text::around(bytes, offset as usize)]);
    Difference {
        offset_in_part,
        offset_a,
        offset_b,
        byte_a: a[offset_a as usize],
        byte_b: b[offset_b as usize],
        text_a: text(a, offset_a),
        text_b: text(b, offset_b),
    }
}

/// The bytes of a part, which [`layout::cut`](crate::artifact::layout::cut) keeps inside the file.
pub(super) fn content<'a>(bytes: &'a [u8], part: &Extent) -> &'a [u8] {
    &bytes[part.offset as usize..(part.offset + part.size) as usize]
}
