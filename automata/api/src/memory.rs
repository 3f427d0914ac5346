//! A state in memory, for the tests of automata.

use crate::{Entry, Overlay, State, StateRead, StateView, Writes, limits::SCAN_ENTRIES_MAX};
use alloc::{collections::BTreeMap, vec::Vec};
use core::ops::Bound;

/// An automaton's key space in a map. It behaves as the ledger's does, rollback included; only proofs
/// and the disk are missing. Unbounded: its owner decides what goes in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryState {
    entries: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl MemoryState {
    /// The empty state: what every automaton starts from.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// All entries, in order of the keys.
    pub fn entries(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.entries.iter().map(|(key, value)| (key.as_slice(), value.as_slice()))
    }

    /// Makes `writes` part of the state.
    pub fn commit(&mut self, writes: Writes) {
        for (key, value) in writes {
            match value {
                Some(value) => self.entries.insert(key, value),
                None => self.entries.remove(&key),
            };
        }
    }

    /// Runs `act` and keeps its writes if it succeeds. If it fails, the state is as it was: the ledger
    /// treats an abort in the same way.
    ///
    /// # Errors
    /// The error of `act`.
    pub fn transact<T, E>(
        &mut self,
        act: impl FnOnce(&mut dyn State) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut overlay = Overlay::new(self);
        let outcome = act(&mut overlay)?;
        let writes = overlay.into_writes();
        self.commit(writes);
        Ok(outcome)
    }
}

impl StateRead for MemoryState {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.entries.get(key).cloned()
    }
}

impl State for MemoryState {
    fn put(&mut self, key: &[u8], value: Vec<u8>) {
        self.entries.insert(key.to_vec(), value);
    }

    fn remove(&mut self, key: &[u8]) {
        self.entries.remove(key);
    }
}

impl StateView for MemoryState {
    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Vec<Entry> {
        // Keys with the prefix are one run of the map, and none of them is below the prefix itself.
        let start = from.max(prefix);
        self.entries
            .range::<[u8], _>((Bound::Included(start), Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit.min(SCAN_ENTRIES_MAX))
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn holding(keys: &[&[u8]]) -> MemoryState {
        let mut state = MemoryState::new();
        for key in keys {
            state.put(key, key.to_vec());
        }
        state
    }

    fn scanned(state: &MemoryState, prefix: &[u8], from: &[u8], limit: usize) -> Vec<Vec<u8>> {
        state.scan(prefix, from, limit).into_iter().map(|(key, _)| key).collect()
    }

    #[test]
    fn a_scan_gives_the_keys_of_a_prefix_from_a_key_on_in_order() {
        let state = holding(&[b"b", b"a", b"aa", b"ab", b"\xff\xff"]);
        assert_eq!(scanned(&state, b"a", b"", 9), [&b"a"[..], b"aa", b"ab"]);
        assert_eq!(scanned(&state, b"a", b"aa", 9), [b"aa", b"ab"]);
        assert_eq!(scanned(&state, b"a", b"aa\0", 9), [b"ab"]);
        assert_eq!(scanned(&state, b"a", b"", 2), [&b"a"[..], b"aa"]);
        assert_eq!(scanned(&state, b"a", b"b", 9), Vec::<Vec<u8>>::new());
        assert_eq!(scanned(&state, b"\xff", b"", 9), [b"\xff\xff"]);
        assert_eq!(scanned(&state, b"", b"", 9).len(), 5);
    }

    #[test]
    fn a_scan_never_gives_more_than_its_bound() {
        let mut state = MemoryState::new();
        for number in 0..=u32::try_from(SCAN_ENTRIES_MAX).unwrap() {
            state.put(&number.to_be_bytes(), vec![]);
        }
        assert_eq!(state.scan(b"", b"", usize::MAX).len(), SCAN_ENTRIES_MAX);
    }

    #[test]
    fn a_success_keeps_its_writes_and_a_failure_keeps_none() {
        let mut state = holding(&[b"a", b"b"]);
        let before = state.clone();
        let act = |state: &mut dyn State| {
            state.remove(b"a");
            state.put(b"b", vec![1]);
            state.put(b"c", vec![2]);
            (state.get(b"a"), state.get(b"b"), state.get(b"c"))
        };
        let seen = (None, Some(vec![1]), Some(vec![2]));
        assert_eq!(state.transact(|state| Err::<(), _>(act(state))), Err(seen.clone()));
        assert_eq!(state, before);
        assert_eq!(state.transact(|state| Ok::<_, ()>(act(state))), Ok(seen));
        assert_eq!(
            state.entries().collect::<Vec<_>>(),
            [(&b"b"[..], &[1][..]), (&b"c"[..], &[2][..])]
        );
    }
}
