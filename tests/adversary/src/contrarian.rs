//! A replica that votes for every proposal in both steps at once, and for blocks that nobody made.

use std::sync::Arc;

use daruma_types::{Message, ReplicaId, VoteKind};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::fork::signed_vote;
use crate::{Adversary, Surroundings, limits};

pub(crate) struct Contrarian {
    random: ChaCha8Rng,
    sayings: Vec<(ReplicaId, Arc<Message>)>,
}

impl Contrarian {
    pub(crate) fn new(random: ChaCha8Rng) -> Self {
        Self { random, sayings: Vec::new() }
    }
}

impl Adversary for Contrarian {
    fn incoming(
        &mut self,
        _: ReplicaId,
        message: Arc<Message>,
        around: &Surroundings<'_>,
    ) -> Option<Arc<Message>> {
        let slot = match &*message {
            Message::PrePrepare(theirs) => {
                Some((theirs.ballot, theirs.block.header.height, theirs.block.hash()))
            }
            Message::Vote(vote) => Some((vote.ballot, vote.height, vote.hash)),
            _ => None,
        };
        if let Some((ballot, height, hash)) = slot {
            for to in around.others() {
                for kind in [VoteKind::Prepare, VoteKind::Commit] {
                    if self.sayings.len() >= limits::SAYINGS_MAX {
                        break;
                    }
                    let mut hash = hash;
                    if self.random.random_bool(0.3) {
                        hash.0[0] ^= self.random.random::<u8>();
                    }
                    let vote = signed_vote(kind, ballot, height, hash, around);
                    self.sayings.push((to, Arc::new(vote)));
                }
            }
        }
        Some(message)
    }

    fn on_tick(&mut self, _: &Surroundings<'_>) -> Vec<(ReplicaId, Arc<Message>)> {
        std::mem::take(&mut self.sayings)
    }
}
