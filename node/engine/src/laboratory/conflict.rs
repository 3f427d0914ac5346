//! An arbitrary conflict of chains.

use daruma_types::Height;

use super::{Conflict, Support};
use crate::laboratory::Garbage;

impl Conflict {
    /// Sets every variable.
    pub(crate) fn scramble(&mut self, garbage: &mut Garbage<'_>) {
        let Self { shown, stood, low, high, step, asked, comparing, kept, turn } = self;
        garbage.set("conflict.shown", shown, Garbage::signers);
        garbage.set("conflict.stood", stood, |g| g.small_number(&[super::STAND_TICKS.into()]));
        garbage.set("conflict.low", low, |g| Height(g.height().0));
        garbage.set("conflict.high", high, |g| Height(g.height().0));
        garbage.set("conflict.step", step, |g| g.number(&[2]));
        garbage.set("conflict.asked", asked, |g| {
            g.maybe(|g| {
                let ticks = g.small_number(&[super::ANSWER_TICKS.into()]);
                Some((g.replica(), Height(g.height().0), ticks))
            })
        });
        garbage.set("conflict.comparing", comparing, |g| {
            g.small_number(&[super::ANSWER_TICKS.into()])
        });
        garbage.set("conflict.kept", kept, |g| {
            g.maybe(|g| {
                let (own, other) = (g.number(&[2]) as usize, g.number(&[2]) as usize);
                Some(Support { own, other, others: g.signers() })
            })
        });
        garbage.set("conflict.turn", turn, |g| g.number(&[0]) as usize);
    }
}
