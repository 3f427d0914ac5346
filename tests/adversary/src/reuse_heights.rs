//! A primary that gives every block the height it used first (the thesis's `REUSE_SEQNUMS`).

use std::sync::Arc;

use daruma_types::{Ballot, Hash, Height, Message, ReplicaId};

use crate::fork::{Fork, signed_proposal};
use crate::{Adversary, Surroundings};

#[derive(Default)]
pub(crate) struct ReuseHeights {
    fork: Fork,
    /// The height and parent of its first proposal in this ballot.
    first: Option<(Ballot, Height, Hash)>,
}

impl Adversary for ReuseHeights {
    fn outgoing(
        &mut self,
        _: ReplicaId,
        message: Arc<Message>,
        around: &Surroundings<'_>,
    ) -> Vec<Arc<Message>> {
        match &*message {
            Message::PrePrepare(own) if around.is_primary(own.ballot.0) => {
                let header = &own.block.header;
                let (height, parent) = match self.first {
                    Some((ballot, height, parent)) if ballot == own.ballot => (height, parent),
                    Some(_) | None => {
                        self.first = Some((own.ballot, header.height, header.parent));
                        (header.height, header.parent)
                    }
                };
                if header.height == height {
                    return vec![message];
                }
                let transactions = own.block.transactions.clone();
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
