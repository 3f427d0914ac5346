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

/// A moment in ms since 1970 as `2026-01-31 23:59:59`, in UTC.
pub(crate) fn utc(at_ms: u64) -> String {
    let seconds = at_ms / 1000;
    let (days, of_day) = (seconds / 86_400, seconds % 86_400);
    // Eras of 400 years that begin in March, so that a leap day is the last of its year.
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let of_year = |year: u64| of_era - (365 * year + year / 4 - year / 100);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let month = (5 * of_year(year) + 2) / 153;
    let day = of_year(year) - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + 400 * era + u64::from(month <= 2);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_written_as_the_calendar_has_it() {
        assert_eq!(utc(0), "1970-01-01 00:00:00");
        assert_eq!(utc(951_782_400_000), "2000-02-29 00:00:00");
        assert_eq!(utc(1_735_689_599_999), "2024-12-31 23:59:59");
        assert_eq!(utc(4_107_542_400_000), "2100-03-01 00:00:00");
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let row = |cells: [&str; 2]| cells.map(str::to_owned).to_vec();
        let rows = [row(["name", "x"]), row(["é", "12"])];
        assert_eq!(aligned(&rows), ["name  x", "é     12"]);
    }
}
