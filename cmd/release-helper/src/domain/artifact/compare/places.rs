//! Where two files differ: part against part of the same name.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::Result;

use super::causes;
use super::comparison::{Difference, Extent, Map, Place};
use super::tokens::{self, Tokens};
use crate::domain::artifact::layout::Part;
use crate::domain::artifact::text;
use crate::plumbing::bytes::{self, Source, Window};

/// Equal stretches are skipped in blocks of this many bytes.
const BLOCK: usize = 256;
/// How far around differing bytes the text belongs to them.
const CONTEXT: usize = tokens::LONGEST;

/// What was found where two files differ.
pub(super) struct Reading {
    pub(super) map_a: Map,
    pub(super) map_b: Map,
    /// The parts in which they differ, those of the first file first.
    pub(super) places: Vec<Place>,
    /// What the text in and around the differing bytes holds, in both files.
    pub(super) tokens: [Tokens; 2],
}

impl Reading {
    /// Reads both files, part by part. Sets `differ` as soon as they do.
    pub(super) fn of(
        a: Window<'_>,
        b: Window<'_>,
        parts_a: &[Part],
        parts_b: &[Part],
        differ: &AtomicBool,
    ) -> Result<Self> {
        let (mut map_a, mut map_b) = (Map::new(a.size(), parts_a), Map::new(b.size(), parts_b));
        let (parts_a, parts_b) = (map_a.parts.clone(), map_b.parts.clone());
        let mut unmatched: BTreeMap<&str, &Extent> = parts_b.iter().map(|part| (part.name.as_str(), part)).collect();
        let mut places = Vec::new();
        let tokens = [(); 2].map(|()| Mutex::default());
        for part in &parts_a {
            match unmatched.remove(part.name.as_str()) {
                Some(other) => {
                    let pair = Pair { files: [a, b], parts: [part, other], tokens: &tokens, differ };
                    places.extend(pair.place([&mut map_a, &mut map_b])?);
                }
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
        let tokens = tokens.map(|tokens| tokens.into_inner().unwrap_or_else(PoisonError::into_inner));
        Ok(Self { map_a, map_b, places, tokens })
    }

    /// How many bytes differ.
    pub(super) fn differing(&self) -> u64 {
        self.places.iter().map(|place| place.differing).sum()
    }
}

fn alone(part: &Extent, a: Option<Extent>, b: Option<Extent>) -> Place {
    Place { name: part.name.clone(), a, b, differing: part.size, first: None }
}

/// Two parts of the same name.
struct Pair<'a> {
    files: [Window<'a>; 2],
    parts: [&'a Extent; 2],
    tokens: &'a [Mutex<Tokens>; 2],
    differ: &'a AtomicBool,
}

/// What one thread finds.
struct Found {
    maps: [Map; 2],
    first: Option<u64>,
    differing: u64,
}

impl Found {
    /// Counts the bytes that differ, in a stretch that begins at these offsets of the files.
    fn mark(&mut self, offsets: [u64; 2], bytes_a: &[u8], bytes_b: &[u8]) {
        /// Smaller than most cells: most of the bytes are counted once.
        const PIECE: usize = 4096;
        for (index, (bytes_a, bytes_b)) in bytes_a.chunks(PIECE).zip(bytes_b.chunks(PIECE)).enumerate() {
            let (all, size) = (count(bytes_a, bytes_b), bytes_a.len() as u64);
            self.differing += all;
            for (map, offset) in self.maps.iter_mut().zip(offsets) {
                map.mark_some(offset + (index * PIECE) as u64, size, |part| {
                    let inside = part.start as usize..part.end as usize;
                    if part == (0..size) { all } else { count(&bytes_a[inside.clone()], &bytes_b[inside]) }
                });
            }
        }
    }
}

impl Pair<'_> {
    /// Where they differ, if they do. Marks the differing bytes in both maps.
    fn place(&self, maps: [&mut Map; 2]) -> Result<Option<Place>> {
        let [a, b] = self.parts;
        let contents = [self.content(0)?, self.content(1)?];
        let common = a.size.min(b.size);
        let tells = causes::may_tell(&a.name);
        let nothing =
            || Found { maps: [0, 1].map(|side| Map::new(self.files[side].size(), &[])), first: None, differing: 0 };
        let state = || ([Vec::new(), Vec::new()], nothing());
        let threads = bytes::sweep(common, state, |(buffers, found), range| {
            let mut inner = 0..0;
            for (content, buffer) in contents.iter().zip(buffers.iter_mut()) {
                inner = bytes::surrounded(content, &range, CONTEXT as u64, buffer)?;
            }
            let [bytes_a, bytes_b] = [&buffers[0][inner.clone()], &buffers[1][inner.clone()]];
            for differing in differing_stretches(bytes_a, bytes_b) {
                self.differ.store(true, Ordering::Relaxed);
                let (bytes_a, bytes_b) = (&bytes_a[differing.clone()], &bytes_b[differing.clone()]);
                let start = range.start + differing.start as u64;
                found.mark([a.offset + start, b.offset + start], bytes_a, bytes_b);
                if found.first.is_none_or(|first| start < first) {
                    let first = bytes_a.iter().zip(bytes_b).position(|(byte_a, byte_b)| byte_a != byte_b);
                    found.first = first.map(|first| start + first as u64);
                }
                if tells {
                    let start = (inner.start + differing.start).saturating_sub(CONTEXT);
                    let end = inner.start + differing.end;
                    self.collect(buffers, start, end);
                }
            }
            Ok(true)
        })?;
        let mut differing = threads.iter().map(|(_, found)| found.differing).sum::<u64>();
        let first = threads.iter().filter_map(|(_, found)| found.first).min();
        for (side, map) in maps.into_iter().enumerate() {
            for (_, found) in &threads {
                let cells = map.differing.iter_mut().zip(&found.maps[side].differing);
                cells.for_each(|(all, one)| *all += one);
            }
            // What one has beyond the other's end.
            let part = self.parts[side];
            map.mark(part.offset + common, part.size - common);
            differing += part.size - common;
            if tells && a.size != b.size {
                self.collect_behind(side, common)?;
            }
        }
        if differing == 0 {
            return Ok(None);
        }
        let first = first.map(|offset| difference(self.files, offset, a, b)).transpose()?;
        Ok(Some(Place { name: a.name.clone(), a: Some(a.clone()), b: Some(b.clone()), differing, first }))
    }

    /// The bytes of a part, which [`layout::cut`](crate::domain::artifact::layout::cut) keeps inside the file.
    fn content(&self, side: usize) -> Result<Window<'_>> {
        self.files[side].part(self.parts[side].offset, self.parts[side].size)
    }

    /// Remembers the tokens that begin in `start..end` of both buffers.
    fn collect(&self, buffers: &[Vec<u8>; 2], start: usize, end: usize) {
        for (buffer, tokens) in buffers.iter().zip(self.tokens) {
            tokens::collect(buffer, start..end, tokens);
        }
    }

    /// Remembers the tokens of one side behind `common`, and shortly before.
    fn collect_behind(&self, side: usize, common: u64) -> Result<()> {
        self.differ.store(true, Ordering::Relaxed);
        let content = self.content(side)?;
        let start = common.saturating_sub(CONTEXT as u64);
        bytes::sweep(content.size() - start, Vec::new, |buffer, range| {
            let range = start + range.start..start + range.end;
            let inner = bytes::surrounded(&content, &range, CONTEXT as u64, buffer)?;
            tokens::collect(buffer, inner.start.saturating_sub(CONTEXT)..inner.end, &self.tokens[side]);
            Ok(true)
        })?;
        Ok(())
    }
}

/// The stretches of two pieces in which they differ, in whole blocks; what is nearer than [`CONTEXT`] is in one.
fn differing_stretches(a: &[u8], b: &[u8]) -> Vec<Range<usize>> {
    let mut stretches: Vec<Range<usize>> = Vec::new();
    if a == b {
        return stretches;
    }
    let blocks = a.chunks(BLOCK).zip(b.chunks(BLOCK)).enumerate();
    for (index, (block, _)) in blocks.filter(|(_, (block_a, block_b))| block_a != block_b) {
        let (start, end) = (index * BLOCK, index * BLOCK + block.len());
        match stretches.last_mut() {
            Some(last) if start - last.end <= CONTEXT => last.end = end,
            _ => stretches.push(start..end),
        }
    }
    stretches
}

/// How many bytes differ. Written for the compiler to compare many with one instruction.
fn count(a: &[u8], b: &[u8]) -> u64 {
    // As many as a byte can count.
    let pieces = a.chunks(128).zip(b.chunks(128));
    let differing = pieces.map(|(a, b)| a.iter().zip(b).map(|(a, b)| u8::from(a != b)).sum::<u8>());
    differing.map(u64::from).sum()
}

fn difference([a, b]: [Window<'_>; 2], offset_in_part: u64, part_a: &Extent, part_b: &Extent) -> Result<Difference> {
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
