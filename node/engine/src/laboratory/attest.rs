//! Arbitrary attestations.

use super::{Attestations, Entry, KEPT_HEIGHTS};
use crate::laboratory::{Garbage, Size};

impl Attestations {
    /// Sets every variable.
    pub(crate) fn scramble(&mut self, garbage: &mut Garbage<'_>) {
        let Self { executed, attested, entries } = self;
        let near = executed.0;
        garbage.set("attest.executed", executed, |g| daruma_types::Height(g.number(&[near])));
        garbage.set("attest.attested", attested, |g| daruma_types::Height(g.number(&[near])));
        garbage.set("attest.entries", entries, |g| {
            let count = g.size(12);
            let entry = |g: &mut Garbage<'_>| Entry {
                held: g.each(|g, of| g.maybe(|g| Some(g.attestation(of)))),
                told: g.number(&[2, 3]) as usize,
                diverged: g.flag(),
            };
            (0..count).map(|_| (daruma_types::Height(g.number(&[near])), entry(g))).collect()
        });
    }

    /// What is held.
    pub(crate) fn sizes(&self, replicas: usize, sizes: &mut alloc::vec::Vec<Size>) {
        let window = daruma_types::limits::WINDOW_MAX;
        let bound = KEPT_HEIGHTS as usize + window + 1;
        sizes.push(Size::new("attest.entries", self.entries.len(), bound));
        let held = self.entries.values().map(|entry| entry.held.len()).max().unwrap_or(0);
        sizes.push(Size::new("attest.held", held, replicas));
    }
}
