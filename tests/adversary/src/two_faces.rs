//! A replica that tells one half of the others something else, in every kind of message that there is.

use std::sync::Arc;

use daruma_types::{
    Attestation, Certificate, Demand, Height, Message, NewView, ReplicaId, VoteKind, Want,
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::forged::denial;
use crate::fork::{Fork, signed_proposal, signed_vote};
use crate::{Adversary, Surroundings};

pub(crate) struct TwoFaces {
    fork: Fork,
    /// Bit of each replica that is told the other thing.
    misled: u64,
    /// An older certificate of each kind, which is true as well.
    older: [Option<Certificate>; 2],
}

impl TwoFaces {
    pub(crate) fn new(mut random: ChaCha8Rng) -> Self {
        Self { fork: Fork::default(), misled: random.random(), older: [None, None] }
    }

    /// The certificate of this kind that it showed before, in place of the one that it shows now.
    fn older(&mut self, now: &Certificate) -> Option<Certificate> {
        let place = &mut self.older[usize::from(now.kind == VoteKind::Commit)];
        match place {
            Some(before) if before.height < now.height => Some(before.clone()),
            Some(_) => None,
            None => {
                *place = Some(now.clone());
                None
            }
        }
    }

    fn other(&mut self, message: &Message, around: &Surroundings<'_>) -> Option<Message> {
        let (chain, signer) = (around.committee.chain(), around.signer);
        Some(match message {
            Message::Token { counter } => Message::Token { counter: counter.wrapping_add(1) },
            Message::TokenReturn { counter } => {
                Message::TokenReturn { counter: counter.wrapping_add(1) }
            }
            Message::Summary(honest) => {
                let mut summary = honest.clone();
                summary.view = summary.view.next();
                summary.ballot = summary.ballot.next();
                summary.executed = summary.executed.previous();
                summary.attested = summary.attested.previous();
                summary.head_hash.0[31] ^= 1;
                summary.state_root.0[31] ^= 1;
                summary.monitor.suspects = !summary.monitor.suspects;
                Message::Summary(summary)
            }
            Message::Demand(own) => Message::Demand(Demand::sign(chain, own.view.next(), signer)),
            Message::Report(own) => Message::Report(denial(own.ballot, around)),
            Message::NewView(own) => {
                let mut headers = own.headers.clone();
                for header in &mut headers {
                    *header = self.fork.replace(header, Vec::new(), 1).header.clone();
                }
                Message::NewView(NewView::sign(
                    chain,
                    own.ballot,
                    own.reports.clone(),
                    headers,
                    signer,
                ))
            }
            Message::PrePrepare(own) if around.is_primary(own.ballot.0) => {
                let transactions = own.block.transactions.clone();
                let block = self.fork.replace(&own.block.header, transactions, 1);
                signed_proposal(own.ballot, block, around)
            }
            Message::PrePrepare(_) => return None,
            Message::Vote(own) => self.fork.vote(own, around).unwrap_or_else(|| {
                let mut hash = own.hash;
                hash.0[31] ^= 1;
                signed_vote(own.kind, own.ballot, own.height, hash, around)
            }),
            Message::Certificate(own) => Message::Certificate(self.older(own)?),
            Message::Attestation(own) => {
                let mut statement = own.statement;
                statement.receipts_root.0[31] ^= 1;
                Message::Attestation(Attestation::sign(statement, around.own, chain, signer))
            }
            Message::Want(own) => {
                let mut blocks = own.blocks.clone();
                blocks.pop();
                Message::Want(Want { blocks })
            }
            Message::Fetch { from, count } => {
                Message::Fetch { from: Height(from.0.saturating_sub(1)), count: *count }
            }
            Message::Blocks(own) => {
                let mut blocks = own.clone();
                blocks.reverse();
                Message::Blocks(blocks)
            }
            Message::Transactions(own) => {
                Message::Transactions(own.iter().skip(1).cloned().collect())
            }
            // Kept back from one half: nothing else could be believed in their place.
            _ => return None,
        })
    }
}

impl Adversary for TwoFaces {
    fn outgoing(
        &mut self,
        to: ReplicaId,
        message: Arc<Message>,
        around: &Surroundings<'_>,
    ) -> Vec<Arc<Message>> {
        if self.misled >> (to.0 % 64) & 1 == 0 {
            return vec![message];
        }
        self.other(&message, around).map(Arc::new).into_iter().collect()
    }
}
