//! An arbitrary view establishment (a).

use super::Certified;
use crate::laboratory::{Garbage, Size, Values};

impl Certified {
    /// Sets every variable.
    pub(super) fn scramble_all(&mut self, garbage: &mut Garbage<'_>) {
        let Self { view, phase, proof, demands, reports } = self;
        garbage.set("view.view", view, Garbage::view);
        garbage.set("view.phase", phase, |g| g.small_number(&[0, 1]) as u8);
        garbage.set("view.proof", proof, Garbage::proof);
        // Half of the proofs fit: those that do not are found at once, and hide what else is wrong.
        if garbage.values() != Values::Largest && garbage.chance(50) {
            let shows = proof.shows();
            garbage.set("view.view", view, |_| shows.0);
            garbage.set("view.phase", phase, |_| shows.1);
        }
        garbage.set("view.demands", demands, |g| {
            g.each(|g, of| g.maybe(|g| Some(g.demand(of))).map(|d| (d.view, d.signature)))
        });
        garbage.set("view.reports", reports, |g| g.each(|g, of| g.maybe(|g| Some(g.report(of)))));
    }

    /// What is held.
    pub(super) fn all_sizes(&self, replicas: usize, sizes: &mut alloc::vec::Vec<Size>) {
        sizes.push(Size::new("view.demands", self.demands.len(), replicas));
        sizes.push(Size::new("view.reports", self.reports.len(), replicas));
    }
}
