//! Attestations: collecting equal statements about the state (DESIGN 3; thesis 2.6, `f+1` replies).

#[cfg(feature = "laboratory")]
#[path = "laboratory/attest.rs"]
mod laboratory;

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use daruma_types::{
    Attestation, Height, Message, ReplicaId, StateCertificate, Statement, Summary, limits,
};

use crate::config::Context;
use crate::outbox::Outbox;
use crate::replication::EngineHead;
use crate::{Effect, Observation};

/// Executed heights whose attestations are kept for peers that missed them. A peer further behind
/// catches up by blocks, and attests them itself.
const KEPT_HEIGHTS: u64 = 2 * limits::WINDOW_MAX as u64;

/// Statements that an engine takes up again when it starts.
pub const RECENT_STATEMENTS_MAX: usize = KEPT_HEIGHTS as usize;

/// Attestations of others checked again at one full check: some milliseconds of work.
const CHECKED_AT_ONCE: usize = 256;

/// Attestations sent to a peer in answer to one summary.
const RESENT_MAX: usize = 16;

/// What is held about one height.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    held: Vec<Option<Attestation>>,
    /// How many signers the last [`Effect::Attested`] had.
    told: usize,
    diverged: bool,
}

impl Entry {
    /// Attestations of this statement.
    fn equal_to(&self, statement: Statement) -> impl Iterator<Item = &Attestation> {
        self.held.iter().flatten().filter(move |held| held.statement == statement)
    }

    /// Drops the attestations of this statement that are not what they say.
    fn drop_forged(&mut self, statement: Statement, height: Height, context: &Context) {
        for (index, place) in self.held.iter_mut().enumerate() {
            let forged = |held: &Attestation| !is_true(held, index, height, context);
            if place.as_ref().is_some_and(|held| held.statement == statement && forged(held)) {
                *place = None;
            }
        }
    }
}

/// Whether an attestation is what the replica at `index` signed for this height.
fn is_true(held: &Attestation, index: usize, height: Height, context: &Context) -> bool {
    held.replica.index() == index
        && held.statement.height == height
        && held.verify(&context.committee, context.verifier.as_ref()).is_ok()
}

/// State of the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attestations {
    executed: Height,
    /// All heights up to here are attested by `f+1`, or too old to be kept.
    attested: Height,
    entries: BTreeMap<Height, Entry>,
}

impl Attestations {
    /// Heights whose attestations are kept, at most: those executed, and a window above.
    pub(crate) const HEIGHTS_MAX: usize = (KEPT_HEIGHTS as usize) + limits::WINDOW_MAX + 1;

    pub(crate) const fn new(executed: Height) -> Self {
        Self { executed, attested: executed, entries: BTreeMap::new() }
    }

    /// Takes up what the last blocks came to. The attestations of others are gone with the memory;
    /// the mark at the oldest makes peers send theirs again, as theirs makes this replica do.
    pub(crate) fn restore(head: &EngineHead, context: &Context) -> Self {
        let mut restored = Self::new(head.statement.height);
        let chain = context.committee.chain();
        for statement in head.recent.iter().rev().take(RECENT_STATEMENTS_MAX) {
            let own = Attestation::sign(*statement, context.own, chain, context.signer.as_ref());
            restored.record(own, context);
            restored.attested = statement.height.previous();
        }
        restored
    }

    /// Heights whose attestations are kept.
    pub(crate) fn heights(&self) -> usize {
        self.entries.len()
    }

    pub(crate) const fn attested(&self) -> Height {
        self.attested
    }

    /// This replica executed a block: it attests what came of it.
    pub(crate) fn on_executed(
        &mut self,
        statement: Statement,
        context: &Context,
        out: &mut Outbox,
    ) {
        self.executed = self.executed.max(statement.height);
        let chain = context.committee.chain();
        let own = Attestation::sign(statement, context.own, chain, context.signer.as_ref());
        out.broadcast(Message::Attestation(own));
        // Nothing that memory held in its place may speak for this replica.
        if let Some(entry) = self.entries.get_mut(&statement.height)
            && let Some(place) = entry.held.get_mut(context.own.index())
        {
            *place = None;
        }
        self.record(own, context);
        let oldest = Height(self.executed.0.saturating_sub(KEPT_HEIGHTS));
        self.entries = self.entries.split_off(&oldest);
        self.attested = self.attested.max(oldest);
        self.evaluate(statement.height, context, out);
    }

    /// A peer's attestation.
    pub(crate) fn on_attestation(
        &mut self,
        attestation: Attestation,
        context: &Context,
        out: &mut Outbox,
    ) {
        let height = attestation.statement.height;
        let oldest = Height(self.executed.0.saturating_sub(KEPT_HEIGHTS));
        if height <= oldest || height > self.executed.plus(limits::WINDOW_MAX as u64) {
            return;
        }
        self.record(attestation, context);
        self.evaluate(height, context, out);
    }

    /// Attestations that another replica collected, of a block that was fetched from it.
    pub(crate) fn on_certificate(
        &mut self,
        certificate: &StateCertificate,
        context: &Context,
        out: &mut Outbox,
    ) {
        let statement = certificate.statement;
        for (replica, signature) in certificate.signers.iter().zip(&certificate.signatures) {
            if replica != context.own {
                let attestation = Attestation { statement, replica, signature: *signature };
                self.on_attestation(attestation, context, out);
            }
        }
    }

    fn record(&mut self, attestation: Attestation, context: &Context) {
        let replicas = context.thresholds().replicas();
        let entry = self.entries.entry(attestation.statement.height).or_insert_with(|| Entry {
            held: vec![None; replicas],
            told: 0,
            diverged: false,
        });
        let of_own = |held: &Attestation| held.statement == attestation.statement;
        let as_own =
            entry.held.get(context.own.index()).and_then(Option::as_ref).is_some_and(of_own);
        if let Some(place) = entry.held.get_mut(attestation.replica.index()) {
            // What a replica attested of a chain that it left may not keep out what it attests of this one.
            if as_own {
                *place = Some(attestation);
            } else {
                place.get_or_insert(attestation);
            }
        }
    }

    /// Tells of `f+1`, and again of a quorum, of attestations equal to this replica's own.
    fn evaluate(&mut self, height: Height, context: &Context, out: &mut Outbox) {
        let thresholds = context.thresholds();
        let Some(entry) = self.entries.get_mut(&height) else { return };
        let Some(Some(own)) = entry.held.get(context.own.index()) else { return };
        let own = own.statement;
        let due = [thresholds.weak(), thresholds.quorum()];
        let due = |entry: &Entry| {
            let count = entry.equal_to(own).count();
            due.iter().any(|due| count >= *due && entry.told < *due)
        };
        if due(entry) {
            // They were checked when they came, but memory can change; and what is told goes to clients
            // and to the disk.
            entry.drop_forged(own, height, context);
        }
        let equal = || entry.equal_to(own);
        let (held, count) = (entry.held.iter().flatten().count(), equal().count());
        if due(entry) {
            out.push(Effect::Attested(StateCertificate {
                statement: own,
                signers: equal().map(|a| a.replica).collect(),
                signatures: equal().map(|a| a.signature).collect(),
            }));
            entry.told = count;
        }
        // Another block is another chain, and not another state: see `conflict.rs`.
        let differs = |s: &&Statement| s.block == own.block && **s != own;
        let others = || entry.held.iter().flatten().map(|a| &a.statement).filter(differs);
        let outvoted = held.saturating_sub(count) >= thresholds.weak()
            && others().any(|s| others().filter(|o| *o == s).count() >= thresholds.weak());
        if outvoted && !entry.diverged {
            entry.diverged = true;
            out.observe(Observation::Diverged { height });
        }
        // Bounded by the executed height: the last height there is has no next one.
        while self.attested < self.executed
            && self.entries.get(&self.attested.next()).is_some_and(|e| e.told > 0)
        {
            self.attested = self.attested.next();
        }
    }

    /// Sends a peer own attestations that it lacks.
    pub(crate) fn help(
        &self,
        peer: ReplicaId,
        summary: &Summary,
        still: bool,
        context: &Context,
        out: &mut Outbox,
    ) {
        if !still || summary.attested >= self.executed {
            return;
        }
        let lacking = self.entries.range(summary.attested.next()..);
        let own = lacking.filter_map(|(_, entry)| entry.held.get(context.own.index())?.as_ref());
        for attestation in own.take(RESENT_MAX) {
            out.send(peer, Message::Attestation(*attestation));
        }
    }

    /// Brings the marks into their domain, and with `full` drops what is not truly signed; true if
    /// something was wrong.
    pub(crate) fn repair(&mut self, executed: Height, full: bool, context: &Context) -> bool {
        let replicas = context.thresholds().replicas();
        let oldest = Height(executed.0.saturating_sub(KEPT_HEIGHTS));
        let newest = executed.plus(limits::WINDOW_MAX as u64);
        let sizes = self.entries.values().all(|entry| entry.held.len() == replicas);
        let range = self.entries.keys().all(|height| *height >= oldest && *height <= newest);
        let legal = self.executed == executed
            && self.attested <= executed
            && sizes
            && range
            && self.entries.len() <= Self::HEIGHTS_MAX;
        if !legal {
            *self = Self::new(executed);
            return true;
        }
        full && self.drop_invalid(context)
    }

    /// Checks again this replica's own attestations, which are sent again, and those of others that
    /// still count for something: of which a quorum was not yet told. Of more than are checked at once the
    /// highest are forgotten, since garbage could wait behind good ones for ever; their makers send them
    /// again to whoever is not told of them.
    fn drop_invalid(&mut self, context: &Context) -> bool {
        let mut dropped = false;
        let mut left = CHECKED_AT_ONCE;
        let quorum = context.thresholds().quorum();
        let own = context.own.index();
        for (height, entry) in &mut self.entries {
            let fits = |index, held: &Attestation| is_true(held, index, *height, context);
            // The own one first: what was told rests on it, and whether others still count on what was told.
            if let Some(place) = entry.held.get_mut(own)
                && place.as_ref().is_some_and(|held| !fits(own, held))
            {
                *place = None;
                dropped = true;
            }
            let stated = entry.held.get(own).and_then(Option::as_ref).map(|held| held.statement);
            let equal = stated.map_or(0, |stated| entry.equal_to(stated).count());
            if entry.told > equal {
                (entry.told, entry.diverged) = (0, false);
                dropped = true;
            }
            if entry.told >= quorum {
                continue;
            }
            for (index, place) in entry.held.iter_mut().enumerate().filter(|(at, _)| *at != own) {
                let Some(held) = place else { continue };
                let checked = left > 0;
                left = left.saturating_sub(1);
                if checked && fits(index, held) {
                    continue;
                }
                *place = None;
                (entry.told, entry.diverged) = (0, false);
                dropped |= checked;
            }
        }
        dropped
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{CHAIN, context, key};
    use daruma_types::{Hash, Signature, SignerSet};

    fn attestation(height: u64, id: u16) -> Attestation {
        let statement = Statement {
            height: Height(height),
            block: Hash([1; 32]),
            state_root: Hash([2; 32]),
            receipts_root: Hash([3; 32]),
        };
        Attestation::sign(statement, ReplicaId(id), CHAIN, &key(id))
    }

    /// Replica 1 at height 9, with two attestations of it.
    fn sound(context: &Context) -> Attestations {
        let mut attestations = Attestations::new(Height(8));
        let mut out = Outbox::default();
        attestations.on_executed(attestation(9, 1).statement, context, &mut out);
        attestations.on_attestation(attestation(9, 2), context, &mut out);
        attestations
    }

    #[test]
    fn a_full_check_believes_nothing_that_was_told_without_what_it_rests_on() {
        let context = context(4);
        let mut attestations = sound(&context);
        let entry = attestations.entries.get_mut(&Height(9)).unwrap();
        for place in entry.held.iter_mut().flatten() {
            place.signature = Signature([1; 64]);
        }
        entry.told = 3;
        assert!(attestations.drop_invalid(&context));
        let entry = attestations.entries.get(&Height(9)).unwrap();
        assert_eq!((entry.held.clone(), entry.told), (vec![None; 4], 0));
        assert!(!attestations.drop_invalid(&context), "once is enough");
    }

    #[test]
    fn garbage_behind_more_good_ones_than_are_checked_at_once_does_not_stay() {
        let context = context(4);
        let mut attestations = Attestations::new(Height(8));
        for height in 9..9 + CHECKED_AT_ONCE as u64 {
            attestations.record(attestation(height, 2), &context);
        }
        let last = Height(9 + CHECKED_AT_ONCE as u64);
        let mut forged = attestation(last.0, 3);
        forged.signature = Signature([1; 64]);
        attestations.record(forged, &context);
        attestations.drop_invalid(&context);
        let held = |of: &Attestations, height| of.entries.get(&height).unwrap().held.clone();
        assert_eq!(held(&attestations, last), [None; 4]);
        assert_eq!(held(&attestations, last.previous())[2], Some(attestation(last.0 - 1, 2)));
    }

    #[test]
    fn attestations_that_nobody_made_are_dropped_and_true_ones_stay() {
        let context = context(4);
        let mut attestations = sound(&context);
        assert!(!attestations.repair(Height(9), true, &context));
        let before = attestations.clone();
        let mut forged = attestation(10, 3);
        forged.signature = Signature([1; 64]);
        attestations.record(forged, &context);
        assert!(attestations.repair(Height(9), true, &context));
        let held =
            |of: &Attestations, height| of.entries.get(&Height(height)).unwrap().held.clone();
        assert_eq!(held(&attestations, 9), held(&before, 9));
        assert_eq!(held(&attestations, 10), [None; 4]);
    }

    #[test]
    fn a_client_is_answered_by_f_plus_one_equal_attestations_and_again_by_a_quorum() {
        let context = context(4);
        let mut attestations = Attestations::new(Height(8));
        let mut told = Vec::new();
        let mut tell = |out: Outbox| {
            for effect in out.into_effects() {
                if let Effect::Attested(certificate) = effect {
                    told.push(certificate.signers.len());
                }
            }
        };
        let mut out = Outbox::default();
        attestations.on_executed(attestation(9, 1).statement, &context, &mut out);
        tell(out);
        let mut other = attestation(9, 0).statement;
        other.state_root = Hash([9; 32]);
        let other = Attestation::sign(other, ReplicaId(0), CHAIN, &key(0));
        for heard in [other, attestation(9, 2), attestation(9, 3)] {
            let mut out = Outbox::default();
            attestations.on_attestation(heard, &context, &mut out);
            tell(out);
        }
        assert_eq!(told, [2, 3]);
    }

    #[test]
    fn heights_far_from_the_executed_one_are_not_kept() {
        let context = context(4);
        let far = 10 + limits::WINDOW_MAX as u64;
        let mut attestations = sound(&context);
        attestations.record(attestation(far - 1, 2), &context);
        assert!(!attestations.repair(Height(9), false, &context), "a window above is near");
        attestations.record(attestation(far, 2), &context);
        assert!(attestations.repair(Height(9), false, &context));
        assert!(!attestations.entries.contains_key(&Height(far)));
    }

    fn attested(replica: u16, statement: Statement) -> Attestation {
        Attestation::sign(statement, ReplicaId(replica), CHAIN, &key(replica))
    }

    fn told(out: Outbox) -> Vec<SignerSet> {
        let mut told = Vec::new();
        for effect in out.into_effects() {
            if let Effect::Attested(certificate) = effect {
                told.push(certificate.signers);
            }
        }
        told
    }

    #[test]
    fn an_attestation_that_only_memory_made_is_told_to_nobody() {
        let context = context(4);
        let (height, hash) = (Height(1), Hash([1; 32]));
        let statement = Statement { height, block: hash, state_root: hash, receipts_root: hash };
        let other = Statement { state_root: Hash::default(), ..statement };
        let mut attestations = Attestations::new(Height(0));
        attestations.on_executed(statement, &context, &mut Outbox::default());
        let forged = Attestation { statement, ..attested(2, other) };
        attestations.record(forged, &context);
        let mut out = Outbox::default();
        attestations.evaluate(height, &context, &mut out);
        assert_eq!(told(out), [], "its own, and one that nobody made");
        let mut out = Outbox::default();
        attestations.record(forged, &context);
        attestations.on_attestation(attested(0, statement), &context, &mut out);
        assert_eq!(told(out), [[0, 1].map(ReplicaId).into_iter().collect::<SignerSet>()]);
    }
}
