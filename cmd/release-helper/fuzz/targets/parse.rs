#![no_main]

#[path = "../../tests/codesign/images.rs"]
#[allow(dead_code)] // the tests use all of it
mod images;
#[path = "../../tests/codesign/invariants.rs"]
#[allow(dead_code)] // each target uses one of them
mod invariants;

libfuzzer_sys::fuzz_target!(|input: &[u8]| invariants::parse(input));
