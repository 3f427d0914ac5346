//! A replica that answers nobody, or only half of the others.

use std::sync::Arc;

use daruma_types::{Message, ReplicaId};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::{Adversary, Surroundings};

pub(crate) struct Silence {
    /// Bit of each replica that is not spoken to.
    unheard: u64,
}

impl Silence {
    pub(crate) fn new(half: bool, mut random: ChaCha8Rng) -> Self {
        Self { unheard: if half { random.random() } else { u64::MAX } }
    }
}

impl Adversary for Silence {
    fn outgoing(
        &mut self,
        to: ReplicaId,
        message: Arc<Message>,
        _: &Surroundings<'_>,
    ) -> Vec<Arc<Message>> {
        if self.unheard >> (to.0 % 64) & 1 == 1 { Vec::new() } else { vec![message] }
    }
}
