//! What a property list says of the program that holds it.

use std::io::Cursor;

use anyhow::{Context, Result, bail, ensure};
use plist::stream::{Event, Reader};

/// The key of the identifier of a bundle.
const KEY: &str = "CFBundleIdentifier";
/// More events than a property list of the largest supported size has, unless its parts refer to each other again and
/// again, as they can in the binary format.
const MAX_EVENTS: usize = 1 << 20;

/// CFBundleIdentifier in the outermost dictionary of a property list of any format. A list that cannot be read, or holds
/// something else there, is an error, as in Security `machorep.cpp`, `explicitIdentifier`. Of two keys of that name the
/// last counts. Events and no tree: the list may be nested as deep as its author likes.
pub(super) fn bundle_identifier(plist: &[u8]) -> Result<Option<String>> {
    let (mut depth, mut key, mut found) = (0_usize, None, None);
    for event in Reader::new(Cursor::new(plist)).take(MAX_EVENTS) {
        let event = event?;
        let starts = matches!(event, Event::StartArray(_) | Event::StartDictionary(_));
        match depth {
            0 => ensure!(matches!(event, Event::StartDictionary(_)), "it is not a dictionary"),
            1 if matches!(event, Event::EndCollection) => return Ok(found),
            1 => match key.take() {
                None => key = Some(string(event).context("a key is not a string")?),
                Some(name) if name == KEY => {
                    found = Some(string(event).with_context(|| format!("its {KEY} is not a string"))?);
                }
                Some(_) => {}
            },
            _ if matches!(event, Event::EndCollection) => depth -= 1,
            _ => {}
        }
        depth += usize::from(starts);
    }
    bail!("it does not end")
}

/// The text of an event that is one.
fn string(event: Event<'_>) -> Option<String> {
    match event {
        Event::String(text) => Some(text.into_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Result<Option<String>> {
        bundle_identifier(format!("<plist version=\"1.0\">{text}</plist>").as_bytes())
    }

    #[test]
    fn the_bundle_identifier_is_that_of_the_outermost_dictionary() {
        let nested = "<key>a</key><dict><key>CFBundleIdentifier</key><string>wrong</string></dict>";
        let own = "<key>CFBundleIdentifier</key><!-- said -->\n\t<string>a &amp; b</string>";
        for text in [format!("{nested}{own}"), format!("{own}{nested}"), format!("<key>b</key><array/>{own}")] {
            assert_eq!(found(&format!("<dict>{text}</dict>")).unwrap().as_deref(), Some("a & b"), "{text}");
        }
        assert_eq!(found(&format!("<dict>{nested}</dict>")).unwrap(), None);
        assert_eq!(found("<dict><key>x</key><string>CFBundleIdentifier</string></dict>").unwrap(), None);
    }

    #[test]
    fn a_binary_property_list_is_read_too() {
        let mut plist = Vec::new();
        let mut dictionary = plist::Dictionary::new();
        dictionary.insert("CFBundleIdentifier".into(), "tool".into());
        plist::Value::Dictionary(dictionary).to_writer_binary(&mut plist).unwrap();
        assert_eq!(bundle_identifier(&plist).unwrap().as_deref(), Some("tool"));
    }

    #[test]
    fn what_is_no_property_list_of_a_program_is_an_error() {
        for text in ["<array/>", "<dict><key>CFBundleIdentifier</key><integer>1</integer></dict>", "<dict>", ""] {
            assert!(found(text).is_err(), "{text}");
        }
        let deep = "<dict><key>CFBundleIdentifier</key>".to_owned() + &"<array>".repeat(100_000);
        assert!(found(&deep).is_err());
        assert!(bundle_identifier(b"bplist00\0\0\0").is_err());
    }

    /// 30 arrays, each of which holds the next one twice: a billion events of 150 bytes.
    #[test]
    fn a_binary_property_list_that_unfolds_without_end_is_an_error() {
        let mut plist = b"bplist00".to_vec();
        let mut offsets = Vec::new();
        let mut object = |bytes: &[u8], plist: &mut Vec<u8>| {
            offsets.push(plist.len() as u8);
            plist.extend_from_slice(bytes);
        };
        object(&[0xd1, 1, 2], &mut plist);
        object(&[0x51, b'k'], &mut plist);
        for number in 2..32 {
            object(&[0xa2, number + 1, number + 1], &mut plist);
        }
        object(&[0x08], &mut plist);
        let (count, table) = (offsets.len() as u8, plist.len() as u8);
        plist.extend_from_slice(&offsets);
        plist.extend_from_slice(&[0, 0, 0, 0, 0, 0, 1, 1]);
        for number in [count, 0, table] {
            plist.extend_from_slice(&[0, 0, 0, 0, 0, 0, 0, number]);
        }
        assert!(bundle_identifier(&plist).is_err());
    }
}
