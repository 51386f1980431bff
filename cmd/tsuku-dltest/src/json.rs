//! JSON strings (RFC 8259) from any bytes.

/// Takes the pieces of the output, in order.
pub(crate) trait Sink {
    /// Appends `bytes`.
    fn put(&mut self, bytes: &[u8]);
}

/// Writes `bytes` as a JSON string, quotes included: invalid UTF-8 becomes U+FFFD, control characters are escaped.
pub(crate) fn string(sink: &mut dyn Sink, bytes: &[u8]) {
    sink.put(b"\"");
    text(sink, bytes);
    sink.put(b"\"");
}

/// Writes `bytes` as a part of the inside of a JSON string.
pub(crate) fn text(sink: &mut dyn Sink, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        let valid = chunk.valid().as_bytes();
        let mut plain = 0;
        for (at, &byte) in valid.iter().enumerate() {
            if byte >= b' ' && byte != b'"' && byte != b'\\' {
                continue;
            }
            sink.put(&valid[plain..at]);
            plain = at + 1;
            escape(sink, byte);
        }
        sink.put(&valid[plain..]);
        if !chunk.invalid().is_empty() {
            sink.put("\u{fffd}".as_bytes());
        }
    }
}

fn escape(sink: &mut dyn Sink, byte: u8) {
    let short = match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => {
            let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
            return sink.put(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
        }
    };
    sink.put(&[b'\\', short]);
}

/// Writes `number` in decimal digits.
pub(crate) fn decimal(sink: &mut dyn Sink, number: u32) {
    let mut digits = [0; 10];
    let (mut rest, mut at) = (number, digits.len());
    loop {
        at -= 1;
        digits[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            return sink.put(&digits[at..]);
        }
    }
}
