//! A replica that never proposes what one client asks for.

use std::sync::Arc;

use daruma_types::{Message, PublicKey, ReplicaId, Transaction};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::{Adversary, Surroundings};

pub(crate) struct Censorship {
    /// The client, once one was chosen.
    victim: Option<PublicKey>,
    random: ChaCha8Rng,
}

impl Censorship {
    pub(crate) fn new(random: ChaCha8Rng) -> Self {
        Self { victim: None, random }
    }

    fn without_victim(&mut self, transactions: &[Transaction]) -> Vec<Transaction> {
        if self.victim.is_none()
            && self.random.random_bool(0.3)
            && let Some(transaction) = transactions.first()
        {
            self.victim = Some(transaction.client);
        }
        transactions.iter().filter(|t| Some(t.client) != self.victim).cloned().collect()
    }
}

impl Adversary for Censorship {
    fn incoming(
        &mut self,
        _: ReplicaId,
        message: Arc<Message>,
        _: &Surroundings<'_>,
    ) -> Option<Arc<Message>> {
        let Message::Transactions(transactions) = &*message else {
            return Some(message);
        };
        let left = self.without_victim(transactions);
        if left.is_empty() { None } else { Some(Arc::new(Message::Transactions(left))) }
    }

    fn submitted(&mut self, transactions: Vec<Transaction>) -> Vec<Transaction> {
        self.without_victim(&transactions)
    }
}
