//! What people and scripts see: tables and JSON on stdout, progress on stderr.

use std::io::{IsTerminal, Write};

use anyhow::{Context, Result};

use crate::plumbing::foreign;

/// Rows of text under a heading, columns padded to their widest cell.
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// A table with the columns named in `heading`.
    pub fn new<const N: usize>(heading: [&str; N]) -> Self {
        Self { rows: vec![heading.map(String::from).to_vec()] }
    }

    /// Adds a row; it has as many cells as the heading.
    pub fn row<const N: usize>(&mut self, cells: [String; N]) {
        debug_assert_eq!(cells.len(), self.rows[0].len());
        self.rows.push(cells.to_vec());
    }
}

impl std::fmt::Display for Table {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let columns = self.rows[0].len();
        let width = |column: usize| self.rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let line: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
            writeln!(f, "{}", line.join("  ").trim_end())?;
        }
        Ok(())
    }
}

/// `count` with its noun, in the plural unless it is one.
pub fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Prints data to stdout. A reader that went away (`| head`) is no error. On a terminal, nothing in it acts.
pub fn print(text: impl std::fmt::Display) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    let text = text.to_string();
    let text = if stdout.is_terminal() { foreign::text(&text) } else { text };
    match write!(stdout, "{text}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot write to stdout"),
    }
}

/// Prints `value` to stdout as indented JSON.
pub fn print_json(value: &impl serde::Serialize) -> Result<()> {
    print(serde_json::to_string_pretty(value).context("cannot encode JSON")? + "\n")
}

/// Says what is going on, to people: one line on stderr, in which nothing acts.
pub fn step(text: impl std::fmt::Display) {
    let text = foreign::text(&text.to_string());
    // Nobody listening on stderr is no reason to stop.
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Says how far a long piece of work is, on one line of the terminal that the next call replaces; an empty text removes
/// it. Where stderr is no terminal it says nothing.
pub fn progress(text: impl std::fmt::Display) {
    if std::io::stderr().is_terminal() {
        // Cut: a line that wraps cannot be replaced. `\x1b[K` erases to the end of the line (ECMA-48, EL).
        let text: String = text.to_string().chars().take(78).collect();
        let _ = write!(std::io::stderr(), "\r{text}\x1b[K");
    }
}

/// Whether stderr takes colour: a terminal, and `NO_COLOR` (<https://no-color.org>) unset or empty.
pub fn colour() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_pads_its_columns_and_trims_its_lines() {
        let mut table = Table::new(["name", "size"]);
        table.row(["a".into(), "1".into()]);
        table.row(["longer".into(), "20".into()]);
        assert_eq!(table.to_string(), "name    size\na       1\nlonger  20\n");
    }
}
