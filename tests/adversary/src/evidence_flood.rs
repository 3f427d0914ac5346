//! A replica that signs contradictions without end: two votes, two attestations, two reports for
//! everything, so that there is more evidence against it than anyone can keep.

use std::sync::Arc;

use daruma_types::{
    Attestation, Ballot, Demand, Hash, Height, Message, ReplicaId, Statement, View, VoteKind,
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::forged::denial;
use crate::fork::signed_vote;
use crate::{Adversary, Surroundings, limits};

pub(crate) struct EvidenceFlood {
    random: ChaCha8Rng,
}

impl EvidenceFlood {
    pub(crate) fn new(random: ChaCha8Rng) -> Self {
        Self { random }
    }

    fn hash(&mut self) -> Hash {
        Hash(self.random.random())
    }

    /// A number at the true one, near it, or anywhere.
    fn near(&mut self, true_value: u64) -> u64 {
        match self.random.random_range(0..8) {
            0 => self.random.random(),
            1 => true_value,
            _ => true_value.saturating_add(self.random.random_range(0..100)),
        }
    }

    /// Two statements of one kind that cannot both be meant.
    fn contradiction(&mut self, around: &Surroundings<'_>) -> [Message; 2] {
        let chain = around.committee.chain();
        let (ballot, head) = around.summary.map_or((0, 0), |s| (s.ballot.0, s.head.0));
        let (ballot, height) = (Ballot(self.near(ballot)), Height(self.near(head)));
        match self.random.random_range(0..6) {
            0 => [(); 2].map(|()| {
                let (block, root) = (self.hash(), self.hash());
                let statement = Statement { height, block, state_root: root, receipts_root: root };
                Message::Attestation(Attestation::sign(statement, around.own, chain, around.signer))
            }),
            1 => {
                let view = View(ballot.0);
                let demand = Demand::sign(chain, view, around.signer);
                [Message::Demand(demand), Message::Report(denial(ballot, around))]
            }
            kind => {
                let kind = if kind % 2 == 0 { VoteKind::Prepare } else { VoteKind::Commit };
                [(); 2].map(|()| signed_vote(kind, ballot, height, self.hash(), around))
            }
        }
    }
}

impl Adversary for EvidenceFlood {
    fn on_tick(&mut self, around: &Surroundings<'_>) -> Vec<(ReplicaId, Arc<Message>)> {
        let mut said = Vec::new();
        for _ in 0..limits::EVIDENCE_PER_TICK {
            for message in self.contradiction(around).map(Arc::new) {
                said.extend(around.others().map(|to| (to, Arc::clone(&message))));
            }
        }
        said
    }
}
