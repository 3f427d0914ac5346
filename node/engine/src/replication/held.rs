//! How much the module keeps.

use alloc::collections::VecDeque;

use super::{BODIES_MAX, EARLY_VOTES_MAX, RECENT_HEIGHTS, Replication};
use crate::Held;
use crate::config::ChainLimits;
use daruma_types::limits;

impl Replication {
    /// Counts what is kept.
    pub(crate) fn held(&self) -> Held {
        Held {
            slots: self.slots.len(),
            early_votes: self.early.iter().map(VecDeque::len).sum(),
            bodies: self.bodies.len(),
            decided: self.decided.len(),
            nonces: self.in_flight.len().saturating_add(self.recent.len()),
            ..Held::default()
        }
    }

    /// The most of each that there may be.
    pub(crate) fn held_max(replicas: usize, chain: &ChainLimits) -> Held {
        let window = chain.window.min(limits::WINDOW_MAX);
        let heights = window.saturating_mul(2);
        let blocks = heights.saturating_add(RECENT_HEIGHTS as usize);
        Held {
            // From the head, which may be a window above the executed height, or the other way round.
            slots: heights,
            early_votes: EARLY_VOTES_MAX.saturating_mul(replicas),
            bodies: BODIES_MAX,
            decided: heights,
            nonces: blocks.saturating_mul(chain.block_transactions_max),
            ..Held::default()
        }
    }
}
