//! Who waits for which transaction.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use daruma_rpc_api::Confirmation;
use daruma_types::Hash;
use tokio::sync::oneshot;

/// A bounded registry of those who wait. Nobody in it polls: one task resolves them as blocks are
/// attested.
pub(crate) struct Waiters {
    most: usize,
    inner: Mutex<Registry>,
}

#[derive(Default)]
struct Registry {
    by_name: HashMap<Hash, Vec<(u64, oneshot::Sender<Confirmation>)>>,
    count: usize,
    next_id: u64,
}

/// One who waits. Dropping it takes it out of the registry.
pub(crate) struct Waiting {
    waiters: Arc<Waiters>,
    name: Hash,
    id: u64,
    answer: oneshot::Receiver<Confirmation>,
}

impl Waiters {
    pub(crate) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self { most, inner: Mutex::default() })
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        // Nothing in the critical sections can panic halfway through a change.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers; nothing if there are too many already.
    pub(crate) fn register(self: &Arc<Self>, name: Hash) -> Option<Waiting> {
        let mut registry = self.registry();
        if registry.count >= self.most {
            return None;
        }
        let (sender, answer) = oneshot::channel();
        let id = registry.next_id;
        registry.next_id = id.wrapping_add(1);
        registry.count += 1;
        registry.by_name.entry(name).or_default().push((id, sender));
        Some(Waiting { waiters: Arc::clone(self), name, id, answer })
    }

    /// Whether anyone waits for one of `names`.
    pub(crate) fn any(&self, names: &[Hash]) -> bool {
        let registry = self.registry();
        !registry.by_name.is_empty() && names.iter().any(|name| registry.by_name.contains_key(name))
    }

    pub(crate) fn contains(&self, name: &Hash) -> bool {
        self.registry().by_name.contains_key(name)
    }

    /// All names that are waited for.
    pub(crate) fn names(&self) -> Vec<Hash> {
        self.registry().by_name.keys().copied().collect()
    }

    /// Answers everyone who waits for the confirmed transaction.
    pub(crate) fn resolve(&self, confirmation: &Confirmation) {
        let senders = {
            let mut registry = self.registry();
            let senders = registry.by_name.remove(&confirmation.hash.0).unwrap_or_default();
            registry.count = registry.count.saturating_sub(senders.len());
            senders
        };
        for (_, sender) in senders {
            // One who left in this moment needs no answer.
            let _ = sender.send(confirmation.clone());
        }
    }

    #[cfg(test)]
    fn count(&self) -> usize {
        self.registry().count
    }
}

impl Waiting {
    /// The answer; nothing if the server stops.
    pub(crate) async fn answer(&mut self) -> Option<Confirmation> {
        (&mut self.answer).await.ok()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut registry = self.waiters.registry();
        let Some(waiting) = registry.by_name.get_mut(&self.name) else {
            return;
        };
        let before = waiting.len();
        waiting.retain(|(id, _)| *id != self.id);
        let left = before - waiting.len();
        if waiting.is_empty() {
            registry.by_name.remove(&self.name);
        }
        registry.count = registry.count.saturating_sub(left);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(byte: u8) -> Hash {
        Hash([byte; 32])
    }

    #[tokio::test]
    async fn all_who_wait_for_one_transaction_are_answered_and_the_others_are_not() {
        let waiters = Waiters::new(10);
        let mut first = waiters.register(name(1)).unwrap();
        let mut second = waiters.register(name(1)).unwrap();
        let _other = waiters.register(name(2)).unwrap();
        assert!(waiters.any(&[name(3), name(1)]) && !waiters.any(&[name(3)]));
        waiters.resolve(&Confirmation::pending(name(1)));
        assert_eq!(first.answer().await.unwrap().hash.0, name(1));
        assert_eq!(second.answer().await.unwrap().hash.0, name(1));
        assert_eq!(waiters.names(), [name(2)]);
        drop((first, second));
        assert_eq!(waiters.count(), 1);
    }

    #[test]
    fn the_registry_is_bounded_and_those_who_leave_make_room() {
        let waiters = Waiters::new(2);
        let first = waiters.register(name(1)).unwrap();
        let second = waiters.register(name(1)).unwrap();
        assert!(waiters.register(name(2)).is_none());
        drop(first);
        assert!(waiters.contains(&name(1)));
        let third = waiters.register(name(2)).unwrap();
        assert!(waiters.register(name(3)).is_none());
        drop((second, third));
        assert_eq!(waiters.count(), 0);
        assert!(waiters.names().is_empty());
    }
}
