//! What the ledger says of itself, and how memory is made to follow from it (DESIGN 4.2, stale
//! information: "head not matching the stored block: reload from the ledger").
//!
//! The ledger is the only witness of what was executed. Whoever executes blocks tells its head now
//! and then, in order with what it executed, so in every execution the engine's memory follows from
//! it: the executed statement is the ledger's, the decided blocks are a chain above it, and the head
//! is the last of them. Whatever does not follow is stale information, and is replaced.

use alloc::collections::BTreeMap;

use daruma_types::{CertifiedBlock, Hash, HeadClaim, Height, VoteKind};

use super::{EngineHead, RECENT_HEIGHTS, Replication, TRAIL_MAX};
use crate::config::Context;
use crate::outbox::Outbox;
use crate::{Effect, Illegal};

/// Tellings of the ledger's head through which a client's last nonce is remembered at most, though no
/// block be executed: a nonce that no ledger has must not keep its client out for ever. What the
/// memory is for, a message that was checked before a block and comes after it, is on its way for
/// less than that.
pub(super) const RECENT_TELLINGS: usize = 8;

impl Replication {
    /// The ledger's head, in order with [`crate::Input::Executed`]. True if the executed statement
    /// in memory was another one.
    pub(crate) fn on_ledger(
        &mut self,
        head: EngineHead,
        context: &Context,
        out: &mut Outbox,
    ) -> bool {
        let executed = trail_of(&head, context);
        let EngineHead { claim, timestamp_ms, statement, recent: _ } = head;
        let moved = self.executed != statement;
        if moved {
            out.repaired(Illegal::Executed(self.executed.height));
            self.executed = statement;
        }
        let first = self.decided.first_key_value().map(|(height, _)| *height);
        let waits = first.is_some() && first == self.waiting_for_ledger;
        let decided = self.sound_decided(waits, context);
        let (head, head_timestamp_ms) = match decided.last_key_value() {
            Some((height, CertifiedBlock { block, certificate })) => (
                HeadClaim {
                    height: *height,
                    hash: certificate.hash,
                    certificate: Some(certificate.clone()),
                },
                block.header.timestamp_ms,
            ),
            None => (claim, timestamp_ms),
        };
        let same = decided.len() == self.decided.len()
            && head == self.head
            && head_timestamp_ms == self.head_timestamp_ms;
        if !same {
            out.repaired(Illegal::Head(self.head.height));
            self.decided = decided;
            self.head = head;
            self.head_timestamp_ms = head_timestamp_ms;
        }
        self.refresh_trail(executed, out);
        if moved || !same {
            self.slots = self.slots.split_off(&self.head.height.next());
            self.repair_slots(context, out);
            self.repair_prepared(false, true, context, out);
        }
        self.refresh_nonces(out);
        if waits && !self.given_again {
            // The ledger executes what it is given: it was never given these, whatever memory says.
            self.given_again = true;
            for decided in self.decided.values() {
                out.push(Effect::Execute(decided.clone()));
            }
        }
        self.waiting_for_ledger = self.decided.first_key_value().map(|(height, _)| *height);
        moved
    }

    /// Between two ticks, what waits is given to the ledger again once: it tells its head at each block that
    /// it refuses, may have a window of these in its queue, and must not get a window of others for each.
    pub(crate) const fn ledger_tick(&mut self) {
        self.given_again = false;
    }

    /// The hashes of the last own blocks are those that the ledger tells, and those decided above. What
    /// memory lost of them would keep a replica that is alone on the longer of two chains from seeing that
    /// the others are on another one.
    fn refresh_trail(&mut self, executed: BTreeMap<Height, Hash>, out: &mut Outbox) {
        let mut trail = executed;
        trail.extend(self.decided.iter().map(|(at, decided)| (*at, decided.certificate.hash)));
        while trail.len() > TRAIL_MAX {
            trail.pop_first();
        }
        let head = self.head.height;
        let wrong = self.trail.iter().any(|(at, hash)| match trail.get(at) {
            Some(told) => told != hash,
            None => *at > head,
        });
        if wrong {
            out.repaired(Illegal::OutOfBounds("the hashes of the last own blocks"));
        }
        self.trail = trail;
    }

    /// The decided blocks that are a chain above the executed one. The certificate of the last vouches
    /// for the hashes below it, so it alone is verified, unless the ledger seems not to take them:
    /// then every block must be whole and truly certified.
    fn sound_decided(&self, all: bool, context: &Context) -> BTreeMap<Height, CertifiedBlock> {
        let mut sound = self.linked_decided(all, context);
        while let Some((height, last)) = sound.last_key_value() {
            let certificate = &last.certificate;
            if all || certificate.verify(&context.committee, context.verifier.as_ref()).is_ok() {
                break;
            }
            let height = *height;
            sound.remove(&height);
        }
        sound
    }

    fn linked_decided(&self, all: bool, context: &Context) -> BTreeMap<Height, CertifiedBlock> {
        let bounds = &context.chain;
        let (transactions_max, bytes_max) = (bounds.block_transactions_max, bounds.block_bytes_max);
        let (mut height, mut hash) = (self.executed.height, self.executed.block);
        let mut sound = BTreeMap::new();
        for (at, decided) in self.decided.range(height.next()..) {
            let CertifiedBlock { block, certificate } = decided;
            let chain = context.committee.chain();
            let follows = *at == height.next()
                && block.header.height == *at
                && block.header.parent == hash
                && certificate.kind == VoteKind::Commit
                && certificate.height == *at
                && certificate.hash == block.hash()
                && (!all
                    || (block.verify_shape(chain, transactions_max, bytes_max).is_ok()
                        && certificate
                            .verify(&context.committee, context.verifier.as_ref())
                            .is_ok()));
            if !follows {
                break;
            }
            (height, hash) = (*at, certificate.hash);
            sound.insert(*at, decided.clone());
        }
        sound
    }

    /// Nonces above the executed height are those of the blocks there; those below are forgotten in
    /// time, whether blocks are executed or not.
    fn refresh_nonces(&mut self, out: &mut Outbox) {
        self.in_flight.clear();
        let decided = self.decided.values().map(|decided| decided.block.clone());
        let accepted = self.slots.values().filter_map(|slot| self.bodies.get(&slot.accepted?));
        let blocks: alloc::vec::Vec<_> = decided.chain(accepted.cloned()).collect();
        for block in blocks {
            self.note_in_flight(&block);
        }
        let executed = self.executed.height;
        let before = self.recent.len();
        self.recent.retain(|_, used| used.height <= executed);
        if self.recent.len() != before {
            out.repaired(Illegal::OutOfBounds("a nonce executed above the executed height"));
        }
        let aged = match self.tellings.len() >= RECENT_TELLINGS {
            true => self.tellings.pop_front().unwrap_or_default(),
            false => Height(0),
        };
        self.tellings.truncate(RECENT_TELLINGS.saturating_sub(1));
        self.tellings.push_back(executed);
        let oldest = Height(executed.0.saturating_sub(RECENT_HEIGHTS)).max(aged.min(executed));
        self.recent.retain(|_, used| used.height > oldest);
    }
}

/// The hashes of the last executed blocks.
pub(super) fn trail_of(head: &EngineHead, context: &Context) -> BTreeMap<Height, Hash> {
    let EngineHead { claim, recent, .. } = head;
    let below = recent.iter().rev().take(TRAIL_MAX).filter(|last| last.height < claim.height);
    let mut trail: BTreeMap<Height, Hash> = below.map(|last| (last.height, last.block)).collect();
    trail.insert(claim.height, claim.hash);
    if trail.contains_key(&Height(1)) {
        trail.insert(Height(0), context.committee.chain().0);
    }
    while trail.len() > TRAIL_MAX {
        trail.pop_first();
    }
    trail
}

#[cfg(test)]
mod tests;
