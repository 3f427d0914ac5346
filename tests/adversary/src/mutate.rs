//! A replica that is honest but for a few small steps: one field of one of its own messages, truly
//! signed again; or one of its old messages in place of a new one.

use std::sync::Arc;

use daruma_types::{Attestation, Block, Demand, Hash, Message, NewView, ReplicaId, Report, Vote};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::fork::signed_proposal;
use crate::{Adversary, Surroundings, limits, small_step};

/// Messages in which there are one to three steps.
const PERIOD: u32 = 600;

pub(crate) struct Mutate {
    /// Messages of its engine in this period so far.
    count: u32,
    /// Which of them are changed.
    chosen: Vec<u32>,
    /// Names of blocks that there once were.
    hashes: Vec<Hash>,
    /// An old message of its own.
    old: Option<Arc<Message>>,
    random: ChaCha8Rng,
}

impl Mutate {
    pub(crate) fn new(random: ChaCha8Rng) -> Self {
        let mut mutate =
            Self { count: 0, chosen: Vec::new(), hashes: Vec::new(), old: None, random };
        mutate.choose();
        mutate
    }

    fn choose(&mut self) {
        self.count = 0;
        let steps = self.random.random_range(1..=3);
        self.chosen = (0..steps).map(|_| self.random.random_range(0..PERIOD)).collect();
    }

    fn remember(&mut self, message: &Message) {
        let hash = match message {
            Message::Vote(vote) => vote.hash,
            Message::PrePrepare(proposal) => proposal.block.hash(),
            Message::Attestation(attestation) => attestation.statement.state_root,
            _ => return,
        };
        if self.hashes.len() >= limits::HASHES_MAX {
            let place = self.random.random_range(0..self.hashes.len());
            self.hashes.swap_remove(place);
        }
        self.hashes.push(hash);
    }
}

/// The same content under a true signature of the replica, where it is the one to sign it.
fn signed_again(message: Message, around: &Surroundings<'_>) -> Message {
    let (chain, signer) = (around.committee.chain(), around.signer);
    match message {
        Message::Demand(m) => Message::Demand(Demand::sign(chain, m.view, signer)),
        Message::Report(m) => {
            Message::Report(Report::sign(chain, around.own, m.ballot, m.head, m.prepared, signer))
        }
        Message::NewView(m) if around.is_primary(m.ballot.0) => {
            Message::NewView(NewView::sign(chain, m.ballot, m.reports, m.headers, signer))
        }
        Message::PrePrepare(m) if around.is_primary(m.ballot.0) => {
            let header = &m.block.header;
            let block = Block::build(
                header.chain,
                header.height,
                header.parent,
                header.proposer,
                header.timestamp_ms,
                m.block.transactions.clone(),
            );
            signed_proposal(m.ballot, Arc::new(block), around)
        }
        Message::Vote(m) => {
            Message::Vote(Vote::sign(m.kind, chain, m.ballot, m.height, m.hash, signer))
        }
        Message::Attestation(m) => {
            Message::Attestation(Attestation::sign(m.statement, around.own, chain, signer))
        }
        other => other,
    }
}

impl Adversary for Mutate {
    fn outgoing(
        &mut self,
        _: ReplicaId,
        message: Arc<Message>,
        around: &Surroundings<'_>,
    ) -> Vec<Arc<Message>> {
        self.remember(&message);
        // Tokens are so many that hardly anything else would be chosen.
        if matches!(*message, Message::Token { .. } | Message::TokenReturn { .. })
            && self.random.random_bool(0.95)
        {
            return vec![message];
        }
        let chosen = self.chosen.contains(&self.count);
        self.count += 1;
        if self.count >= PERIOD {
            self.choose();
        }
        if !chosen {
            if self.old.is_none() || self.random.random_bool(0.02) {
                self.old = Some(Arc::clone(&message));
            }
            return vec![message];
        }
        match &self.old {
            Some(old) if self.random.random_ratio(1, 5) => vec![Arc::clone(old)],
            Some(_) | None => {
                let changed = small_step(&message, &self.hashes, &mut self.random);
                vec![Arc::new(signed_again(changed, around))]
            }
        }
    }

    fn incoming(
        &mut self,
        _: ReplicaId,
        message: Arc<Message>,
        _: &Surroundings<'_>,
    ) -> Option<Arc<Message>> {
        self.remember(&message);
        Some(message)
    }
}
