//! A primary that sends tokens, summaries and votes, and never proposes.

use std::sync::Arc;

use daruma_types::{Message, ReplicaId};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::{Adversary, Surroundings};

pub(crate) struct StopAssigning {
    /// Whether it keeps its new-view back as well, so that its ballot never becomes active.
    without_new_view: bool,
}

impl StopAssigning {
    pub(crate) fn new(mut random: ChaCha8Rng) -> Self {
        Self { without_new_view: random.random() }
    }
}

impl Adversary for StopAssigning {
    fn outgoing(
        &mut self,
        _: ReplicaId,
        message: Arc<Message>,
        around: &Surroundings<'_>,
    ) -> Vec<Arc<Message>> {
        let kept_back = match &*message {
            Message::PrePrepare(own) => around.is_primary(own.ballot.0),
            Message::NewView(own) => self.without_new_view && around.is_primary(own.ballot.0),
            _ => false,
        };
        if kept_back { Vec::new() } else { vec![message] }
    }
}
