//! A replica that says one thing to one half of the others and another thing to the other half.

use std::sync::Arc;

use daruma_types::{Block, Message, ReplicaId, SignerSet, VoteKind};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::fork::{Fork, signed_proposal, signed_vote};
use crate::{Adversary, Surroundings, limits};

/// What the other half is shown in place of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherStory {
    /// The same transactions in the opposite order.
    Order,
    /// The block without its first transaction.
    Transactions,
    /// The same transactions at the next height, with nothing between.
    Height,
}

/// The adversary: as primary, one block for one half and another for the other.
pub struct Equivocation {
    story: OtherStory,
    fork: Fork,
    /// Bit of each replica that is shown the fork.
    misled: u64,
    /// Whether votes on others' proposals differ as well.
    two_votes: bool,
    /// Whether the halves are drawn anew at times.
    restless: bool,
    random: ChaCha8Rng,
    sayings: Vec<(ReplicaId, Arc<Message>)>,
}

impl Equivocation {
    pub(crate) fn new(mut random: ChaCha8Rng) -> Self {
        Self {
            story: OtherStory::Transactions,
            fork: Fork::default(),
            misled: random.random(),
            two_votes: random.random_bool(0.5),
            restless: random.random_bool(0.5),
            random,
            sayings: Vec::new(),
        }
    }

    /// Shows exactly these replicas the other story, for ever, and is honest in its votes on what
    /// others propose.
    #[must_use]
    pub fn towards(misled: impl IntoIterator<Item = ReplicaId>, story: OtherStory) -> Self {
        Self {
            story,
            fork: Fork::default(),
            misled: misled.into_iter().collect::<SignerSet>().0,
            two_votes: false,
            restless: false,
            random: ChaCha8Rng::seed_from_u64(0),
            sayings: Vec::new(),
        }
    }

    /// The block that stands in for the engine's.
    fn other(&mut self, own: &Block) -> Arc<Block> {
        let header = &own.header;
        match self.story {
            OtherStory::Order => {
                let transactions = own.transactions.iter().rev().cloned().collect();
                self.fork.replace(header, transactions, 1)
            }
            OtherStory::Transactions => {
                let transactions = own.transactions.iter().skip(1).cloned().collect();
                self.fork.replace(header, transactions, 1)
            }
            OtherStory::Height => {
                let (height, parent) = (header.height.next(), header.parent);
                self.fork.replace_at(header, height, parent, own.transactions.clone(), 0)
            }
        }
    }

    fn misleads(&self, to: ReplicaId) -> bool {
        self.misled >> (to.0 % 64) & 1 == 1
    }
}

impl Adversary for Equivocation {
    fn outgoing(
        &mut self,
        to: ReplicaId,
        message: Arc<Message>,
        around: &Surroundings<'_>,
    ) -> Vec<Arc<Message>> {
        let misled = self.misleads(to);
        match &*message {
            Message::PrePrepare(own) if around.is_primary(own.ballot.0) => {
                let block = self.other(&own.block);
                if !misled {
                    return vec![message];
                }
                vec![Arc::new(signed_proposal(own.ballot, block, around))]
            }
            Message::Vote(vote) if misled => match self.fork.vote(vote, around) {
                Some(vote) => vec![Arc::new(vote)],
                None if self.two_votes => {
                    let mut hash = vote.hash;
                    hash.0[31] ^= 1;
                    let vote = signed_vote(vote.kind, vote.ballot, vote.height, hash, around);
                    vec![Arc::new(vote)]
                }
                None => vec![message],
            },
            _ => vec![message],
        }
    }

    fn incoming(
        &mut self,
        from: ReplicaId,
        message: Arc<Message>,
        around: &Surroundings<'_>,
    ) -> Option<Arc<Message>> {
        if let Message::Want(want) = &*message {
            for (_, hash) in &want.blocks {
                if let Some(block) = self.fork.body(hash)
                    && self.sayings.len() < limits::SAYINGS_MAX
                {
                    self.sayings.push((from, Arc::new(Message::Body(block))));
                }
            }
        }
        // Helps the fork along: commits whatever a victim prepared on it.
        if let Message::Vote(vote) = &*message
            && vote.kind == VoteKind::Prepare
            && self.misleads(from)
            && self.fork.body(&vote.hash).is_some()
            && self.sayings.len() < limits::SAYINGS_MAX
        {
            let commit = signed_vote(VoteKind::Commit, vote.ballot, vote.height, vote.hash, around);
            self.sayings.push((from, Arc::new(commit)));
        }
        Some(message)
    }

    fn on_tick(&mut self, _: &Surroundings<'_>) -> Vec<(ReplicaId, Arc<Message>)> {
        if self.restless && self.random.random_bool(0.01) {
            self.misled = self.random.random();
        }
        std::mem::take(&mut self.sayings)
    }
}
