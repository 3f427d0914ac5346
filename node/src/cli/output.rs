//! The standard output: lines, JSON and tables. A reader that has gone away is no error.

use std::fmt::Display;
use std::io::{self, Write};

use serde::Serialize;

/// Prints one line.
pub(crate) fn line(text: impl Display) {
    let mut out = io::stdout().lock();
    // Nobody is left to be told.
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// Prints one JSON value in one line.
pub(crate) fn json(value: &impl Serialize) {
    // Only maps with keys that are no texts have no JSON form, and nothing here has one.
    line(serde_json::to_string(value).unwrap_or_default());
}

/// Prints rows with aligned columns; the first row is the heading.
pub(crate) fn table(rows: &[Vec<String>]) {
    for row in aligned(rows) {
        line(row);
    }
}

fn aligned(rows: &[Vec<String>]) -> Vec<String> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let text = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(text).collect()
}

/// `0x` and the first eight digits: enough to compare by eye.
pub(crate) fn short(hash: &daruma_types::Hash) -> String {
    format!("0x{:08x}", hash.short())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let rows = [row(["name", "x"]), row(["é", "12"])];
        assert_eq!(aligned(&rows), ["name  x", "é     12"]);
    }
}
