//! Arbitrary memory of who offers snapshots.

use alloc::boxed::Box;

use daruma_types::{Checkpoint, Height};

use super::StateSync;
use crate::laboratory::Garbage;

impl StateSync {
    /// Sets every variable. `known` are checkpoints that a faulty memory may take for anybody's offers.
    pub fn scramble(&mut self, garbage: &mut Garbage<'_>, known: &[Checkpoint]) {
        let Self {
            own: _,
            thresholds: _,
            leap: _,
            offers,
            asked,
            turn,
            fruitless,
            shunned,
            last,
            still,
            gathered,
        } = self;
        garbage.set("sync.offers", offers, |g| {
            let count = g.replicas;
            (0..count)
                .map(|_| {
                    g.maybe(|g| {
                        let mut checkpoint = g.pick(known)?.clone();
                        if g.flag() {
                            checkpoint.header.height = Height(g.height().0);
                        }
                        Some(Box::new(checkpoint))
                    })
                })
                .collect()
        });
        garbage.set("sync.asked", asked, |g| {
            g.maybe(|g| Some((g.replica(), g.small_number(&[super::ANSWER_TICKS.into()]))))
        });
        garbage.set("sync.turn", turn, |g| g.number(&[0]) as usize);
        garbage.set("sync.fruitless", fruitless, |g| g.small_number(&[0]));
        garbage.set("sync.shunned", shunned, Garbage::signers);
        garbage.set("sync.last", last, |g| Height(g.height().0));
        garbage.set("sync.still", still, |g| g.small_number(&[super::STILL_TICKS.into()]));
        garbage.set("sync.gathered", gathered, |g| g.small_number(&[super::ALONE_TICKS.into()]));
    }
}
