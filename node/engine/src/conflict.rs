//! Two certified chains (the paper's `findConsState` and `conFlag`; DESIGN 4.2, conflict).
//!
//! A commit certificate for a block that is not on this replica's chain cannot exist while at most `f`
//! replicas are faulty: it proves that once more than `f` were, or that a disk brought back what they
//! made. Then no rule can say which chain is *the* chain, and what remains is that all correct replicas
//! end on one. They go with the one that more replicas are on.
//!
//! # The rule
//!
//! *Evidence* is a valid commit certificate that contradicts the own chain: of another block at one of
//! its heights, or of a block above its head that does not lie on it. A peer that sent one is on another
//! chain while its summaries do not show it on ours. A summary that shows another hash at one of our
//! heights is a reason to ask its sender for the certificate, no more: summaries bear no signature.
//!
//! *Support* is counted from the latest summaries, this replica included: those who are on our chain
//! (their head is in its trail of recent hashes) against those on the other. Who is ahead of us and has
//! shown nothing counts for neither. Nothing is decided before `n-f` are counted, and before evidence has
//! stood for some ticks, so that all who are there have been heard.
//!
//! A replica leaves its chain if the other has more support, or as much and the certificate of its first
//! block that is not ours ranks higher, by (ballot, hash). The ledger looks where the chains part, since
//! it alone knows all of its own: it is given blocks of the other chain, further and further back in
//! doubling steps, then between what is known. It gives up its own blocks above that point and keeps them
//! as evidence; the engine is made anew, and what follows is fetched like any block.
//!
//! # Why at most f liars cannot move a healthy replica
//!
//! They cannot make the evidence: a commit certificate needs a quorum, two quorums share a correct
//! replica, and the argument in `replication/mod.rs` shows that no correct replica takes part in two
//! chains. Without evidence nothing of this runs, whatever summaries say. If old evidence exists, they are
//! still too few: of the `n-f` counted at least `n-2f > f` are correct, so where all correct replicas are
//! on one chain the liars have less support than it. And a memory that is wrong about its own chain moves
//! nothing: the ledger compares the blocks with its own, finds them the same, and says so.
//!
//! # Why it ends
//!
//! While support does not change, the larger side stays and the smaller moves; of two equal ones exactly
//! one has the higher rank. A replica that moves has the first block of the other chain at once, in the
//! place of its own: it adds to the support of that chain before it speaks again, and can be led back by
//! support alone. If it stood at the fork instead, somebody who is still on its old branch could give it
//! those blocks again; two who move in turn would lead each other back for ever, each time before they saw
//! the others.

#[cfg(feature = "laboratory")]
#[path = "laboratory/conflict.rs"]
mod laboratory;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use daruma_types::{
    Adoption, Certificate, CertifiedBlock, Hash, HeadClaim, Height, Message, ReplicaId, SignerSet,
    Summary, limits,
};

use crate::config::Context;
use crate::outbox::Outbox;
use crate::{Effect, Observation};

/// Ticks to wait for blocks, or for what the ledger found, before asking again.
const ANSWER_TICKS: u32 = 40;

/// Ticks for which evidence must stand before anything is decided: the summaries of all who are there
/// have come by then, several times, so nobody is counted by what it said in another life.
const STAND_TICKS: u32 = 20;

/// How the replicas stand: on our chain, or on another.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Support {
    own: usize,
    other: usize,
    /// Who is on the other.
    others: SignerSet,
}

/// State of the module. Everything in it is dropped as soon as no peer is known to be elsewhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Conflict {
    /// Peers that sent a certificate which contradicts our chain.
    shown: SignerSet,
    /// For how many ticks there has been evidence.
    stood: u32,
    /// The chains part above this height,
    low: Height,
    /// and at this one or below; 0 for unknown.
    high: Height,
    /// How far below `high` to look next, while `low` is not known.
    step: u64,
    /// Whom blocks were asked of, from which height, and the ticks left to answer.
    asked: Option<(ReplicaId, Height, u32)>,
    /// Ticks left for the ledger to answer.
    comparing: u32,
    /// The support with which the ledger found its own certificate to rank higher.
    kept: Option<Support>,
    /// Whose turn it is to be asked.
    turn: usize,
}

/// What the own chain is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Own<'a> {
    pub(crate) head: &'a HeadClaim,
    /// Recent hashes of it, the head's among them.
    pub(crate) trail: &'a BTreeMap<Height, Hash>,
}

impl Own<'_> {
    /// Whether a certified block is not on this chain and cannot come to be.
    fn contradicts(&self, height: Height, hash: &Hash, parent: Option<&Hash>) -> bool {
        let other = self.trail.get(&height).is_some_and(|own| own != hash);
        let beside =
            height == self.head.height.next() && parent.is_some_and(|p| *p != self.head.hash);
        other || beside
    }
}

impl Conflict {
    /// Counts who is where. `summaries` are the peers' latest, by replica.
    fn support(&self, own: Own<'_>, summaries: &[(ReplicaId, Option<&Summary>)]) -> Support {
        let mut support = Support { own: 1, ..Support::default() };
        for (peer, summary) in summaries {
            let Some(summary) = summary else { continue };
            match own.trail.get(&summary.head) {
                Some(hash) if *hash == summary.head_hash => {
                    support.own = support.own.saturating_add(1);
                }
                None if !self.shown.contains(*peer) => {}
                Some(_) | None => {
                    support.other = support.other.saturating_add(1);
                    support.others.insert(*peer);
                }
            }
        }
        support
    }

    /// Whether to leave our chain, and whether only by rank; `None` to stay.
    fn leaves(&self, support: Support, context: &Context) -> Option<bool> {
        let counted = support.own.saturating_add(support.other);
        let early = self.shown == SignerSet::EMPTY || self.stood < STAND_TICKS;
        if early || counted < context.thresholds().strong() {
            return None;
        }
        let tie = support.own == support.other;
        let settled = tie && self.kept == Some(support);
        (support.other >= support.own && !settled).then_some(tie)
    }

    /// Looks for peers on another chain, and goes on with what is under way.
    pub(crate) fn tick(
        &mut self,
        own: Own<'_>,
        summaries: &[(ReplicaId, Option<&Summary>)],
        context: &Context,
        out: &mut Outbox,
    ) {
        self.asked = self.asked.and_then(|(peer, from, ticks)| {
            let ticks = ticks.min(ANSWER_TICKS).checked_sub(1)?;
            (ticks > 0).then_some((peer, from, ticks))
        });
        self.comparing = self.comparing.min(ANSWER_TICKS).saturating_sub(1);
        let support = self.support(own, summaries);
        if support.others == SignerSet::EMPTY {
            *self = Self { turn: self.turn, ..Self::default() };
            return;
        }
        self.shown = self.shown.iter().filter(|peer| support.others.contains(*peer)).collect();
        self.stood = match self.shown == SignerSet::EMPTY {
            true => 0,
            false => self.stood.saturating_add(1),
        };
        if self.asked.is_some() || self.comparing > 0 {
            return;
        }
        self.turn = self.turn.wrapping_add(1);
        let nth = |set: SignerSet| set.iter().nth(self.turn.checked_rem(set.len())?);
        let unproven = support.others.iter().filter(|peer| !self.shown.contains(*peer)).collect();
        let head_of = |peer: ReplicaId| {
            let found = summaries.iter().find(|(id, _)| *id == peer);
            found.and_then(|(_, summary)| *summary).map(|summary| summary.head)
        };
        // First of all the proof of those that only say so.
        let (peer, from, count) = if let Some(peer) = nth(unproven) {
            let Some(head) = head_of(peer) else { return };
            (peer, head, 1)
        } else if self.leaves(support, context).is_some() {
            let reaching = |low: Height| -> SignerSet {
                let shown = self.shown.iter();
                shown.filter(|peer| low == Height(0) || head_of(*peer) > Some(low)).collect()
            };
            let mut able = reaching(self.low);
            if able == SignerSet::EMPTY {
                // Each is on another chain at its head or below: that is not where the chains are the same.
                self.low = Height(0);
                able = reaching(self.low);
            }
            let Some(peer) = nth(able) else { return };
            (peer, self.next_height(own.head.height), limits::FETCH_BLOCKS_MAX as u32)
        } else {
            return;
        };
        self.asked = Some((peer, from, ANSWER_TICKS));
        out.send(peer, Message::Fetch { from, count });
    }

    /// Where to look for the fork: below what is known to differ in doubling steps, then halfway
    /// between what is known.
    fn next_height(&mut self, head: Height) -> Height {
        let top = head.next();
        if self.high == Height(0) || self.high > top {
            self.high = top;
        }
        if self.low >= self.high {
            self.low = Height(0);
        }
        if self.low == Height(0) {
            self.step = self.step.clamp(1, u64::MAX / 2).saturating_mul(2);
            return Height(self.high.0.saturating_sub(self.step).max(1));
        }
        let between = self.high.0.saturating_sub(self.low.0);
        if between <= limits::FETCH_BLOCKS_MAX as u64 {
            return self.low.next();
        }
        self.low.plus(between / 2)
    }

    /// Blocks from a peer, truly certified: evidence if they contradict our chain, and what the ledger
    /// is to compare if they were asked for.
    pub(crate) fn on_blocks(
        &mut self,
        from: ReplicaId,
        blocks: &[CertifiedBlock],
        own: Own<'_>,
        summaries: &[(ReplicaId, Option<&Summary>)],
        context: &Context,
        out: &mut Outbox,
    ) {
        for CertifiedBlock { block, certificate } in blocks {
            let parent = Some(&block.header.parent);
            if own.contradicts(certificate.height, &certificate.hash, parent) {
                self.show(from, certificate.height, out);
            }
        }
        let Some((peer, start, _)) = self.asked else { return };
        // The same peer may have been asked for other blocks, for another reason: those are no answer.
        let answers = blocks.first().is_some_and(|block| block.certificate.height == start);
        if peer != from || !answers {
            return;
        }
        self.asked = None;
        let support = self.support(own, summaries);
        if let Some(tie) = self.leaves(support, context) {
            self.comparing = ANSWER_TICKS;
            out.push(Effect::Adopt { blocks: blocks.to_vec(), tie });
        }
    }

    /// A valid commit certificate from a peer.
    pub(crate) fn on_certificate(
        &mut self,
        from: ReplicaId,
        certificate: &Certificate,
        own: Own<'_>,
        out: &mut Outbox,
    ) {
        if own.contradicts(certificate.height, &certificate.hash, None) {
            self.show(from, certificate.height, out);
        }
    }

    fn show(&mut self, from: ReplicaId, height: Height, out: &mut Outbox) {
        if self.shown == SignerSet::EMPTY {
            out.observe(Observation::Forked { height });
        }
        self.shown.insert(from);
    }

    /// What the ledger found. True if our memory of our own chain is not to be believed.
    pub(crate) fn on_adoption(
        &mut self,
        adoption: Adoption,
        own: Own<'_>,
        summaries: &[(ReplicaId, Option<&Summary>)],
    ) -> bool {
        self.comparing = 0;
        match adoption {
            Adoption::Same { to } => {
                self.low = self.low.max(to);
                // Blocks that our memory says are not ours, and the ledger says are.
                let wrong = to >= own.head.height || self.low >= self.high;
                if wrong {
                    *self = Self::default();
                }
                wrong
            }
            Adoption::Below { from } => {
                self.high = from;
                if self.low.next() >= from {
                    // The same up to right below it, and yet not: memory was wrong, or this is a third chain.
                    self.low = Height(0);
                }
                false
            }
            Adoption::Kept => {
                self.kept = Some(self.support(own, summaries));
                false
            }
            // The engine is made anew.
            Adoption::Adopted { .. } => {
                *self = Self::default();
                false
            }
        }
    }
}

/// The latest summaries as this module reads them.
pub(crate) type Summaries<'a> = Vec<(ReplicaId, Option<&'a Summary>)>;

#[cfg(test)]
mod tests;
