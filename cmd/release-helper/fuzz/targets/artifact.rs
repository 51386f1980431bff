#![no_main]

use std::sync::LazyLock;

use release_helper::domain::artifact;
use release_helper::domain::contract::Contract;

static CONTRACT: LazyLock<Contract> = LazyLock::new(|| Contract::embedded().unwrap());

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    let name = if input.first() == Some(&0x7f) { "linux-amd64" } else { "darwin-arm64" };
    let platform = CONTRACT.platform(name).unwrap();
    let nowhere = artifact::inspect::Surroundings::default();
    // Whether it can be judged is the input's business; only a panic is a find.
    let _ = artifact::inspect::inspect_in(input, platform, &CONTRACT, None, &nowhere);
    let mut other = input.to_vec();
    if let Some(byte) = other.last_mut() {
        *byte ^= 1;
    }
    assert_eq!(artifact::compare(input, &other).same, input.is_empty());
    artifact::compare(input, &input[..input.len() / 2]);
});
