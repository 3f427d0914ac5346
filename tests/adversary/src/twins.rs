//! One identity that runs twice with unmodified code: who talks to which of the two.

use daruma_types::ReplicaId;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::Adversary;

/// Rewrites nothing: both twins run honest code.
pub(crate) struct Untouched;

impl Adversary for Untouched {}

/// Splits the others between the two twins, drawn anew from time to time.
#[derive(Debug)]
pub struct Twins {
    /// Bit of each replica that talks to the second twin.
    second: u64,
    random: ChaCha8Rng,
}

impl Twins {
    /// A first split, decided by `seed`.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        Self { second: random.random(), random }
    }

    /// Which twin, 0 or 1, `peer` hears and is heard by.
    #[must_use]
    pub const fn heard_by(&self, peer: ReplicaId) -> usize {
        (self.second >> (peer.0 % 64) & 1) as usize
    }

    /// Draws another split, once in a while; called at every tick of one of the twins.
    pub fn on_tick(&mut self) {
        if self.random.random_bool(0.02) {
            self.second = self.random.random();
        }
    }
}
