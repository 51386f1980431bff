//! Where two files differ: part against part of the same name.

use std::collections::BTreeMap;

use anyhow::Result;

use super::{Difference, Extent, Map, Place};
use crate::artifact::text;
use crate::bytes::{self, Source, Window};

/// Equal stretches are skipped in blocks of this many bytes.
const BLOCK: usize = 256;

/// The parts in which the files differ, those of `a` first. Marks the differing bytes in both maps.
pub(super) fn places(a: Window<'_>, b: Window<'_>, map_a: &mut Map, map_b: &mut Map) -> Result<Vec<Place>> {
    let parts_a = map_a.parts.clone();
    let parts_b = map_b.parts.clone();
    let mut unmatched: BTreeMap<&str, &Extent> = parts_b.iter().map(|part| (part.name.as_str(), part)).collect();
    let mut places = Vec::new();
    for part in &parts_a {
        match unmatched.remove(part.name.as_str()) {
            Some(other) => places.extend(place(a, b, part, other, map_a, map_b)?),
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
    Ok(places)
}

fn alone(part: &Extent, a: Option<Extent>, b: Option<Extent>) -> Place {
    Place { name: part.name.clone(), a, b, differing: part.size, first: None }
}

fn place(
    a: Window<'_>,
    b: Window<'_>,
    part_a: &Extent,
    part_b: &Extent,
    map_a: &mut Map,
    map_b: &mut Map,
) -> Result<Option<Place>> {
    let (content_a, content_b) = (content(a, part_a)?, content(b, part_b)?);
    let mut differing = 0;
    let mut first = None;
    bytes::pairs(&content_a, &content_b, |bytes_a, bytes_b, start| {
        if bytes_a != bytes_b {
            runs(bytes_a, bytes_b, |offset, length| {
                let offset = start + offset as u64;
                differing += length;
                map_a.mark(part_a.offset + offset, length);
                map_b.mark(part_b.offset + offset, length);
                first.get_or_insert(offset);
            });
        }
        true
    })?;
    // What one has beyond the other's end.
    let common = part_a.size.min(part_b.size);
    map_a.mark(part_a.offset + common, part_a.size - common);
    map_b.mark(part_b.offset + common, part_b.size - common);
    differing += part_a.size.max(part_b.size) - common;
    if differing == 0 {
        return Ok(None);
    }
    let first = first.map(|offset| difference(a, b, offset, part_a, part_b)).transpose()?;
    Ok(Some(Place { name: part_a.name.clone(), a: Some(part_a.clone()), b: Some(part_b.clone()), differing, first }))
}

/// Calls `each` for every run of differing bytes, with where it starts and its length.
fn runs(a: &[u8], b: &[u8], mut each: impl FnMut(usize, u64)) {
    let blocks = a.chunks(BLOCK).zip(b.chunks(BLOCK)).enumerate();
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
            each(index * BLOCK + start, run);
        }
    }
}

fn difference(
    a: Window<'_>,
    b: Window<'_>,
    offset_in_part: u64,
    part_a: &Extent,
    part_b: &Extent,
) -> Result<Difference> {
    let (offset_a, offset_b) = (part_a.offset + offset_in_part, part_b.offset + offset_in_part);
    let byte = |file: Window<'_>, offset: u64| Ok::<_, anyhow::Error>(file.read(offset, 1)?[0]);
    let text = |file: Window<'_>, offset: u64| -> Result<String> {
        let start = offset.saturating_sub(text::LONGEST as u64);
        let around = file.part(start, (offset + text::LONGEST as u64).min(file.size()) - start)?;
        let bytes = around.read(0, around.size() as usize)?;
        Ok(text::shown(&bytes[text::around(&bytes, (offset - start) as usize)]))
    };
    Ok(Difference {
        offset_in_part,
        offset_a,
        offset_b,
        byte_a: byte(a, offset_a)?,
        byte_b: byte(b, offset_b)?,
        text_a: text(a, offset_a)?,
        text_b: text(b, offset_b)?,
    })
}

/// The bytes of a part, which [`layout::cut`](crate::artifact::layout::cut) keeps inside the file.
pub(super) fn content<'a>(file: Window<'a>, part: &Extent) -> Result<Window<'a>> {
    file.part(part.offset, part.size)
}
