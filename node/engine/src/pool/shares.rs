//! How much of a pool each replica may fill.
//!
//! What a replica takes from its clients it hands to the primary, and it holds against the primary what is
//! not executed then. So it must find room there, however much all the others hand on, and in every pool
//! that it is spread to, or those that took it could not judge the primary either. Each replica therefore
//! has an equal share of every pool. It fills its share with what its clients ask, and the smaller part of it
//! with what others told it and may have kept from the primary.

use crate::config::{Context, LocalLimits};

/// Part of its share that a replica keeps for handing on what others told it: one in so many.
const HANDED_ON_PART: usize = 4;

/// Transactions, and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) count: usize,
    pub(crate) bytes: usize,
}

impl Load {
    /// With one more transaction of so many bytes.
    pub(super) const fn and(self, bytes: usize) -> Self {
        Self { count: self.count.saturating_add(1), bytes: self.bytes.saturating_add(bytes) }
    }

    /// With one less.
    pub(super) const fn without(self, bytes: usize) -> Self {
        Self { count: self.count.saturating_sub(1), bytes: self.bytes.saturating_sub(bytes) }
    }

    /// Both together.
    pub(super) const fn plus(self, other: Self) -> Self {
        Self {
            count: self.count.saturating_add(other.count),
            bytes: self.bytes.saturating_add(other.bytes),
        }
    }

    pub(super) const fn is_within(self, max: Self) -> bool {
        self.count <= max.count && self.bytes <= max.bytes
    }
}

/// The parts of one replica's share of each pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    /// What it takes from its own clients.
    pub(super) own: Load,
    /// What it hands to a primary for others, at one time.
    pub(super) handed_on: Load,
}

impl Share {
    /// Each part has room for one transaction at least, so that a pool smaller than the committee works,
    /// although it may be full before all shares are.
    pub(super) fn of(context: &Context) -> Self {
        let LocalLimits { pending_max, pending_bytes_max, .. } = context.local;
        let replicas = context.thresholds().replicas().max(1);
        let largest = context.largest_transaction();
        let parts = |all: usize, least: usize| {
            let share = all.checked_div(replicas).unwrap_or(all);
            // A single replica has nobody to hand anything to.
            let handed_on = if replicas == 1 { 0 } else { share / HANDED_ON_PART };
            (share.saturating_sub(handed_on).max(least), handed_on.max(least))
        };
        let (own_count, other_count) = parts(pending_max, 1);
        let (own_bytes, other_bytes) = parts(pending_bytes_max, largest);
        Self {
            own: Load { count: own_count, bytes: own_bytes },
            handed_on: Load { count: other_count, bytes: other_bytes },
        }
    }

    /// What others keep for this replica.
    pub(super) const fn all(&self) -> Load {
        self.own.plus(self.handed_on)
    }
}
