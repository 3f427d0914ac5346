//! A replica that sends what would be valid on another chain with the same replicas and keys: only the
//! chain id in what is signed differs.

use std::sync::Arc;

use daruma_types::{
    Attestation, Block, ChainId, Demand, HeadClaim, Message, NewView, PrePrepare, ReplicaId,
    Report, Vote, VoteKind,
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::{Adversary, Surroundings};

pub(crate) struct ForeignChain {
    /// Messages that are sent in the other chain's form instead of beside the true one, per mille.
    instead: u32,
    random: ChaCha8Rng,
}

impl ForeignChain {
    pub(crate) fn new(mut random: ChaCha8Rng) -> Self {
        Self { instead: if random.random() { 0 } else { 300 }, random }
    }
}

/// Another chain of the same replicas.
fn other_chain(around: &Surroundings<'_>) -> ChainId {
    let mut chain = around.committee.chain();
    chain.0.0[31] ^= 1;
    chain
}

/// What the replica would have said on the other chain.
fn foreign(message: &Message, around: &Surroundings<'_>) -> Option<Message> {
    let (chain, signer) = (other_chain(around), around.signer);
    Some(match message {
        Message::Demand(own) => Message::Demand(Demand::sign(chain, own.view, signer)),
        Message::Report(own) => {
            let head = HeadClaim::genesis(chain);
            Message::Report(Report::sign(chain, around.own, own.ballot, head, None, signer))
        }
        Message::NewView(own) if around.is_primary(own.ballot.0) => {
            let (reports, headers) = (own.reports.clone(), own.headers.clone());
            Message::NewView(NewView::sign(chain, own.ballot, reports, headers, signer))
        }
        Message::PrePrepare(own) if around.is_primary(own.ballot.0) => {
            let header = &own.block.header;
            let block = Arc::new(Block::build(
                chain,
                header.height,
                header.parent,
                header.proposer,
                header.timestamp_ms,
                own.block.transactions.clone(),
            ));
            let hash = block.hash();
            let bytes = VoteKind::Prepare.signed_bytes(chain, own.ballot, header.height, &hash);
            let signature = signer.sign(&bytes);
            Message::PrePrepare(PrePrepare { ballot: own.ballot, block, signature })
        }
        Message::Vote(own) => {
            Message::Vote(Vote::sign(own.kind, chain, own.ballot, own.height, own.hash, signer))
        }
        Message::Attestation(own) => {
            Message::Attestation(Attestation::sign(own.statement, around.own, chain, signer))
        }
        _ => return None,
    })
}

impl Adversary for ForeignChain {
    fn outgoing(
        &mut self,
        _: ReplicaId,
        message: Arc<Message>,
        around: &Surroundings<'_>,
    ) -> Vec<Arc<Message>> {
        let Some(foreign) = foreign(&message, around).map(Arc::new) else {
            return vec![message];
        };
        if self.random.random_range(0..1000) < self.instead {
            vec![foreign]
        } else {
            vec![foreign, message]
        }
    }
}
