//! A replica that never proposes what one client asks for.

use std::sync::Arc;

use daruma_types::{Message, PublicKey, ReplicaId, Transaction};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{Adversary, Surroundings};

/// The adversary: its engine never sees what the victim asks for, nor tells others of it.
pub struct Censorship {
    /// The client, once one was chosen.
    victim: Option<PublicKey>,
    /// Only this request of the victim; all of them if none.
    nonce: Option<u64>,
    random: ChaCha8Rng,
}

impl Censorship {
    pub(crate) fn new(random: ChaCha8Rng) -> Self {
        Self { victim: None, nonce: None, random }
    }

    /// Leaves out all that this client asks for, or only the request with this nonce.
    #[must_use]
    pub fn of(client: PublicKey, nonce: Option<u64>) -> Self {
        Self { victim: Some(client), nonce, random: ChaCha8Rng::seed_from_u64(0) }
    }

    fn without_victim(&mut self, transactions: &[Transaction]) -> Vec<Transaction> {
        if self.victim.is_none()
            && self.random.random_bool(0.3)
            && let Some(transaction) = transactions.first()
        {
            self.victim = Some(transaction.client);
        }
        let censored = |t: &Transaction| {
            Some(t.client) == self.victim && self.nonce.is_none_or(|nonce| t.nonce == nonce)
        };
        transactions.iter().filter(|t| !censored(t)).cloned().collect()
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
