//! A primary that proposes other operations than the clients signed, and spreads them as well (the
//! thesis's `MODIFY_CLIENT_REQ`).

use std::sync::Arc;

use daruma_types::{Message, ReplicaId, Transaction};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::fork::{Fork, signed_proposal};
use crate::{Adversary, Surroundings};

/// What of a transaction is exchanged; the client's signature stays.
#[derive(Clone, Copy)]
enum Part {
    Operation,
    Nonce,
    Client,
}

pub(crate) struct ModifyRequest {
    fork: Fork,
    part: Part,
}

impl ModifyRequest {
    pub(crate) fn new(mut random: ChaCha8Rng) -> Self {
        let part = match random.random_range(0..3) {
            0 => Part::Operation,
            1 => Part::Nonce,
            _ => Part::Client,
        };
        Self { fork: Fork::default(), part }
    }

    fn modified(&self, transactions: &[Transaction]) -> Vec<Transaction> {
        let mut transactions = transactions.to_vec();
        for transaction in &mut transactions {
            match self.part {
                Part::Operation => transaction.operation = b"append 5".to_vec(),
                Part::Nonce => transaction.nonce = transaction.nonce.wrapping_add(5),
                Part::Client => transaction.client.0[0] ^= 5,
            }
        }
        transactions
    }
}

impl Adversary for ModifyRequest {
    fn outgoing(
        &mut self,
        _: ReplicaId,
        message: Arc<Message>,
        around: &Surroundings<'_>,
    ) -> Vec<Arc<Message>> {
        match &*message {
            Message::PrePrepare(own) if around.is_primary(own.ballot.0) => {
                let transactions = self.modified(&own.block.transactions);
                let block = self.fork.replace(&own.block.header, transactions, 0);
                vec![Arc::new(signed_proposal(own.ballot, block, around))]
            }
            Message::Vote(vote) => match self.fork.vote(vote, around) {
                Some(vote) => vec![Arc::new(vote)],
                None => vec![message],
            },
            Message::Transactions(own) => {
                vec![Arc::new(Message::Transactions(self.modified(own)))]
            }
            _ => vec![message],
        }
    }
}
