//! An arbitrary belief about what the ledger misses.

use super::Mending;
use crate::laboratory::Garbage;

impl Mending {
    /// Sets every variable.
    pub(in crate::replication) fn scramble(&mut self, garbage: &mut Garbage<'_>) {
        let Self { told, waits, turn } = self;
        garbage.set("mending.told", told, |g| {
            g.maybe(|g| Some((g.height(), g.small_number(&[super::TOLD_TICKS.into()]))))
        });
        garbage.set("mending.waits", waits, |g| g.small_number(&[super::ANSWER_TICKS.into()]));
        garbage.set("mending.turn", turn, |g| g.number(&[0]) as usize);
    }
}
