//! Arbitrary ballots of the paper's views.

use super::{Ballots, Told};
use crate::laboratory::{Garbage, Size};

impl Ballots {
    /// Sets every variable.
    pub(in crate::view) fn scramble(&mut self, garbage: &mut Garbage<'_>) {
        let Self { floor, reports, told, held, renew, flushed } = self;
        garbage.set("ballots.floor", floor, Garbage::ballot);
        garbage
            .set("ballots.reports", reports, |g| g.each(|g, of| g.maybe(|g| Some(g.report(of)))));
        garbage.set("ballots.told", told, |g| {
            g.each(|g, _| {
                g.maybe(|g| Some(Told { ballot: g.ballot(), ticks: g.small_number(&[40]) }))
            })
        });
        garbage.set("ballots.held", held, |g| g.small_number(&[40]));
        garbage.set("ballots.renew", renew, Garbage::flag);
        garbage.set("ballots.flushed", flushed, Garbage::flag);
    }

    /// What is held.
    pub(in crate::view) fn sizes(&self, replicas: usize, sizes: &mut alloc::vec::Vec<Size>) {
        sizes.push(Size::new("ballots.reports", self.reports.len(), replicas));
        sizes.push(Size::new("ballots.told", self.told.len(), replicas));
    }
}
