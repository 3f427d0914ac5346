//! One height in flight: its proposal and its votes.

#[cfg(feature = "laboratory")]
#[path = "../laboratory/slot.rs"]
mod laboratory;

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use daruma_types::{
    Ballot, Block, Certificate, Hash, Height, ReplicaId, Signature, SignerSet, Transaction, Vote,
    VoteKind,
};

use crate::config::Context;

/// A proposal of the ballot's primary, not yet accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) hash: Hash,
    pub(crate) block: Arc<Block>,
    /// The ledger's last nonces of the block's clients when it came.
    pub(crate) nonces: Vec<(daruma_types::PublicKey, u64)>,
    /// The tip above which it was found not to be valid, so that it is not checked again there.
    pub(crate) refused_above: Option<Hash>,
}

impl Candidate {
    /// Whether the ballot's primary proposed it, and its content is what the door lets in.
    fn is_sound(&self, ballot: Ballot, context: &Context, slot: &Slot) -> bool {
        let primary = context.thresholds().primary(ballot.0);
        let chain = context.committee.chain();
        let limits = &context.chain;
        let proposed =
            slot.vote_of(VoteKind::Prepare, primary).is_some_and(|v| v.hash == self.hash);
        proposed
            && self
                .block
                .verify_shape(chain, limits.block_transactions_max, limits.block_bytes_max)
                .is_ok()
            && are_signed(&self.block, context)
    }
}

/// Whether clients signed all operations of a block.
pub(super) fn are_signed(block: &Block, context: &Context) -> bool {
    let (chain, bytes_max) = (context.committee.chain(), context.chain.operation_bytes_max);
    let signed = |t: &Transaction| t.verify(chain, bytes_max, context.verifier.as_ref()).is_ok();
    block.transactions.iter().all(signed)
}

/// One vote held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Held {
    pub(crate) hash: Hash,
    pub(crate) signature: Signature,
}

/// A height in flight, in the current ballot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) candidate: Option<Candidate>,
    /// The block accepted here: the one that this replica prepared, or that lies below it in a
    /// chain proposed again. At most one in a ballot.
    pub(crate) accepted: Option<Hash>,
    /// The certificate that the accepted block is prepared.
    pub(crate) prepared: Option<Certificate>,
    /// Each replica's first prepare.
    pub(crate) prepares: Vec<Option<Held>>,
    /// Each replica's first commit.
    pub(crate) commits: Vec<Option<Held>>,
    /// Who was found to contradict itself here; told once.
    contradicted: SignerSet,
}

impl Slot {
    pub(crate) fn new(replicas: usize) -> Self {
        Self {
            candidate: None,
            accepted: None,
            prepared: None,
            prepares: vec![None; replicas],
            commits: vec![None; replicas],
            contradicted: SignerSet::EMPTY,
        }
    }

    const fn votes(&self, kind: VoteKind) -> &Vec<Option<Held>> {
        match kind {
            VoteKind::Prepare => &self.prepares,
            VoteKind::Commit => &self.commits,
        }
    }

    /// Keeps `voter`'s first vote of this kind. False if it had voted for another block, and was not
    /// found to contradict itself here before: there is one piece of evidence, not a flood.
    pub(crate) fn record(&mut self, kind: VoteKind, voter: ReplicaId, held: Held) -> bool {
        let votes = match kind {
            VoteKind::Prepare => &mut self.prepares,
            VoteKind::Commit => &mut self.commits,
        };
        match votes.get_mut(voter.index()) {
            Some(Some(before)) => before.hash == held.hash || !self.contradicted.insert(voter),
            Some(place) => {
                *place = Some(held);
                true
            }
            None => true,
        }
    }

    /// Whose votes of this kind for `hash` are held.
    pub(crate) fn voters(&self, kind: VoteKind, hash: &Hash) -> SignerSet {
        let voters = self.votes(kind).iter().enumerate();
        voters
            .filter(|(_, vote)| vote.is_some_and(|vote| vote.hash == *hash))
            .map(|(index, _)| ReplicaId(index as u16))
            .collect()
    }

    /// This kind's certificate for `hash`, if `quorum` votes for it are held.
    pub(crate) fn certificate(
        &self,
        kind: VoteKind,
        ballot: Ballot,
        height: Height,
        hash: Hash,
        quorum: usize,
    ) -> Option<Certificate> {
        let signers = self.voters(kind, &hash);
        if signers.len() < quorum {
            return None;
        }
        let votes = self.votes(kind).iter().flatten().filter(|vote| vote.hash == hash);
        let signatures = votes.map(|vote| vote.signature).collect();
        Some(Certificate { kind, ballot, height, hash, signers, signatures })
    }

    /// The block that a quorum committed here.
    pub(crate) fn committed(
        &self,
        ballot: Ballot,
        height: Height,
        quorum: usize,
    ) -> Option<Certificate> {
        // Fewer votes than a quorum, for whatever block, commit none; most looks end here.
        if self.commits.iter().flatten().count() < quorum {
            return None;
        }
        self.commits
            .iter()
            .flatten()
            .find_map(|vote| self.certificate(VoteKind::Commit, ballot, height, vote.hash, quorum))
    }

    /// The vote of `voter`, if it is held.
    pub(crate) fn vote_of(&self, kind: VoteKind, voter: ReplicaId) -> Option<Held> {
        self.votes(kind).get(voter.index()).copied().flatten()
    }

    /// Drops votes, certificates and proposals that are not truly signed, as long as `left` signatures
    /// may be checked; true if there were any.
    pub(crate) fn drop_invalid(
        &mut self,
        ballot: Ballot,
        height: Height,
        left: &mut usize,
        context: &Context,
    ) -> bool {
        let (committee, verifier) = (&context.committee, context.verifier.as_ref());
        let mut dropped = false;
        for (kind, votes) in
            [(VoteKind::Prepare, &mut self.prepares), (VoteKind::Commit, &mut self.commits)]
        {
            for (index, place) in votes.iter_mut().enumerate() {
                let Some(Held { hash, signature }) = *place else { continue };
                let vote = Vote { kind, ballot, height, hash, signature };
                *left = left.saturating_sub(1);
                if vote.verify(ReplicaId(index as u16), committee, verifier).is_err() {
                    *place = None;
                    dropped = true;
                }
            }
        }
        if self.prepared.as_ref().is_some_and(|p| p.verify(committee, verifier).is_err()) {
            self.prepared = None;
            dropped = true;
        }
        if self.candidate.as_ref().is_some_and(|held| !held.is_sound(ballot, context, self)) {
            self.candidate = None;
            dropped = true;
        }
        dropped
    }

    /// Whether the slot's own parts agree with one another.
    pub(crate) fn is_legal(&self, replicas: usize, ballot: Ballot, height: Height) -> bool {
        let prepared_fits = self.prepared.as_ref().is_none_or(|certificate| {
            certificate.kind == VoteKind::Prepare
                && certificate.ballot == ballot
                && certificate.height == height
                && Some(certificate.hash) == self.accepted
        });
        let candidate_fits = self.candidate.as_ref().is_none_or(|candidate| {
            candidate.block.header.height == height && candidate.block.hash() == candidate.hash
        });
        self.prepares.len() == replicas
            && self.commits.len() == replicas
            && prepared_fits
            && candidate_fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(byte: u8) -> Held {
        Held { hash: Hash([byte; 32]), signature: Signature([byte; 64]) }
    }

    #[test]
    fn only_the_first_vote_of_a_replica_counts_and_a_second_different_one_is_noticed() {
        let mut slot = Slot::new(4);
        assert!(slot.record(VoteKind::Prepare, ReplicaId(1), held(1)));
        assert!(slot.record(VoteKind::Prepare, ReplicaId(1), held(1)));
        assert!(!slot.record(VoteKind::Prepare, ReplicaId(1), held(2)));
        assert!(slot.record(VoteKind::Prepare, ReplicaId(1), held(3)), "told once");
        assert_eq!(slot.voters(VoteKind::Prepare, &Hash([2; 32])).len(), 0);
    }

    #[test]
    fn a_quorum_of_equal_votes_is_a_certificate_and_a_mixed_one_is_not() {
        let mut slot = Slot::new(4);
        for (voter, byte) in [(0, 1), (1, 1), (2, 2)] {
            slot.record(VoteKind::Commit, ReplicaId(voter), held(byte));
        }
        assert!(slot.committed(Ballot(0), Height(1), 3).is_none());
        slot.record(VoteKind::Commit, ReplicaId(3), held(1));
        let certificate = slot.committed(Ballot(0), Height(1), 3).unwrap();
        assert_eq!((certificate.hash, certificate.signatures.len()), (Hash([1; 32]), 3));
    }
}
