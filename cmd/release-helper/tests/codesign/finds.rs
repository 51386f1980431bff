//! What fuzzing found once, and a little fuzzing that any machine can do.

use std::fs;
use std::path::Path;

use crate::invariants::{parse, signature, signs};

/// A fuzz target and its name.
type Target = (&'static str, fn(&[u8]));

const TARGETS: [Target; 3] = [("parse", parse), ("sign", signs), ("signature", signature)];

#[test]
fn what_a_fuzzer_found_once_stays_found() {
    let finds = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/codesign/finds");
    let mut count = 0;
    for (name, target) in TARGETS {
        for entry in fs::read_dir(finds.join(name)).into_iter().flatten() {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            target(&fs::read(path).unwrap());
            count += 1;
        }
    }
    assert!(count > 0);
}

#[test]
fn arbitrary_input_gets_an_answer() {
    // xorshift64: the same inputs everywhere.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    for (_, target) in TARGETS {
        for length in 0..600 {
            let input: Vec<u8> = (0..length % 60).map(|_| byte()).collect();
            target(&input);
        }
    }
}
