//! A replica that sends as fast as the link takes it, and nothing that the door would refuse.

use std::sync::Arc;

use daruma_types::{
    Attestation, Ballot, Block, Demand, Hash, Height, Message, ReplicaId, SignerSet, Statement,
    Summary, Transaction, View, VoteKind, Want,
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::forged::denial;
use crate::fork::{signed_proposal, signed_vote};
use crate::{Adversary, Surroundings, limits};

/// Kinds of messages that it can make.
const KINDS: u32 = 11;

pub(crate) struct Flood {
    /// The only kind that it sends; all if none.
    only: Option<u32>,
    /// Messages to each in one tick, as far as the link takes them.
    per_tick: u32,
    transactions: Vec<Transaction>,
    random: ChaCha8Rng,
}

impl Flood {
    pub(crate) fn new(mut random: ChaCha8Rng) -> Self {
        Self {
            only: random.random_bool(0.5).then(|| random.random_range(0..KINDS)),
            per_tick: random.random_range(8..=limits::FLOOD_PER_TICK_MAX),
            transactions: Vec::new(),
            random,
        }
    }

    /// A little or far above the true value.
    fn above(&mut self, true_value: u64) -> u64 {
        let far = if self.random.random_bool(0.1) { u64::MAX / 2 } else { 200 };
        true_value.saturating_add(self.random.random_range(0..far))
    }

    fn hash(&mut self) -> Hash {
        Hash(self.random.random())
    }

    fn message(&mut self, to: ReplicaId, summary: &Summary, around: &Surroundings<'_>) -> Message {
        let (chain, signer) = (around.committee.chain(), around.signer);
        let kind = self.only.unwrap_or_else(|| self.random.random_range(0..KINDS));
        let ballot = Ballot(self.above(summary.ballot.0));
        let height = Height(self.above(summary.head.0));
        match kind {
            0 => Message::Token { counter: self.random.random() },
            1 => Message::TokenReturn { counter: self.random.random() },
            2 => Message::Demand(Demand::sign(chain, View(ballot.0), signer)),
            3 => Message::Report(denial(ballot, around)),
            4 => {
                let (block, root) = (self.hash(), self.hash());
                let statement = Statement { height, block, state_root: root, receipts_root: root };
                Message::Attestation(Attestation::sign(statement, around.own, chain, signer))
            }
            5 => {
                let blocks = (0..8).map(|i| (Height(height.0.saturating_add(i)), self.hash()));
                let mut blocks: Vec<_> = blocks.collect();
                blocks.sort_unstable();
                blocks.dedup();
                Message::Want(Want { blocks })
            }
            6 => Message::Fetch {
                from: Height(self.random.random_range(0..=summary.head.0)),
                count: 64,
            },
            7 => {
                let mut summary = summary.clone();
                summary.reports = SignerSet(self.random.random());
                summary.attested = Height(self.random.random_range(0..=summary.attested.0));
                summary.head = Height(self.random.random_range(0..=summary.head.0));
                Message::Summary(summary)
            }
            8 if !self.transactions.is_empty() => {
                let place = self.random.random_range(0..self.transactions.len());
                Message::Transactions(vec![self.transactions[place].clone()])
            }
            9 => {
                // A proposal in its own next ballot, or in the one whose primary it is.
                let mut ballot = summary.ballot.0;
                while !around.is_primary(ballot) {
                    ballot = ballot.saturating_add(1);
                }
                let transactions = self.transactions.iter().take(1).cloned().collect();
                let (parent, now_ms) = (self.hash(), around.now_ms);
                let height = height.next();
                let block = Block::build(chain, height, parent, around.own, now_ms, transactions);
                signed_proposal(Ballot(ballot), Arc::new(block), around)
            }
            _ => {
                let kind =
                    if to.0.is_multiple_of(2) { VoteKind::Prepare } else { VoteKind::Commit };
                let ballot = if self.random.random() { summary.ballot } else { ballot };
                signed_vote(kind, ballot, height, self.hash(), around)
            }
        }
    }
}

impl Adversary for Flood {
    fn incoming(
        &mut self,
        _: ReplicaId,
        message: Arc<Message>,
        _: &Surroundings<'_>,
    ) -> Option<Arc<Message>> {
        if let Message::Transactions(transactions) = &*message {
            let room = limits::OLD_TRANSACTIONS_MAX.saturating_sub(self.transactions.len());
            self.transactions.extend(transactions.iter().take(room).cloned());
        }
        Some(message)
    }

    fn on_tick(&mut self, around: &Surroundings<'_>) -> Vec<(ReplicaId, Arc<Message>)> {
        let Some(summary) = around.summary.cloned() else {
            return Vec::new();
        };
        let mut said = Vec::new();
        for to in around.others() {
            for _ in 0..self.per_tick.min(around.link_per_tick) {
                said.push((to, Arc::new(self.message(to, &summary, around))));
            }
        }
        said
    }
}
