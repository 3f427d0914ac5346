//! A primary that proposes beyond the window of heights in flight (the thesis's `SEQNUM_OUT_BOUND`).

use std::sync::Arc;

use daruma_types::{Height, Message, ReplicaId, limits as hard};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::fork::{Fork, signed_proposal};
use crate::{Adversary, Surroundings};

/// The adversary: adds to the height of each of its proposals.
pub struct OutOfBound {
    fork: Fork,
    /// What is added to each height.
    further: u64,
}

impl OutOfBound {
    pub(crate) fn new(mut random: ChaCha8Rng) -> Self {
        let window = hard::WINDOW_MAX as u64;
        let choices = [window + 1, 2 * window + 1, 1 << 32, u64::MAX];
        Self::by(choices[random.random_range(0..choices.len())])
    }

    /// Adds this much: 1 leaves a gap of one height for ever.
    #[must_use]
    pub fn by(further: u64) -> Self {
        Self { fork: Fork::default(), further }
    }
}

impl Adversary for OutOfBound {
    fn outgoing(
        &mut self,
        _: ReplicaId,
        message: Arc<Message>,
        around: &Surroundings<'_>,
    ) -> Vec<Arc<Message>> {
        match &*message {
            Message::PrePrepare(own) if around.is_primary(own.ballot.0) => {
                let header = &own.block.header;
                let height = Height(header.height.0.saturating_add(self.further));
                let transactions = own.block.transactions.clone();
                let parent = header.parent;
                let block = self.fork.replace_at(header, height, parent, transactions, 0);
                vec![Arc::new(signed_proposal(own.ballot, block, around))]
            }
            Message::Vote(vote) => match self.fork.vote(vote, around) {
                Some(vote) => vec![Arc::new(vote)],
                None => vec![message],
            },
            _ => vec![message],
        }
    }
}
