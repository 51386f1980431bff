//! The parts of the program that need no system, tested by themselves and against others.

#[path = "../src/args.rs"]
mod args;
#[path = "../src/describe.rs"]
#[allow(dead_code)]
mod describe;
#[path = "../src/json.rs"]
mod json;

use std::ffi::CString;

use args::{Options, Request, Words};

struct Text(Vec<u8>);

impl json::Sink for Text {
    fn put(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

fn written(bytes: &[u8]) -> String {
    let mut text = Text(Vec::new());
    json::string(&mut text, bytes);
    String::from_utf8(text.0).expect("JSON is UTF-8")
}

/// xorshift: the same numbers every time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Bytes of all kinds: text, controls, valid and broken UTF-8.
fn bytes(random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..random.below(40) {
        match random.below(5) {
            0 => bytes.push(random.below(256) as u8),
            1 => bytes.push(random.below(0x20) as u8),
            2 => bytes.extend(char::from_u32(random.below(0x11_0000) as u32).unwrap_or('\\').to_string().as_bytes()),
            3 => {
                let encoded = char::from_u32(random.below(0x11_0000) as u32).unwrap_or('"').to_string();
                let cut = random.below(encoded.len() as u64) as usize;
                bytes.extend(&encoded.as_bytes()[..cut]);
            }
            _ => bytes.extend(b"path\"\\/"),
        }
    }
    bytes
}

#[test]
fn strings_are_written_as_serde_json_writes_them() {
    let mut random = Random(0x1234_5678_9abc_def1);
    for _ in 0..50_000 {
        let bytes = bytes(&mut random);
        let expected = serde_json::to_string(&String::from_utf8_lossy(&bytes)).expect("strings are JSON");
        assert_eq!(written(&bytes), expected, "{bytes:?}");
    }
}

#[test]
fn every_single_byte_and_pair_is_written_as_serde_json_writes_it() {
    for first in 0..=255_u8 {
        for second in (0..=255_u8).step_by(5) {
            let bytes = [first, second];
            let expected = serde_json::to_string(&String::from_utf8_lossy(&bytes)).expect("strings are JSON");
            assert_eq!(written(&bytes), expected);
        }
    }
}

#[test]
fn numbers_are_written_in_decimal() {
    for number in [0, 1, 9, 10, 99, 100, 2000, u32::MAX] {
        let mut text = Text(Vec::new());
        json::decimal(&mut text, number);
        assert_eq!(String::from_utf8(text.0).expect("digits"), number.to_string());
    }
}

fn request<T>(words: &[&str], then: impl FnOnce(Request<'_>) -> T) -> T {
    let words: Vec<_> = words.iter().map(|word| CString::new(*word).expect("no NUL")).collect();
    then(args::request(Words::new(words.iter().map(CString::as_c_str))))
}

#[test]
fn later_options_win_and_values_may_be_attached() {
    let expected = Options { jobs: Some(7), timeout: Some(250), shared: true, stdin: false, lines: true };
    let words = ["--jobs", "3", "a", "--timeout-ms=250", "--jobs=7", "--isolation", "shared", "--json-lines"];
    request(&words, |request| assert_eq!(request, Request::Load(expected)));
    request(&["--isolation=shared", "--isolation=strict", "a"], |request| {
        assert_eq!(request, Request::Load(Options::default()));
    });
}

#[test]
fn any_words_are_understood_or_refused() {
    let pieces = ["--", "-", "--jobs", "--jobs=", "3", "--timeout-ms", "--stdin0", "--version", "--help", "x", "", "="];
    let mut random = Random(42);
    for _ in 0..100_000 {
        let words: Vec<String> = (0..random.below(6))
            .map(|_| (0..1 + random.below(2)).map(|_| pieces[random.below(pieces.len() as u64) as usize]).collect())
            .collect();
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        request(&words, |request| match request {
            Request::Load(options) => {
                assert!(options.jobs.is_none_or(|jobs| (1..=args::MAX_JOBS).contains(&jobs)));
                assert!(options.timeout.is_none_or(|timeout| (1..=args::MAX_TIMEOUT).contains(&timeout)));
            }
            Request::Version => assert!(words == ["--version"] || words == ["--version", "--"]),
            Request::Nothing | Request::Help | Request::Wrong(..) => {}
        });
    }
}

#[test]
fn any_bytes_are_described_without_a_panic() {
    let mut random = Random(7);
    for _ in 0..200_000 {
        let mut head: Vec<u8> = (0..random.below(70)).map(|_| random.below(256) as u8).collect();
        if random.below(2) == 0 {
            head.splice(..head.len().min(4), *b"\x7fELF");
        }
        if let Some(phrase) = describe::mismatch(&head) {
            assert!(!phrase[0].is_empty());
        }
    }
}
