//! Which transactions this server handed to the node and has not seen executed.

use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use daruma_types::Hash;
use lru::LruCache;

use crate::limits::PENDING_KEPT;

/// The names of transactions that the node accepted lately; the oldest are forgotten first.
pub(crate) struct RecentlyAccepted(Mutex<LruCache<Hash, ()>>);

impl RecentlyAccepted {
    pub(crate) fn new() -> Self {
        let most = NonZeroUsize::new(PENDING_KEPT).unwrap_or(NonZeroUsize::MIN);
        Self(Mutex::new(LruCache::new(most)))
    }

    fn names(&self) -> MutexGuard<'_, LruCache<Hash, ()>> {
        // A cache: whatever a panic elsewhere left in it is good enough.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn insert(&self, name: Hash) {
        self.names().put(name, ());
    }

    pub(crate) fn contains(&self, name: &Hash) -> bool {
        self.names().contains(name)
    }

    pub(crate) fn executed(&self, names: &[Hash]) {
        let mut kept = self.names();
        for name in names {
            kept.pop(name);
        }
    }
}
