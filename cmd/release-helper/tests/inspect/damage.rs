//! Damaged, cut off and foreign files: an error or a broken clause, never a panic, never a pass.

use release_helper::domain::artifact;
use release_helper::domain::contract::Platform;

use crate::skipped::skipped;
use crate::{fixtures, inspect};

/// Mutations of each kind of file.
const MUTATIONS: u64 = 1000;

/// Pseudo-random numbers that are the same in every run (xorshift64*).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit.max(1) as u64) as usize
    }
}

/// `bytes` with one to four changes of the kinds that break parsers: bytes, extreme words, moved blocks, a cut.
fn mutated(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.below(4) {
        // Headers and tables at either end are what parsers read.
        let zone = match random.below(4) {
            0 => 64,
            1 => 1024,
            2 => 4096,
            _ => bytes.len(),
        };
        let mut at = random.below(zone.min(bytes.len()));
        if random.below(5) == 0 {
            at = bytes.len().saturating_sub(1 + at);
        }
        let length = bytes.len();
        match random.below(6) {
            0 => bytes[at] = random.next() as u8,
            1 => bytes[at] ^= 1 << random.below(8),
            2 => {
                let extreme = [0, 1, 0x7fff_ffff, 0x8000_0000, u32::MAX, length as u32, length as u32 - 1];
                let word = extreme[random.below(extreme.len())].to_le_bytes();
                write(&mut bytes, at & !3, &word);
            }
            3 => {
                let extreme = [0, u64::MAX, i64::MAX as u64, 1 << 32, length as u64, (length as u64).wrapping_neg()];
                let long = extreme[random.below(extreme.len())].to_le_bytes();
                write(&mut bytes, at & !7, &long);
            }
            4 => {
                let size = random.below(64);
                let block = bytes[at..(at + size).min(length)].to_vec();
                let to = random.below(length);
                write(&mut bytes, to, &block);
            }
            _ => bytes.truncate(at.max(1)),
        }
    }
    bytes
}

fn write(bytes: &mut [u8], at: usize, content: &[u8]) {
    for (byte, new) in bytes.iter_mut().skip(at).zip(content) {
        *byte = *new;
    }
}

/// Real files of every kind, each with a platform to judge it by.
fn files() -> Vec<(String, Vec<u8>, Platform)> {
    let contract = fixtures::contract();
    let mut files: Vec<_> = contract
        .platforms()
        // One of each: the machines and the C libraries make no difference to a parser.
        .filter(|platform| !["linux-arm64", "linux-amd64-musl"].contains(&platform.name.as_str()))
        .filter(|platform| fixtures::has_target(platform))
        .map(|platform| (platform.asset.clone(), fixtures::artifact(platform), platform.clone()))
        .collect();
    let of = |kind: &str| files.iter().find(|(name, ..)| name.ends_with(kind)).map(|(_, bytes, _)| bytes.clone());
    if let (Some(x86_64), Some(arm64)) = (of("darwin-amd64"), of("darwin-arm64")) {
        let darwin = contract.platform("darwin-arm64").unwrap().clone();
        files.push(("fat".into(), fixtures::fat(&[&x86_64, &arm64]), darwin));
    }
    // A program as a distribution makes it: section headers, versions, notes, GNU tables.
    match std::fs::read("/bin/true") {
        Ok(bytes) => files.push(("/bin/true".into(), bytes, contract.platform("linux-amd64").unwrap().clone())),
        Err(error) => skipped(&format!("/bin/true: {error}")),
    }
    files
}

#[test]
fn a_thousand_mutations_of_each_kind_are_judged_without_a_panic() {
    let contract = fixtures::contract();
    for (name, bytes, platform) in files() {
        let mut random = Random(0x7473_756b_7500_0001);
        let proper = inspect(&bytes, &platform).is_ok_and(|inspection| inspection.holds());
        let mut unnoticed = Vec::new();
        for _ in 0..MUTATIONS {
            let mutation = mutated(&bytes, &mut random);
            let verdict = artifact::inspect(&mutation, &platform, &contract, Some(fixtures::VERSION));
            let comparison = artifact::compare(&bytes, &mutation);
            if !comparison.same && verdict.is_ok_and(|inspection| inspection.holds()) {
                unnoticed.push(comparison.summary());
            }
            assert_eq!(comparison.same, bytes == mutation, "{name}");
            assert_eq!(comparison.places.is_empty(), comparison.same, "{name}");
            assert!(comparison.same || !comparison.causes.is_empty() || comparison.differing() > 0, "{name}");
        }
        // A change of code breaks no clause of an unsigned file; a signature covers every byte.
        if platform.is_darwin() && proper {
            assert_eq!(unnoticed, Vec::<String>::new(), "{name}");
        }
    }
}

#[test]
fn no_truncation_passes() {
    for (name, bytes, platform) in files().into_iter().filter(|(name, ..)| name.starts_with("tsuku-dltest-")) {
        // Every length of the small ones, some of the large ones, and everything close to either end.
        let step = 1 + bytes.len() / 1000;
        for length in (0..bytes.len()).filter(|length| length % step == 0 || *length < 512 || bytes.len() - length < 32)
        {
            let verdict = inspect(&bytes[..length], &platform);
            assert!(!verdict.is_ok_and(|inspection| inspection.holds()), "{name} cut to {length} bytes");
            let comparison = artifact::compare(&bytes, &bytes[..length]);
            assert!(!comparison.same);
            if length > 0 {
                assert!(comparison.causes.iter().any(|cause| cause.kind == "length"), "{name} cut to {length} bytes");
            }
        }
    }
}

#[test]
fn counts_and_lengths_in_a_hostile_file_cost_nothing() {
    let contract = fixtures::contract();
    for (_, bytes, platform) in files().into_iter().filter(|(_, bytes, _)| bytes.len() < 200_000) {
        // All fields of the headers at their maximum, one after the other.
        for at in (4..bytes.len().min(512)).step_by(4) {
            let mut hostile = bytes.clone();
            write(&mut hostile, at, &[0xff; 8]);
            let _ = artifact::inspect(&hostile, &platform, &contract, None);
            artifact::compare(&bytes, &hostile);
        }
    }
}

#[test]
fn an_empty_slice_beyond_the_end_of_a_fat_file_is_no_panic() {
    // Found by fuzzing `compare`.
    let mut fat = [0xcafe_babe_u32, 1, 0x0100_0007, 3, 0x4000, 0, 14].map(u32::to_be_bytes).concat();
    fat.resize(64, 0);
    let mut other = fat.clone();
    other[63] = 1;
    assert!(!artifact::compare(&fat, &other).same);
    assert!(!artifact::compare(&fat, b"thin").same);
}

#[test]
fn foreign_files_are_named() {
    let platform = fixtures::contract().platform("linux-amd64").unwrap().clone();
    let refusal = |bytes: &[u8]| format!("{:#}", inspect(bytes, &platform).unwrap_err());
    for (bytes, name) in [
        (&b""[..], "empty"),
        (b"<!DOCTYPE html><html>", "an HTML page"),
        (b"{\"message\": \"Not Found\"}", "a JSON document"),
        (b"Not Found\n", "text"),
        (b"PK\x03\x04....", "a ZIP archive"),
        (b"\x1f\x8b\x08\0", "a gzip archive"),
        (b"MZ\x90\0", "a Windows program"),
        (b"#!/bin/sh\n", "a script"),
        (b"!<arch>\n", "an ar archive"),
        (b"\xca\xfe\xba\xbe\0\0\0\x41", "a Java class file"),
        (b"\x00\x01\x02\x03", "data of no known format"),
    ] {
        assert_eq!(refusal(bytes), format!("neither an ELF nor a Mach-O file, but {name}"));
    }
    assert!(refusal(b"\x7fELF").starts_with("this ELF file is damaged or cut off: "));
}
