//! The stale-information rules of replication, run at every tick (DESIGN 4.2).
//!
//! What is derived is derived again; what is promised by others is kept only with its proof; what is
//! neither is dropped. Committed blocks are never touched here: they are the ledger's.

use alloc::vec::Vec;

use daruma_types::{Ballot, Certificate, Hash, HeadClaim, Header, ReplicaId, VoteKind, limits};

use super::ledger::RECENT_TELLINGS;
use super::{BODIES_MAX, EARLY_VOTES_MAX, Replication, TRAIL_MAX, Tip, slot};
use crate::Illegal;
use crate::config::Context;
use crate::outbox::Outbox;

/// Votes, and as many transactions of accepted blocks, checked again at one full check: some milliseconds
/// of work. Lower heights come first, so that what stands in the way is found.
const CHECKED_AT_ONCE: usize = 512;

impl Replication {
    /// Finds and repairs what no execution reaches; `full` checks signatures too. `expected` is the
    /// ballot of the view establishment.
    pub(crate) fn repair(
        &mut self,
        expected: Ballot,
        full: bool,
        context: &Context,
        out: &mut Outbox,
    ) {
        let before = out.repairs();
        if self.ballot != expected {
            out.repaired(Illegal::Ballot { found: self.ballot, expected });
            self.enter(expected);
        }
        self.repair_bounds(context, out);
        self.repair_head(full, context, out);
        self.repair_bodies(full, context, out);
        if full {
            self.repair_accepted(context, out);
            self.repair_signatures(context, out);
        }
        self.repair_slots(context, out);
        self.repair_new_view(full, context, out);
        let suspect = out.repairs() > before;
        self.repair_prepared(full, suspect, context, out);
        if out.repairs() > before {
            // An answer that nobody owes must not be waited for.
            self.catch_up = super::CatchUp::default();
        }
        if full {
            // Derived, and cheap enough to derive again.
            self.note_all_in_flight();
        }
    }

    /// The head must be the last of the decided blocks, and they must follow the executed one.
    fn repair_head(&mut self, full: bool, context: &Context, out: &mut Outbox) {
        let linked = self.decided_follow(context) && (!full || self.decided_are_sound(context));
        let (height, hash) = match self.decided.last_key_value() {
            Some((height, decided)) => (*height, decided.certificate.hash),
            None => (self.executed.height, self.executed.block),
        };
        let matches = self.head.height == height && self.head.hash == hash;
        let valid =
            !full || self.head.verify(&context.committee, context.verifier.as_ref()).is_ok();
        if linked && matches && valid {
            return;
        }
        out.repaired(Illegal::Head(self.head.height));
        if !linked {
            self.decided.clear();
        }
        match self.decided.last_key_value() {
            Some((height, decided)) => {
                let certificate = decided.certificate.clone();
                self.head_timestamp_ms = decided.block.header.timestamp_ms;
                self.head = HeadClaim {
                    height: *height,
                    hash: certificate.hash,
                    certificate: Some(certificate),
                };
            }
            None => {
                // The ledger brings the certificate and the timestamp before the next tick.
                let (height, hash) = (self.executed.height, self.executed.block);
                let fits = |c: &Certificate| c.height == height && c.hash == hash;
                let certificate = self.head.certificate.take().filter(fits);
                self.head = HeadClaim { height, hash, certificate };
            }
        }
        self.tip = self.head_tip();
        self.slots = self.slots.split_off(&self.head.height.next());
    }

    /// Bodies under their own names, above the head, and with the content that the name stands for.
    pub(super) fn repair_bodies(&mut self, full: bool, context: &Context, out: &mut Outbox) {
        let chain = context.committee.chain();
        let (transactions, bytes) =
            (context.chain.block_transactions_max, context.chain.block_bytes_max);
        let before = self.bodies.len();
        self.bodies.retain(|hash, block| {
            block.hash() == *hash
                && (!full || block.verify_shape(chain, transactions, bytes).is_ok())
        });
        if self.bodies.len() != before {
            out.repaired(Illegal::OutOfBounds("bodies"));
        }
        let head = self.head.height;
        self.bodies.retain(|_, block| block.header.height > head);
    }

    /// Drops accepted blocks, not prepared yet, with an operation that no client signed. Memory may hold one as
    /// this replica's own proposal; whoever is given it refuses it.
    fn repair_accepted(&mut self, context: &Context, out: &mut Outbox) {
        let unprepared = self.slots.values().filter(|slot| slot.prepared.is_none());
        let accepted = unprepared.filter_map(|slot| slot.accepted);
        let (mut left, mut forged) = (CHECKED_AT_ONCE, Vec::new());
        for hash in accepted {
            let Some(block) = self.bodies.get(&hash).filter(|_| left > 0) else { continue };
            left = left.saturating_sub(block.transactions.len());
            if !slot::are_signed(block, context) {
                forged.push(hash);
            }
        }
        if !forged.is_empty() {
            out.repaired(Illegal::OutOfBounds("bodies"));
            self.bodies.retain(|hash, _| !forged.contains(hash));
        }
    }

    /// Drops what is held in slots and not truly signed.
    fn repair_signatures(&mut self, context: &Context, out: &mut Outbox) {
        let (committee, verifier) = (&context.committee, context.verifier.as_ref());
        let mut forged = false;
        for (index, early) in self.early.iter_mut().enumerate() {
            let before = early.len();
            let voter = ReplicaId(index as u16);
            early.retain(|vote| vote.verify(voter, committee, verifier).is_ok());
            forged |= early.len() != before;
        }
        if forged {
            out.repaired(Illegal::OutOfBounds("early votes"));
        }
        let ballot = self.ballot;
        let mut left = CHECKED_AT_ONCE;
        for (height, slot) in &mut self.slots {
            if left == 0 {
                break;
            }
            if slot.drop_invalid(ballot, *height, &mut left, context) {
                out.repaired(Illegal::Slot(*height));
            }
        }
    }

    /// Checks what is held about the height above the head.
    pub(super) fn repair_next(&mut self, context: &Context, out: &mut Outbox) {
        let (ballot, next) = (self.ballot, self.head.height.next());
        out.repaired(Illegal::Slot(next));
        self.repair_bodies(true, context, out);
        let mut every = usize::MAX;
        if let Some(slot) = self.slots.get_mut(&next) {
            slot.drop_invalid(ballot, next, &mut every, context);
            slot.candidate = None;
        }
    }

    pub(super) fn repair_slots(&mut self, context: &Context, out: &mut Outbox) {
        let (first, last) = (self.head.height.next(), self.window_end(context));
        let replicas = context.thresholds().replicas();
        let ballot = self.ballot;
        let bodies = &self.bodies;
        self.slots.retain(|height, slot| {
            let body = slot.accepted.is_none_or(|hash| {
                bodies.get(&hash).is_some_and(|block| block.header.height == *height)
            });
            let legal = *height >= first
                && *height <= last
                && body
                && slot.is_legal(replicas, ballot, *height);
            if !legal {
                out.repaired(Illegal::Slot(*height));
            }
            legal
        });
        self.drop_unvoted(context, out);
        // The accepted chain must reach from the head to the tip without a gap.
        let mut tip = self.head_tip();
        while let Some((hash, block)) = self
            .slots
            .get(&tip.height.next())
            .and_then(|slot| slot.accepted)
            .and_then(|hash| self.bodies.get(&hash).map(|block| (hash, block)))
            .filter(|(_, block)| block.header.parent == tip.hash)
        {
            let (height, timestamp_ms) = (block.header.height, block.header.timestamp_ms);
            tip = Tip { height, hash, timestamp_ms };
        }
        if tip != self.tip {
            if self.tip.height != tip.height || self.tip.hash != tip.hash {
                out.repaired(Illegal::Slot(self.tip.height));
            }
            self.tip = tip;
        }
    }

    /// What this replica accepted it voted for, or it lies below something that it voted for.
    fn drop_unvoted(&mut self, context: &Context, out: &mut Outbox) {
        let mut voted = false;
        for (height, slot) in self.slots.iter_mut().rev() {
            let Some(hash) = slot.accepted else { continue };
            voted |=
                slot.vote_of(VoteKind::Prepare, context.own).is_some_and(|vote| vote.hash == hash);
            if !voted {
                slot.accepted = None;
                slot.prepared = None;
                out.repaired(Illegal::Slot(*height));
            }
        }
    }

    /// `suspect` says that memory was found to be wrong.
    pub(super) fn repair_prepared(
        &mut self,
        full: bool,
        suspect: bool,
        context: &Context,
        out: &mut Outbox,
    ) {
        let Some(prepared) = &self.prepared else { return };
        let valid = prepared.kind == VoteKind::Prepare
            && prepared.height > self.head.height
            && prepared.ballot <= self.ballot
            && (!full || prepared.verify(&context.committee, context.verifier.as_ref()).is_ok());
        // Whoever forms such a certificate holds its block, on disk too. Those below it are held as
        // well, or are committed: after a crash the ledger may not have them yet. Where memory was wrong
        // in other ways, one whose blocks nobody can give would keep every primary from its new-view.
        let chain = self.chain_below(Some(prepared.hash));
        let lowest = chain.last().and_then(|hash| self.bodies.get(hash));
        let whole = lowest.is_some_and(|block| block.header.height == self.head.height.next());
        let held = self.bodies.contains_key(&prepared.hash) && (whole || !suspect);
        if !valid || !held {
            out.repaired(Illegal::Prepared(prepared.height));
            self.prepared = None;
        } else if whole && lowest.is_some_and(|block| block.header.parent != self.head.hash) {
            // Another chain was committed: no part of this one ever can be.
            self.prepared = None;
        }
    }

    /// A ballot above 0 is active with its new-view, or with a proof that it once was: this replica's
    /// own vote in it, or a certificate of it.
    fn repair_new_view(&mut self, full: bool, context: &Context, out: &mut Outbox) {
        let ballot = self.ballot;
        let committee = &context.committee;
        let verifier = context.verifier.as_ref();
        let mut illegal = false;
        for place in [&mut self.new_view, &mut self.waiting_new_view] {
            let sound = |held: &daruma_types::NewView| {
                held.ballot == ballot && (!full || held.verify(committee, verifier).is_ok())
            };
            if place.as_ref().is_some_and(|held| !sound(held)) {
                *place = None;
                illegal = true;
            }
        }
        if self.active && self.waiting_new_view.take().is_some() {
            illegal = true;
        }
        if !self.active
            && let Some(new_view) = self.new_view.take()
        {
            // It is adopted again, as if it came just now.
            illegal = true;
            self.waiting_new_view = Some(new_view);
        }
        if ballot == Ballot(0) {
            illegal |= !self.active;
            self.active = true;
        } else if self.active && !self.was_active(context) {
            // After a restart this is no fault: the votes that showed it are settled.
            self.active = false;
        }
        // What was committed meanwhile need not be accepted any more.
        let head = self.head.height;
        self.taken_over.retain(|header| header.height > head);
        let expected = self.expected_to_take_over();
        if self.taken_over != expected {
            illegal = true;
            self.taken_over = expected;
        }
        if illegal {
            out.repaired(Illegal::NewView(ballot));
        }
    }

    fn was_active(&self, context: &Context) -> bool {
        let of_ballot = |certificate: &Certificate| certificate.ballot == self.ballot;
        self.new_view.is_some()
            || self.prepared.as_ref().is_some_and(of_ballot)
            || self.head.certificate.as_ref().is_some_and(of_ballot)
            || self.has_voted(context)
    }

    /// Whether this replica's prepare of the current ballot is held.
    pub(super) fn has_voted(&self, context: &Context) -> bool {
        self.slots.values().any(|slot| slot.vote_of(VoteKind::Prepare, context.own).is_some())
    }

    /// What of the new-view is still to be accepted: all above the head, or nothing.
    pub(super) fn expected_to_take_over(&self) -> Vec<Header> {
        let Some(new_view) = self.new_view.as_ref().filter(|_| self.active) else {
            return Vec::new();
        };
        let head = self.head.height;
        let left = || new_view.headers.iter().filter(|header| header.height > head);
        let accepted = |header: &Header| {
            self.slots.get(&header.height).and_then(|slot| slot.accepted) == Some(header.hash())
        };
        // A chain that goes on below another head was never taken over here.
        let follows = left().next().is_none_or(|first| first.parent == self.head.hash);
        if !follows || left().all(accepted) { Vec::new() } else { left().cloned().collect() }
    }

    fn repair_bounds(&mut self, context: &Context, out: &mut Outbox) {
        if self.bodies.len() > BODIES_MAX {
            out.repaired(Illegal::OutOfBounds("bodies"));
            self.drop_loose_bodies();
            while self.bodies.len() > BODIES_MAX {
                self.bodies.pop_last();
            }
        }
        let (head, ballot) = (self.head.height, self.ballot);
        self.promised.retain(|height, (voted, _)| *height > head && *voted <= ballot);
        let replicas = context.thresholds().replicas();
        let length = self.early.len();
        self.early.resize_with(replicas, Default::default);
        let mut illegal = length != replicas;
        for (index, early) in self.early.iter_mut().enumerate() {
            let before = early.len();
            early.truncate(EARLY_VOTES_MAX);
            // Nobody hears itself: an own vote of a ballot to come is one that this replica forgot, and would
            // stand in the way of the one that it casts then.
            early.retain(|vote| vote.ballot > ballot && index != context.own.index());
            illegal |= early.len() != before;
        }
        if illegal {
            out.repaired(Illegal::OutOfBounds("early votes"));
        }
        self.tellings.truncate(RECENT_TELLINGS);
        let last = self.trail.last_key_value().map(|(height, hash)| (*height, *hash));
        if last != Some((self.head.height, self.head.hash)) || self.trail.len() > TRAIL_MAX {
            out.repaired(Illegal::OutOfBounds("the hashes of the last own blocks"));
            self.forget_trail();
        }
        if self.taken_over.len() > limits::WINDOW_MAX {
            out.repaired(Illegal::OutOfBounds("headers taken over"));
            self.taken_over.clear();
        }
        if self.repair_recent() {
            out.repaired(Illegal::OutOfBounds("nonces executed lately"));
        }
        let window = self.window_end(context);
        let head = self.executed.height;
        let before = self.in_flight.len();
        self.in_flight.retain(|_, used| used.height > head && used.height <= window);
        if self.in_flight.len() != before {
            out.repaired(Illegal::OutOfBounds("nonces in flight"));
        }
    }

    /// Works out anew which nonces are in flight: those of decided and of accepted blocks.
    fn note_all_in_flight(&mut self) {
        self.in_flight.clear();
        let decided = self.decided.values().map(|decided| decided.block.clone());
        let accepted: Vec<Hash> =
            self.slots.range(..=self.tip.height).filter_map(|(_, slot)| slot.accepted).collect();
        let accepted = accepted.iter().filter_map(|hash| self.bodies.get(hash).cloned());
        let blocks: Vec<_> = decided.chain(accepted).collect();
        blocks.iter().for_each(|block| self.note_in_flight(block));
    }
}

#[cfg(test)]
mod tests;
