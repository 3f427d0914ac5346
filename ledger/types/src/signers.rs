//! A set of replicas as a bitmap.

use crate::codec::{Decode, Encode};
use crate::{ReplicaId, limits};

/// A set of replica ids below [`limits::REPLICAS_MAX`], one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Encode, Decode)]
pub struct SignerSet(pub u64);

impl SignerSet {
    /// The empty set.
    pub const EMPTY: Self = Self(0);

    /// Adds `id`; false if it was there, or cannot be a replica.
    #[inline]
    pub fn insert(&mut self, id: ReplicaId) -> bool {
        if id.index() >= limits::REPLICAS_MAX || self.contains(id) {
            return false;
        }
        self.0 |= 1 << id.0;
        true
    }

    /// Whether `id` is in the set.
    #[inline]
    #[must_use]
    pub const fn contains(self, id: ReplicaId) -> bool {
        id.index() < limits::REPLICAS_MAX && self.0 & (1 << id.0) != 0
    }

    /// How many are in the set.
    #[inline]
    #[must_use]
    pub const fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// Whether nobody is.
    #[inline]
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The members in ascending order.
    #[inline]
    pub fn iter(self) -> impl Iterator<Item = ReplicaId> {
        (0..limits::REPLICAS_MAX as u16).map(ReplicaId).filter(move |id| self.contains(*id))
    }
}

impl FromIterator<ReplicaId> for SignerSet {
    fn from_iter<I: IntoIterator<Item = ReplicaId>>(ids: I) -> Self {
        let mut set = Self::EMPTY;
        for id in ids {
            set.insert(id);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_counts_once_and_one_beyond_the_map_never() {
        let mut set = SignerSet::EMPTY;
        assert!(set.insert(ReplicaId(3)));
        assert!(!set.insert(ReplicaId(3)));
        assert!(!set.insert(ReplicaId(64)));
        assert!(!set.contains(ReplicaId(64)));
        assert_eq!(set.len(), 1);
    }
}
