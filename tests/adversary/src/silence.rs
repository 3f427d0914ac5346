//! A replica that answers nobody, or only half of the others.

use std::sync::Arc;

use daruma_types::{Message, ReplicaId};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::{Adversary, Surroundings};

pub(crate) struct Silence {
    /// Bit of each replica that is not spoken to.
    unheard: u64,
    /// Whether it returns tokens to those that it does not speak to, as the thesis's
    /// `UNRESPONSIVE_TO_HALF` does.
    returns_tokens: bool,
}

impl Silence {
    pub(crate) fn new(half: bool, mut random: ChaCha8Rng) -> Self {
        if !half {
            return Self { unheard: u64::MAX, returns_tokens: false };
        }
        // The odd ones, as in the thesis, or any half.
        let unheard = if random.random() { 0xaaaa_aaaa_aaaa_aaaa } else { random.random() };
        Self { unheard, returns_tokens: random.random() }
    }
}

impl Adversary for Silence {
    fn outgoing(
        &mut self,
        to: ReplicaId,
        message: Arc<Message>,
        _: &Surroundings<'_>,
    ) -> Vec<Arc<Message>> {
        let unheard = self.unheard >> (to.0 % 64) & 1 == 1;
        let returned = self.returns_tokens && matches!(*message, Message::TokenReturn { .. });
        if unheard && !returned { Vec::new() } else { vec![message] }
    }
}
