//! A bar that shows how far a search is, on a terminal only.

use std::cell::Cell;
use std::ops::Range;

use indicatif::{ProgressBar, ProgressStyle};

use crate::Outcome;

/// What the bar shows.
const STYLE: &str = "{bar:30} {pos}/{len} seeds, {per_sec}, {msg}, {elapsed} of about {duration}";

/// The bar of one search. On a standard error stream that is no terminal it shows nothing.
pub(super) struct Bar {
    bar: ProgressBar,
    failed: Cell<u64>,
}

impl Bar {
    pub(super) fn new(seeds: Range<u64>) -> Self {
        let bar = ProgressBar::new(seeds.end - seeds.start);
        bar.set_style(ProgressStyle::with_template(STYLE).unwrap_or(ProgressStyle::default_bar()));
        bar.set_message("0 failed");
        Self { bar, failed: Cell::new(0) }
    }

    /// A run has ended.
    pub(super) fn ended(&self, outcome: &Outcome) {
        if !outcome.holds() {
            self.failed.set(self.failed.get() + 1);
            self.bar.set_message(format!("{} failed", self.failed.get()));
        }
        self.bar.inc(1);
    }

    pub(super) fn finish(self) {
        self.bar.finish_and_clear();
    }
}
