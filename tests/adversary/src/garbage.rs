//! A replica that sends random bytes, true messages with some bytes changed, and well-formed messages
//! whose signatures do not hold.

use std::sync::Arc;

use daruma_types::{
    Attestation, Ballot, Demand, Hash, Height, Message, PrePrepare, ReplicaId, Report, Signature,
    Vote, VoteKind, codec,
};
use rand::{Rng, RngCore};
use rand_chacha::ChaCha8Rng;

use crate::{Adversary, Surroundings, limits};

pub(crate) struct Garbage {
    /// True messages, as models.
    seen: Vec<Arc<Message>>,
    random: ChaCha8Rng,
}

impl Garbage {
    pub(crate) fn new(random: ChaCha8Rng) -> Self {
        Self { seen: Vec::new(), random }
    }

    fn remember(&mut self, message: &Arc<Message>) {
        if self.seen.len() < limits::HASHES_MAX {
            self.seen.push(Arc::clone(message));
        } else if self.random.random_bool(0.05) {
            let place = self.random.random_range(0..self.seen.len());
            self.seen[place] = Arc::clone(message);
        }
    }

    fn other(&mut self, around: &Surroundings<'_>) -> ReplicaId {
        let others: Vec<ReplicaId> = around.others().collect();
        others.get(self.random.random_range(0..others.len().max(1))).copied().unwrap_or(around.own)
    }

    fn signature(&mut self) -> Signature {
        let mut signature = [0; 64];
        self.random.fill_bytes(&mut signature);
        Signature(signature)
    }

    /// The same message under a signature that does not hold, or with another's name.
    fn badly_signed(&mut self, message: &Message, around: &Surroundings<'_>) -> Message {
        let signature = self.signature();
        match message {
            Message::Demand(m) => Message::Demand(Demand { signature, ..m.clone() }),
            Message::Vote(m) => Message::Vote(Vote { signature, ..m.clone() }),
            Message::PrePrepare(m) => Message::PrePrepare(PrePrepare { signature, ..m.clone() }),
            Message::Attestation(m) => {
                Message::Attestation(Attestation { replica: self.other(around), signature, ..*m })
            }
            Message::Report(m) => {
                Message::Report(Report { replica: self.other(around), ..m.clone() })
            }
            _ => Message::Vote(Vote {
                kind: VoteKind::Commit,
                ballot: Ballot(self.random.random()),
                height: Height(self.random.random()),
                hash: Hash(self.random.random()),
                signature,
            }),
        }
    }
}

impl Adversary for Garbage {
    fn outgoing(
        &mut self,
        _: ReplicaId,
        message: Arc<Message>,
        _: &Surroundings<'_>,
    ) -> Vec<Arc<Message>> {
        self.remember(&message);
        vec![message]
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

    fn on_tick(&mut self, around: &Surroundings<'_>) -> Vec<(ReplicaId, Arc<Message>)> {
        if self.seen.is_empty() {
            return Vec::new();
        }
        (0..limits::GARBAGE_PER_TICK)
            .map(|_| {
                let model = Arc::clone(&self.seen[self.random.random_range(0..self.seen.len())]);
                (self.other(around), Arc::new(self.badly_signed(&model, around)))
            })
            .collect()
    }

    fn raw(&mut self, around: &Surroundings<'_>) -> Vec<(ReplicaId, Vec<u8>)> {
        (0..limits::GARBAGE_PER_TICK)
            .map(|_| {
                let mut bytes = if self.seen.is_empty() || self.random.random() {
                    vec![0; self.random.random_range(0..limits::GARBAGE_BYTES_MAX)]
                } else {
                    codec::encode(&*self.seen[self.random.random_range(0..self.seen.len())])
                };
                // All of it, or from somewhere on.
                let from = self.random.random_range(0..=bytes.len());
                self.random.fill_bytes(&mut bytes[from..]);
                (self.other(around), bytes)
            })
            .collect()
    }
}
