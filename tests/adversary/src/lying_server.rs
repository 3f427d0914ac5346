//! A replica that others must not catch up from: it claims a height that it does not have, or hides the
//! one it has, and answers requests for blocks with forged, endless, oversized or disordered ones.

use std::sync::Arc;

use daruma_types::{CertifiedBlock, Hash, Height, Message, ReplicaId, limits as hard};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::forged;
use crate::{Adversary, Surroundings, limits};

/// How it answers a request for blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// A correct prefix, then forged blocks up to what was asked for.
    ForgedSuffix,
    /// The same blocks again and again, unasked.
    Endless,
    /// More blocks than a message may hold.
    Oversized,
    /// In another order, or with one left out.
    Disordered,
    /// Nothing, and nothing more.
    Empty,
    /// True blocks under others' certificates.
    Swapped,
}

impl Answer {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::ForgedSuffix,
        Self::Endless,
        Self::Oversized,
        Self::Disordered,
        Self::Empty,
        Self::Swapped,
    ];
}

/// The adversary: lies to those who catch up, and about its height.
pub struct LyingServer {
    /// The one way to answer; a new one each time if none.
    always: Option<Answer>,
    /// Whether it now claims a height above its own; otherwise one below.
    high: bool,
    sayings: Vec<(ReplicaId, Arc<Message>)>,
    random: ChaCha8Rng,
}

impl LyingServer {
    pub(crate) fn new(mut random: ChaCha8Rng) -> Self {
        let always =
            random.random_bool(0.5).then(|| Answer::ALL[random.random_range(0..Answer::ALL.len())]);
        Self { always, high: true, sayings: Vec::new(), random }
    }

    /// Answers in this way only. Its height is first too high, and then, from time to time as `seed`
    /// decides, too low.
    #[must_use]
    pub fn with(answer: Answer, seed: u64) -> Self {
        let random = ChaCha8Rng::seed_from_u64(seed);
        Self { always: Some(answer), high: true, sayings: Vec::new(), random }
    }

    fn blocks(
        &mut self,
        to: ReplicaId,
        honest: &[CertifiedBlock],
        around: &Surroundings<'_>,
    ) -> Vec<Arc<Message>> {
        let answer = self
            .always
            .unwrap_or_else(|| Answer::ALL[self.random.random_range(0..Answer::ALL.len())]);
        let mut blocks = honest.to_vec();
        match answer {
            Answer::ForgedSuffix => {
                blocks.truncate(self.random.random_range(0..=blocks.len()));
                if blocks.is_empty() {
                    let from = honest.first().map_or(Height(1), |block| block.certificate.height);
                    blocks.push(forged::block_at(from, Hash::default(), around));
                }
                while blocks.len() < hard::FETCH_BLOCKS_MAX {
                    let Some(last) = blocks.last() else { break };
                    let next = forged::block_above(&last.block.header, around);
                    blocks.push(next);
                }
            }
            Answer::Endless => {
                let again = Arc::new(Message::Blocks(blocks.clone()));
                while self.sayings.len() < limits::SAYINGS_MAX / 4 {
                    self.sayings.push((to, Arc::clone(&again)));
                }
            }
            Answer::Oversized => {
                while !honest.is_empty() && blocks.len() <= hard::FETCH_BLOCKS_MAX {
                    blocks.extend_from_slice(honest);
                }
            }
            Answer::Disordered => {
                blocks.reverse();
                blocks.pop();
            }
            Answer::Empty => blocks.clear(),
            Answer::Swapped => {
                let certificates: Vec<_> =
                    honest.iter().rev().map(|b| b.certificate.clone()).collect();
                for (block, certificate) in blocks.iter_mut().zip(certificates) {
                    block.certificate = certificate;
                }
            }
        }
        vec![Arc::new(Message::Blocks(blocks))]
    }
}

impl Adversary for LyingServer {
    fn outgoing(
        &mut self,
        to: ReplicaId,
        message: Arc<Message>,
        around: &Surroundings<'_>,
    ) -> Vec<Arc<Message>> {
        match &*message {
            Message::Blocks(honest) => self.blocks(to, honest, around),
            Message::StateCertificates(honest) => {
                let forged = honest.iter().map(|certificate| {
                    let mut statement = certificate.statement;
                    statement.state_root = Hash::default();
                    forged::state_certificate(statement, around)
                });
                vec![Arc::new(Message::StateCertificates(forged.collect()))]
            }
            Message::SnapshotChunk { height, from, chunk } => {
                let (mut height, from, mut chunk) = (*height, *from, chunk.clone());
                match self.random.random_range(0..4) {
                    0 => return Vec::new(),
                    1 => height = height.next(),
                    2 => chunk.truncate(chunk.len() / 2),
                    _ => {
                        let place = self.random.random_range(0..chunk.len().max(1));
                        if let Some(byte) = chunk.get_mut(place) {
                            *byte ^= 1 << self.random.random_range(0..8);
                        }
                    }
                }
                vec![Arc::new(Message::SnapshotChunk { height, from, chunk })]
            }
            Message::Body(block) => {
                let other = forged::block_above(&block.header, around);
                vec![Arc::new(Message::Body(other.block))]
            }
            Message::Summary(honest) => {
                let mut summary = honest.clone();
                if self.high {
                    summary.head = summary.head.plus(1000);
                    summary.executed = summary.executed.plus(1000);
                    summary.attested = summary.attested.plus(1000);
                } else {
                    summary.head = Height(0);
                    summary.executed = Height(0);
                    summary.attested = Height(0);
                }
                vec![Arc::new(Message::Summary(summary))]
            }
            _ => vec![message],
        }
    }

    fn incoming(
        &mut self,
        from: ReplicaId,
        message: Arc<Message>,
        around: &Surroundings<'_>,
    ) -> Option<Arc<Message>> {
        // Its engine answers nothing for heights that it does not have.
        if let Message::Fetch { from: first, .. } = &*message
            && around.summary.is_some_and(|summary| *first > summary.executed)
            && self.sayings.len() < limits::SAYINGS_MAX
        {
            let mut blocks = vec![forged::block_at(*first, Hash::default(), around)];
            while blocks.len() < 4 {
                let Some(last) = blocks.last() else { break };
                let next = forged::block_above(&last.block.header, around);
                blocks.push(next);
            }
            self.sayings.push((from, Arc::new(Message::Blocks(blocks))));
        }
        Some(message)
    }

    fn on_tick(&mut self, _: &Surroundings<'_>) -> Vec<(ReplicaId, Arc<Message>)> {
        if self.random.random_bool(0.01) {
            self.high = !self.high;
        }
        std::mem::take(&mut self.sayings)
    }
}
