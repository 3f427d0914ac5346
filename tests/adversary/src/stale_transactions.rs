//! A replica that spreads old transactions as if clients had just given them to it. Each is well
//! signed; only its nonce was used. A primary that proposes one makes itself look bad. When it is
//! primary itself, it proposes nothing.

use std::sync::Arc;

use daruma_types::{Block, Message, ReplicaId, Transaction};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::{Adversary, Surroundings, limits};

pub(crate) struct StaleTransactions {
    old: Vec<Transaction>,
    /// Ticks from one spreading to the next.
    every_ticks: u32,
    ticks: u32,
    random: ChaCha8Rng,
}

impl StaleTransactions {
    pub(crate) fn new(mut random: ChaCha8Rng) -> Self {
        Self { old: Vec::new(), every_ticks: random.random_range(1..20), ticks: 0, random }
    }

    /// Keeps the first ones of the chain, which are the longest forgotten.
    fn remember(&mut self, block: &Block) {
        let room = limits::OLD_TRANSACTIONS_MAX.saturating_sub(self.old.len());
        self.old.extend(block.transactions.iter().take(room).cloned());
    }
}

impl Adversary for StaleTransactions {
    fn outgoing(
        &mut self,
        _: ReplicaId,
        message: Arc<Message>,
        around: &Surroundings<'_>,
    ) -> Vec<Arc<Message>> {
        match &*message {
            Message::PrePrepare(own) if around.is_primary(own.ballot.0) => Vec::new(),
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
            Message::Blocks(blocks) => blocks.iter().for_each(|b| self.remember(&b.block)),
            _ => {}
        }
        Some(message)
    }

    fn on_tick(&mut self, around: &Surroundings<'_>) -> Vec<(ReplicaId, Arc<Message>)> {
        self.ticks = self.ticks.saturating_add(1);
        if self.ticks < self.every_ticks || self.old.is_empty() {
            return Vec::new();
        }
        self.ticks = 0;
        let some: Vec<Transaction> =
            (0..8).map(|_| self.old[self.random.random_range(0..self.old.len())].clone()).collect();
        let message = Arc::new(Message::Transactions(some));
        around.others().map(|to| (to, Arc::clone(&message))).collect()
    }
}
