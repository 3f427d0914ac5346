//! A primary that gives the same transactions one height towards even-numbered replicas and another one
//! towards odd-numbered ones (the thesis's `ASSIGN_DIFFERENT_SEQNUMS`).

use std::sync::Arc;

use daruma_types::{Message, ReplicaId};

use crate::fork::{Fork, signed_proposal};
use crate::{Adversary, Surroundings};

/// The thesis adds 3 where the honest number grows by 1.
const FURTHER: u64 = 2;

/// The record shown to odd replicas.
#[derive(Default)]
pub(crate) struct AssignDifferent {
    shadow: Fork,
}

impl Adversary for AssignDifferent {
    fn outgoing(
        &mut self,
        to: ReplicaId,
        message: Arc<Message>,
        around: &Surroundings<'_>,
    ) -> Vec<Arc<Message>> {
        if to.0.is_multiple_of(2) {
            return vec![message];
        }
        match &*message {
            Message::PrePrepare(own) if around.is_primary(own.ballot.0) => {
                let header = &own.block.header;
                let (height, parent) = (header.height.plus(FURTHER), header.parent);
                let transactions = own.block.transactions.clone();
                let block = self.shadow.replace_at(header, height, parent, transactions, 0);
                vec![Arc::new(signed_proposal(own.ballot, block, around))]
            }
            Message::Vote(vote) => match self.shadow.vote(vote, around) {
                Some(vote) => vec![Arc::new(vote)],
                None => vec![message],
            },
            _ => vec![message],
        }
    }
}
