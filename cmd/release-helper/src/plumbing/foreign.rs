//! Text that somebody else wrote: a server, a release, a file's name, another program. It is cleaned once, where it
//! enters, so that it can do nothing but be read: on a terminal, in Markdown, in HTML and in `GITHUB_OUTPUT` alike.
//!
//! What could act is replaced by `�`, never removed: a name that is not clean can't become one that is known.

use anyhow::{Context, Result};
use serde::de::DeserializeOwned;
use serde_json::Value;

/// A line is cut after so many characters.
const LONGEST_LINE: usize = 512;
/// A text of several lines, such as release notes, is cut after so many characters.
const LONGEST_TEXT: usize = 4 * 1024 * 1024;

/// Whether a terminal, a browser or an editor acts on `c`, or shows something else than there is: controls, line and
/// paragraph separators, and Unicode's invisible and bidirectional format characters (UAX 9, "Trojan Source").
fn acts(c: char) -> bool {
    c.is_control()
        || (c.is_whitespace() && c != ' ')
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}')
}

fn replaced(text: &str, longest: usize, keep: impl Fn(char) -> bool) -> String {
    let mut characters = text.chars();
    let mut cleaned: String =
        characters.by_ref().take(longest).map(|c| if acts(c) && !keep(c) { '\u{fffd}' } else { c }).collect();
    if characters.next().is_some() {
        cleaned.push('…');
    }
    cleaned
}

/// `text` as one line that does nothing. A second space in a row is replaced too: many would make a terminal wrap, and
/// what follows look like a line of its own.
pub fn line(text: &str) -> String {
    let spaced = text.replace("  ", " \u{fffd}");
    replaced(&spaced, LONGEST_LINE, |_| false)
}

/// `text` with its line ends and tabs, and nothing else that acts; emoji are left whole.
pub fn text(text: &str) -> String {
    let keep = |c: char| {
        matches!(c, '\n' | '\t' | '\u{a0}' | '\u{200d}' | '\u{fe0f}') || ('\u{2000}'..='\u{200a}').contains(&c)
    };
    replaced(&text.replace("\r\n", "\n"), LONGEST_TEXT, keep)
}

/// What another program said, as a part of what we say: its further lines are marked, so that none looks like ours.
pub fn said(said: &str) -> String {
    text(said.trim()).replace('\n', "\n  | ")
}

/// Whether `name` can be shown and compared as it is.
pub fn is_clean(name: &str) -> bool {
    line(name) == name
}

/// Cleans every string in `value`. The notes of a release and the message of a tag keep their lines.
pub fn clean(value: &mut Value) {
    strings(value, &mut |name, string| if ["body", "message"].contains(&name) { text(string) } else { line(string) });
}

/// Changes every string in `value`; `change` is given the name of the innermost member that it belongs to.
pub fn strings(value: &mut Value, change: &mut impl FnMut(&str, &str) -> String) {
    fn walk(name: &str, value: &mut Value, change: &mut impl FnMut(&str, &str) -> String) {
        match value {
            Value::String(string) => *string = change(name, string),
            Value::Array(items) => items.iter_mut().for_each(|item| walk(name, item, change)),
            Value::Object(members) => members.iter_mut().for_each(|(name, member)| walk(name, member, change)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
    walk("", value, change);
}

/// Reads JSON that somebody else wrote; all its strings are clean.
pub fn json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    let mut value: Value = serde_json::from_slice(bytes).context("it is no JSON")?;
    clean(&mut value);
    serde_json::from_value(value).map_err(|error| anyhow::anyhow!("{}", line(&error.to_string())))
}

/// `text` for Markdown, where all of it is shown as it is: no link, tag, comment, code or table cell begins or ends in it.
pub fn markdown(text: &str) -> String {
    let mut escaped = String::new();
    let text = line(text);
    for (index, c) in text.char_indices() {
        match c {
            // An entity, so that no address and no mention is made a link (GitHub Flavored Markdown, "autolinks").
            ':' if text[index..].starts_with("://") => escaped += "&#58;",
            '@' | '<' | '>' | '&' => escaped += &format!("&#{};", u32::from(c)),
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '#' | '+' | '!' | '|' | '~' => escaped.extend(['\\', c]),
            'w' | 'W' if escaped.to_lowercase().ends_with("ww") => escaped += &format!("&#{};", u32::from(c)),
            _ => escaped.push(c),
        }
    }
    escaped
}

/// `text` as code in Markdown, in a table too.
pub fn code(text: &str) -> String {
    format!("`{}`", line(text).replace('`', "'").replace('|', "\\|"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_or_an_editor_would_act_on_is_replaced_and_never_removed() {
        for dirty in
            ["\x1b[31m", "a\nb", "a\rb", "\u{7f}", "\u{9b}2J", "\u{202e}cba", "\u{2066}", "a\u{200b}b", "\u{e0041}"]
        {
            assert!(!is_clean(dirty), "{dirty:?}");
            assert_eq!(line(dirty).chars().count(), dirty.chars().count());
            assert!(is_clean(&line(dirty)), "{dirty:?}");
        }
        for clean in ["tsuku-dltest-linux-amd64", "Grüße, 世界 🎉", ""] {
            assert_eq!(line(clean), clean);
        }
    }

    #[test]
    fn no_line_that_another_program_printed_begins_as_ours_do() {
        assert_eq!(
            said(" broken\x1b[2J\r\nlinux-amd64  reproduced\n"),
            "broken\u{fffd}[2J\n  | linux-amd64  reproduced"
        );
    }

    #[test]
    fn a_long_line_is_cut_and_the_cut_is_shown() {
        let cut = line(&"a".repeat(100_000));
        assert_eq!(cut.chars().count(), LONGEST_LINE + 1);
        assert!(cut.ends_with('…') && !is_clean(&"a".repeat(100_000)));
    }

    #[test]
    fn all_strings_of_a_json_are_cleaned_and_notes_keep_their_lines() {
        let mut value = serde_json::json!({"name": "a\nb", "body": "a\nb\u{1b}", "assets": [{"name": "\u{202e}"}]});
        clean(&mut value);
        let clean = serde_json::json!({"name": "a\u{fffd}b", "body": "a\nb\u{fffd}", "assets": [{"name": "\u{fffd}"}]});
        assert_eq!(value, clean);
    }

    #[test]
    fn markdown_shows_what_is_there_and_nothing_comes_of_it() {
        assert_eq!(markdown("ubuntu:20.04: ran, 1.2.3 (yes)"), "ubuntu:20.04: ran, 1.2.3 (yes)");
        assert_eq!(code("a`<b>|\n"), "`a'<b>\\|\u{fffd}`");
        assert_eq!(markdown("a|b\\|c"), "a\\|b\\\\\\|c");
        assert_eq!(markdown("<!-- x -->"), "&#60;\\!-- x --&#62;");
        assert_eq!(markdown("https://evil.example"), "https&#58;//evil.example");
        assert_eq!(markdown("www.evil.example"), "ww&#119;.evil.example");
        assert_eq!(markdown("`x` **b** [l](u) @me\n# h"), "\\`x\\` \\*\\*b\\*\\* \\[l\\](u) &#64;me\u{fffd}\\# h");
    }
}
