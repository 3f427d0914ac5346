//! A replica that sends old messages again: its own, and others' in its own name.

use std::sync::Arc;

use daruma_types::{Message, ReplicaId};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{Adversary, Surroundings, limits};

/// The adversary: sends a sample of all that was ever said, at every tick.
pub struct Replay {
    seen: Vec<Arc<Message>>,
    per_tick: u32,
    random: ChaCha8Rng,
}

impl Replay {
    pub(crate) fn new(mut random: ChaCha8Rng) -> Self {
        Self { seen: Vec::new(), per_tick: random.random_range(1..6), random }
    }

    /// Sends so many of these messages at every tick, and of those that it hears and says itself.
    #[must_use]
    pub fn of(messages: Vec<Arc<Message>>, per_tick: u32, seed: u64) -> Self {
        Self { seen: messages, per_tick, random: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// Keeps a sample of all that was ever said, old and new alike.
    fn remember(&mut self, message: &Arc<Message>) {
        if matches!(**message, Message::Token { .. } | Message::TokenReturn { .. })
            && self.random.random_bool(0.9)
        {
            return;
        }
        if self.seen.len() < limits::REPLAY_MESSAGES_MAX {
            self.seen.push(Arc::clone(message));
        } else if self.random.random_bool(0.1) {
            let place = self.random.random_range(0..self.seen.len());
            self.seen[place] = Arc::clone(message);
        }
    }
}

impl Adversary for Replay {
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
        let others: Vec<ReplicaId> = around.others().collect();
        if self.seen.is_empty() || others.is_empty() {
            return Vec::new();
        }
        (0..self.per_tick)
            .map(|_| {
                let to = others[self.random.random_range(0..others.len())];
                (to, Arc::clone(&self.seen[self.random.random_range(0..self.seen.len())]))
            })
            .collect()
    }
}
