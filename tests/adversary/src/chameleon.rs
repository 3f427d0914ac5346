//! A replica that changes its behaviour: at every message, or at every few ticks.

use std::sync::Arc;

use daruma_types::{Message, ReplicaId, Transaction};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::{Adversary, Behaviour, Surroundings};

pub(crate) struct Chameleon {
    parts: Vec<Box<dyn Adversary>>,
    current: usize,
    /// Whether each message may be treated in another way.
    restless: bool,
    random: ChaCha8Rng,
}

impl Chameleon {
    pub(crate) fn new(mut random: ChaCha8Rng) -> Self {
        // Neither itself nor the twins, who need a second engine; and to be silent is no change.
        let parts: Vec<_> = Behaviour::ALL
            .into_iter()
            .filter(|b| !matches!(b, Behaviour::Chameleon | Behaviour::Twins | Behaviour::Silent))
            .map(|behaviour| behaviour.adversary(random.random()))
            .collect();
        Self { parts, current: 0, restless: random.random(), random }
    }

    fn part(&mut self) -> Option<&mut Box<dyn Adversary>> {
        if self.restless {
            self.current = self.random.random_range(0..self.parts.len());
        }
        self.parts.get_mut(self.current)
    }
}

impl Adversary for Chameleon {
    fn outgoing(
        &mut self,
        to: ReplicaId,
        message: Arc<Message>,
        around: &Surroundings<'_>,
    ) -> Vec<Arc<Message>> {
        match self.part() {
            Some(part) => part.outgoing(to, message, around),
            None => vec![message],
        }
    }

    fn incoming(
        &mut self,
        from: ReplicaId,
        message: Arc<Message>,
        around: &Surroundings<'_>,
    ) -> Option<Arc<Message>> {
        match self.part() {
            Some(part) => part.incoming(from, message, around),
            None => Some(message),
        }
    }

    fn submitted(&mut self, transactions: Vec<Transaction>) -> Vec<Transaction> {
        match self.part() {
            Some(part) => part.submitted(transactions),
            None => transactions,
        }
    }

    fn on_tick(&mut self, around: &Surroundings<'_>) -> Vec<(ReplicaId, Arc<Message>)> {
        if self.random.random_bool(0.1) {
            self.current = self.random.random_range(0..self.parts.len());
        }
        self.part().map_or_else(Vec::new, |part| part.on_tick(around))
    }

    fn raw(&mut self, around: &Surroundings<'_>) -> Vec<(ReplicaId, Vec<u8>)> {
        self.part().map_or_else(Vec::new, |part| part.raw(around))
    }
}
