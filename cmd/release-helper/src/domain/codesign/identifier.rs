//! The identifier that `codesign` makes up when it is given none (Security `diskrep.cpp`, `signer.cpp`).

use std::fmt::Write as _;

use anyhow::{Context, Result};

use super::digest::Algorithm;
use super::image::Image;
use super::property_list::bundle_identifier;

/// The identifier of an image in a file called `file_name` with this property list inside.
pub(super) fn default(image: &Image, info_plist: Option<&[u8]>, file_name: Option<&str>) -> Result<String> {
    let explicit = info_plist.map(bundle_identifier).transpose();
    // What the program says of itself stays as it is, with a dot or without (Security `signer.cpp`).
    match explicit.context("section __info_plist holds no property list that can be read")?.flatten() {
        Some(identifier) if !identifier.is_empty() => return Ok(identifier),
        _ => {}
    }
    let name = shortened(file_name.context("no identifier is given, and no file name to make one of")?);
    if name.contains('.') {
        return Ok(name.to_owned());
    }
    // A name without a dot could be anybody's: it is made unique by what identifies the code.
    let unique = match image.uuid {
        Some(uuid) => [b"UUID", uuid.as_slice()].concat(),
        // The first 28 bytes of the header, of 64-bit images too, and the load commands.
        None => {
            let commands = if image.is_64() { 32 } else { 28 };
            Algorithm::Sha1.digest(&[&image.header[..28], &image.header[commands..]].concat())
        }
    };
    let mut identifier = format!("{name}-");
    for byte in unique {
        // Writing to a String cannot fail.
        let _ = write!(identifier, "{byte:02x}");
    }
    Ok(identifier)
}

/// A file name without extension, and without the numbers at its end but the first.
fn shortened(leaf: &str) -> &str {
    let is_digit = |character: char| character.is_ascii_digit();
    let name = match leaf.rsplit_once('.') {
        Some((stem, extension)) if !extension.is_empty() && !extension.starts_with(is_digit) => stem,
        _ => leaf,
    };
    if name.starts_with(|first: char| first == '.' || is_digit(first)) {
        return name;
    }
    // foo.2.3.4 -> foo.2, foo2.3 -> foo2
    let stem = name.trim_end_matches(|last: char| last == '.' || is_digit(last));
    let numbers = &name[stem.len()..];
    let first = numbers.strip_prefix('.').unwrap_or(numbers).trim_start_matches(is_digit);
    &name[..name.len() - first.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_loses_its_extension_and_all_numbers_but_the_first() {
        for (leaf, expected) in [
            ("tool", "tool"),
            ("foo.2.3.4", "foo.2"),
            ("foo2.3", "foo2"),
            ("libjpeg.62.4.0.dylib", "libjpeg.62"),
            ("libpng16.16.dylib", "libpng16"),
            ("_speedups.cpython-311-darwin.so", "_speedups.cpython-311-darwin"),
            ("libfoo.dylib", "libfoo"),
            ("7zip.1.2", "7zip.1.2"),
            (".hidden.1.2", ".hidden.1.2"),
        ] {
            assert_eq!(shortened(leaf), expected, "{leaf}");
        }
    }
}
