//! An arbitrary replication.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use daruma_types::{Ballot, Hash, Height, PublicKey, VoteKind, limits};

use super::slot::Slot;
use super::{BODIES_MAX, EARLY_VOTES_MAX, RECENT_HEIGHTS, Replication, Tip, Used};
use crate::config::ChainLimits;
use crate::laboratory::{Garbage, Size};

/// Entries made at most of a collection with a large bound: more would take time and show no more.
const MADE_MAX: usize = 12;

impl Replication {
    /// Sets every variable.
    pub(crate) fn scramble(&mut self, garbage: &mut Garbage<'_>) {
        let Self {
            head,
            head_timestamp_ms,
            executed,
            decided,
            ballot,
            active,
            serving,
            taken_over,
            tip,
            slots,
            bodies,
            prepared,
            new_view,
            waiting_new_view,
            in_flight,
            recent,
            promised,
            trail,
            tellings,
            waiting_for_ledger,
            early,
            catch_up,
            want_turn,
            // See below.
            given_again: _,
            mending: _,
            starving: _,
            lost: _,
        } = self;
        let near = executed.height.0;
        garbage.set("replication.head", head, Garbage::head_claim);
        garbage.set("replication.head_timestamp_ms", head_timestamp_ms, Garbage::time_ms);
        garbage.set("replication.executed", executed, Garbage::statement);
        garbage.set("replication.decided", decided, |g| {
            let count = g.size(limits::WINDOW_MAX).min(MADE_MAX);
            let height = |g: &mut Garbage<'_>, real: Height| {
                if g.chance(80) { real } else { Height(g.number(&[near])) }
            };
            (0..count)
                .map(|_| {
                    let block = g.certified();
                    (height(g, block.certificate.height), block)
                })
                .collect()
        });
        garbage.set("replication.ballot", ballot, |g| {
            let view = g.view();
            Ballot::of_view(view)
        });
        garbage.set("replication.active", active, Garbage::flag);
        garbage.set("replication.serving", serving, Garbage::flag);
        garbage.set("replication.taken_over", taken_over, Garbage::headers);
        garbage.set("replication.tip", tip, |g| Tip {
            height: Height(g.number(&[near])),
            hash: g.hash(),
            timestamp_ms: g.time_ms(),
        });
        garbage.set("replication.bodies", bodies, |g| {
            let count = g.size(BODIES_MAX);
            (0..count)
                .map(|_| {
                    let block = if g.flag() { g.fitting_block() } else { g.block() };
                    (if g.chance(92) { block.hash() } else { g.hash() }, block)
                })
                .collect()
        });
        let known: Vec<(Height, Hash)> =
            bodies.iter().map(|(hash, block)| (block.header.height, *hash)).collect();
        let of_ballot = *ballot;
        garbage.set("replication.slots", slots, |g| {
            let count = g.size(limits::WINDOW_MAX).min(MADE_MAX) as u64;
            (0..count)
                .map(|above| {
                    let height = near.saturating_add(1).saturating_add(above);
                    let height = Height(if g.chance(85) { height } else { g.number(&[near]) });
                    let at = known.iter().filter(|(at, _)| *at == height);
                    let hashes: Vec<Hash> = at.map(|(_, hash)| *hash).collect();
                    (height, Slot::arbitrary(g, of_ballot, height, &hashes))
                })
                .collect()
        });
        garbage.set("replication.prepared", prepared, |g| {
            g.maybe(|g| Some(g.certificate(VoteKind::Prepare)))
        });
        garbage.set("replication.new_view", new_view, |g| g.maybe(|g| Some(g.new_view())));
        garbage.set("replication.waiting_new_view", waiting_new_view, |g| {
            g.maybe(|g| Some(g.new_view()))
        });
        garbage.set("replication.in_flight", in_flight, |g| nonces(g, near));
        garbage.set("replication.recent", recent, |g| nonces(g, near));
        garbage.set("replication.promised", promised, |g| {
            let count = g.size(4);
            (0..count)
                .map(|_| (Height(g.number(&[near.saturating_add(1)])), (of_ballot, g.hash())))
                .collect()
        });
        garbage.set("replication.trail", trail, |g| {
            let count = g.size(super::TRAIL_MAX);
            (0..count).map(|_| (Height(g.number(&[near])), g.hash())).collect()
        });
        garbage.set("replication.tellings", tellings, |g| {
            let count = g.size(8);
            (0..count).map(|_| Height(g.number(&[near]))).collect()
        });
        garbage.set("replication.waiting_for_ledger", waiting_for_ledger, |g| {
            g.maybe(|g| Some(Height(g.number(&[near.saturating_add(1)]))))
        });
        garbage.set("replication.early", early, |g| {
            g.each(|g, of| {
                let count = g.size(EARLY_VOTES_MAX).min(MADE_MAX);
                (0..count).map(|_| g.vote(of)).collect()
            })
        });
        catch_up.scramble(garbage);
        garbage.set("replication.want_turn", want_turn, |g| g.number(&[0]) as usize);
    }

    /// Sets what is newer than the rest: after everything else, so that a seed sets all else to what it did
    /// before there was this.
    pub(crate) fn scramble_newer(&mut self, garbage: &mut Garbage<'_>) {
        let near = self.executed.height.0;
        garbage.set("replication.starving", &mut self.starving, |g| super::Starving {
            ticks: g.number(&[0]) as u32,
            head: Height(g.number(&[near])),
            bodies: g.number(&[0]) as usize,
        });
        garbage.set("replication.given_again", &mut self.given_again, Garbage::flag);
        garbage.set("replication.lost", &mut self.lost, super::Lost::scrambled);
        self.mending.scramble(garbage);
    }

    /// The ballot's new-view is awaited.
    pub(crate) fn deactivate(&mut self) {
        (self.active, self.new_view) = (false, None);
    }

    /// The ballot stays active, and its new-view is lost.
    pub(crate) fn lose_new_view(&mut self) {
        self.new_view = None;
    }

    /// Sets the head, and what is said to be executed.
    pub(crate) fn set_head(
        &mut self,
        head: daruma_types::HeadClaim,
        executed: daruma_types::Statement,
    ) {
        (self.head, self.executed) = (head, executed);
    }

    /// Makes the signatures of all votes held at `height` false.
    pub(crate) fn forge_votes(&mut self, height: Height) {
        if let Some(slot) = self.slots.get_mut(&height) {
            slot.forge_votes();
        }
    }

    /// What is held.
    pub(crate) fn sizes(&self, replicas: usize, chain: &ChainLimits, sizes: &mut Vec<Size>) {
        let window = chain.window.min(limits::WINDOW_MAX);
        let reports = |held: &Option<daruma_types::NewView>| {
            held.as_ref().map_or(0, |new_view| new_view.reports.len())
        };
        let early = self.early.iter().map(alloc::collections::VecDeque::len).max().unwrap_or(0);
        let clients = |heights: usize| heights.saturating_mul(chain.block_transactions_max);
        for (name, held, bound) in [
            ("replication.decided", self.decided.len(), window),
            ("replication.slots", self.slots.len(), window),
            ("replication.bodies", self.bodies.len(), BODIES_MAX),
            ("replication.taken_over", self.taken_over.len(), limits::WINDOW_MAX),
            ("replication.new_view", reports(&self.new_view), replicas),
            ("replication.waiting_new_view", reports(&self.waiting_new_view), replicas),
            ("replication.promised", self.promised.len(), 4 * limits::WINDOW_MAX),
            ("replication.trail", self.trail.len(), super::TRAIL_MAX),
            ("replication.tellings", self.tellings.len(), super::ledger::RECENT_TELLINGS),
            ("replication.early", self.early.len(), replicas),
            ("replication.early votes", early, EARLY_VOTES_MAX),
            // Accepted blocks and decided ones, dropped ones of the same heights among them.
            ("replication.in_flight", self.in_flight.len(), clients(2 * window)),
            ("replication.recent", self.recent.len(), clients(RECENT_HEIGHTS as usize)),
        ] {
            sizes.push(Size::new(name, held, bound));
        }
    }
}

fn nonces(g: &mut Garbage<'_>, near: u64) -> BTreeMap<PublicKey, Used> {
    let count = g.size(5);
    (0..count)
        .map(|_| (g.client(), Used { nonce: g.nonce(), height: Height(g.number(&[near])) }))
        .collect()
}
