//! A primary that proposes one block now and then: seldom enough to hurt, often enough to stay.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use daruma_types::{Ballot, Height, Message, ReplicaId};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::{Adversary, Surroundings, limits};

/// The adversary: holds its proposals back, and lets one go now and then.
pub struct SlowPrimary {
    /// Ticks from one proposal to the next. The patience of the others is 40 tokens by default.
    interval_ticks: u32,
    ticks: u32,
    held: BTreeMap<(Ballot, Height, ReplicaId), Arc<Message>>,
    released: BTreeSet<(Ballot, Height)>,
}

impl SlowPrimary {
    pub(crate) fn new(mut random: ChaCha8Rng) -> Self {
        Self {
            interval_ticks: random.random_range(8..48),
            ticks: 0,
            held: BTreeMap::new(),
            released: BTreeSet::new(),
        }
    }
}

impl SlowPrimary {
    /// Lets one height go every so many of its ticks.
    #[must_use]
    pub fn every(interval_ticks: u32) -> Self {
        Self { interval_ticks, ticks: 0, held: BTreeMap::new(), released: BTreeSet::new() }
    }
}

impl Adversary for SlowPrimary {
    fn outgoing(
        &mut self,
        to: ReplicaId,
        message: Arc<Message>,
        around: &Surroundings<'_>,
    ) -> Vec<Arc<Message>> {
        let Message::PrePrepare(own) = &*message else {
            return vec![message];
        };
        let (ballot, height) = (own.ballot, own.block.header.height);
        if !around.is_primary(ballot.0) || self.released.contains(&(ballot, height)) {
            return vec![message];
        }
        if self.held.len() < limits::HELD_MAX {
            self.held.insert((ballot, height, to), message);
        }
        Vec::new()
    }

    fn on_tick(&mut self, _: &Surroundings<'_>) -> Vec<(ReplicaId, Arc<Message>)> {
        self.ticks = self.ticks.saturating_add(1);
        if self.ticks < self.interval_ticks {
            return Vec::new();
        }
        self.ticks = 0;
        let Some(&(ballot, height, _)) = self.held.keys().next() else {
            return Vec::new();
        };
        let slot = (ballot, height, ReplicaId(0))..=(ballot, height, ReplicaId(u16::MAX));
        let told: Vec<_> =
            self.held.range(slot).map(|(key, message)| (*key, Arc::clone(message))).collect();
        if self.released.len() >= limits::HELD_MAX {
            self.released.pop_first();
        }
        self.released.insert((ballot, height));
        told.into_iter()
            .map(|(key, message)| {
                self.held.remove(&key);
                (key.2, message)
            })
            .collect()
    }
}
