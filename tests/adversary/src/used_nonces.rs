//! A primary that puts old transactions into its blocks, or one transaction twice.

use std::sync::Arc;

use daruma_types::{Block, Message, ReplicaId, Transaction};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::fork::{Fork, signed_proposal};
use crate::{Adversary, Surroundings, limits};

pub(crate) struct UsedNonces {
    fork: Fork,
    old: Vec<Transaction>,
    /// Whether a block repeats its own first transaction instead of an old one.
    twice: bool,
    random: ChaCha8Rng,
}

impl UsedNonces {
    pub(crate) fn new(mut random: ChaCha8Rng) -> Self {
        Self { fork: Fork::default(), old: Vec::new(), twice: random.random(), random }
    }

    fn remember(&mut self, block: &Block) {
        for transaction in &block.transactions {
            if self.old.len() < limits::OLD_TRANSACTIONS_MAX {
                self.old.push(transaction.clone());
            } else {
                let place = self.random.random_range(0..self.old.len());
                self.old[place] = transaction.clone();
            }
        }
    }

    fn spoilt(&mut self, block: &Block) -> Vec<Transaction> {
        let mut transactions = block.transactions.clone();
        let old = if self.twice && !transactions.is_empty() {
            transactions.first().cloned()
        } else if self.old.is_empty() {
            None
        } else {
            Some(self.old[self.random.random_range(0..self.old.len())].clone())
        };
        // In place of the last, so that the block keeps to the chain's bound on their number.
        if let Some(old) = old {
            if transactions.len() > 1 {
                transactions.pop();
            }
            transactions.push(old);
        }
        transactions
    }
}

impl Adversary for UsedNonces {
    fn outgoing(
        &mut self,
        _: ReplicaId,
        message: Arc<Message>,
        around: &Surroundings<'_>,
    ) -> Vec<Arc<Message>> {
        match &*message {
            Message::PrePrepare(own) if around.is_primary(own.ballot.0) => {
                let transactions = self.spoilt(&own.block);
                let block = self.fork.replace(&own.block.header, transactions, 0);
                vec![Arc::new(signed_proposal(own.ballot, block, around))]
            }
            Message::Vote(vote) => match self.fork.vote(vote, around) {
                Some(vote) => vec![Arc::new(vote)],
                None => vec![message],
            },
            _ => vec![message],
        }
    }

    fn incoming(
        &mut self,
        _: ReplicaId,
        message: Arc<Message>,
        _: &Surroundings<'_>,
    ) -> Option<Arc<Message>> {
        match &*message {
            Message::PrePrepare(theirs) => self.remember(&theirs.block),
            Message::Body(block) => self.remember(block),
            Message::Blocks(blocks) => blocks.iter().for_each(|b| self.remember(&b.block)),
            _ => {}
        }
        Some(message)
    }
}
