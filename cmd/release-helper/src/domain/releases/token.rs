//! The token: what it may look like, and how it is kept out of what people read.

use anyhow::Result;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::plumbing::digest::hex;
use crate::plumbing::error::Hint;

/// What stands in a text where the token was.
const MASK: &str = "***";
/// A shorter piece of an encoded token could be a word that has nothing to do with it.
const SHORTEST_PIECE: usize = 8;
/// No word of a message is as long; what encodes a token is.
const LONGEST_WORD: usize = 40;

/// A token, and the forms in which a server could repeat it.
pub(super) struct Token {
    value: String,
    forms: Vec<String>,
}

impl Token {
    /// The token in `text`; none if there is nothing in it.
    pub(super) fn parse(text: Option<&str>) -> Result<Option<Self>> {
        let Some(value) = text.map(str::trim).filter(|token| !token.is_empty()) else { return Ok(None) };
        if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(anyhow::anyhow!("GITHUB_TOKEN is not a token: it has spaces or other characters inside"))
                .hint("set GITHUB_TOKEN to the token alone");
        }
        let mut forms = vec![value.to_owned()];
        let encoded = forms_of(value.as_bytes());
        forms.extend(encoded.into_iter().filter(|form| form.len() >= SHORTEST_PIECE));
        Ok(Some(Self { value: value.to_owned(), forms }))
    }

    /// The header that shows it to a server.
    pub(super) fn header(&self) -> String {
        format!("Bearer {}", self.value)
    }

    /// `text` without the token in any form that a decoder undoes at once.
    pub(super) fn redact(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for form in &self.forms {
            // Most strings of an answer are too short, and preparing the search is what takes the time.
            if form.len() <= text.len() {
                text = text.replace(form.as_str(), MASK);
            }
        }
        text
    }

    /// As [`Token::redact`], for a message: what is too long to be a word goes too, for there are more encodings than
    /// anybody can list.
    pub(super) fn redact_message(&self, text: &str) -> String {
        let is_code = |c: char| c.is_ascii_alphanumeric() || "+/=_-%\\".contains(c);
        let mut message = String::new();
        let mut word = String::new();
        let end = |word: &mut String, message: &mut String| {
            *message += if word.len() > LONGEST_WORD { MASK } else { word };
            word.clear();
        };
        for c in self.redact(text).chars() {
            if is_code(c) {
                word.push(c);
            } else {
                end(&mut word, &mut message);
                message.push(c);
            }
        }
        end(&mut word, &mut message);
        message
    }
}

/// `secret` in base64 at each of its three alignments, in hexadecimal, percent-encoded, and backwards.
fn forms_of(secret: &[u8]) -> Vec<String> {
    let mut forms = Vec::new();
    for shift in 0..3 {
        let shifted = [vec![0; shift], secret.to_vec()].concat();
        // Only the characters that depend on nothing but the secret.
        let (first, last) = ((shift * 8).div_ceil(6), shifted.len() * 8 / 6);
        for encoded in [STANDARD_NO_PAD.encode(&shifted), URL_SAFE_NO_PAD.encode(&shifted)] {
            forms.push(encoded[first..last].to_owned());
        }
    }
    let digits = hex(secret);
    let percent: String = secret.iter().map(|byte| format!("%{byte:02x}")).collect();
    forms.extend([digits.to_uppercase(), digits, percent.to_uppercase(), percent]);
    forms.push(String::from_utf8_lossy(secret).chars().rev().collect());
    forms
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "ghs_1234567890abcdefghijklmnopqrstuvwxyz";

    fn token() -> Token {
        Token::parse(Some(SECRET)).unwrap().unwrap()
    }

    #[test]
    fn no_form_of_the_token_is_left_in_a_text() {
        for around in ["", "x", "xy", "x-access-token:"] {
            let text = format!("{around}{SECRET}:after");
            for encoded in [STANDARD_NO_PAD.encode(&text), URL_SAFE_NO_PAD.encode(&text)] {
                let left = token().redact(&encoded);
                assert!(left.contains(MASK) && left.len() < encoded.len() / 2, "{around}: {left}");
            }
        }
        let backwards: String = SECRET.chars().rev().collect();
        for form in [SECRET.to_owned(), hex(SECRET.as_bytes()), backwards] {
            assert_eq!(token().redact(&format!("a {form} b")), "a *** b");
        }
    }

    #[test]
    fn a_message_keeps_its_words_and_loses_what_could_be_a_code() {
        let twice = STANDARD_NO_PAD.encode(STANDARD_NO_PAD.encode(SECRET));
        assert_eq!(token().redact_message(&format!("Bad {twice}, retry")), "Bad ***, retry");
        let words = "tsuku-dltest-linux-arm64-musl.build.json: see https://docs.github.com/rest/releases";
        assert_eq!(token().redact_message(words), words);
        let longest = "w".repeat(LONGEST_WORD);
        assert_eq!(token().redact_message(&format!("{longest} {longest}w")), format!("{longest} ***"));
    }

    #[test]
    fn a_token_is_one_word() {
        assert!(Token::parse(None).unwrap().is_none() && Token::parse(Some(" \n")).unwrap().is_none());
        assert_eq!(Token::parse(Some(" a\n")).unwrap().unwrap().header(), "Bearer a");
        assert!(Token::parse(Some("a b")).is_err());
    }
}
