//! Arbitrary progress of catching up.

use daruma_types::Height;

use super::CatchUp;
use crate::laboratory::Garbage;

impl CatchUp {
    /// Sets every variable.
    pub(in crate::replication) fn scramble(&mut self, garbage: &mut Garbage<'_>) {
        let Self { asked, still, last, turn, flowing } = self;
        garbage.set("catch_up.asked", asked, |g| {
            g.maybe(|g| Some((g.replica(), g.small_number(&[super::ANSWER_TICKS.into()]))))
        });
        garbage.set("catch_up.still", still, |g| g.small_number(&[super::STILL_TICKS.into()]));
        garbage.set("catch_up.last", last, |g| Height(g.height().0));
        garbage.set("catch_up.turn", turn, |g| g.number(&[0]) as usize);
        garbage.set("catch_up.flowing", flowing, Garbage::flag);
    }
}
