//! What an automaton sees of the ledger's key-value map: its own key space, and nothing else
//! (DESIGN 5 and 6).
//!
//! None of these calls returns an error, because an automaton must not be able to react to a bad disk:
//! its reply would differ from that of the other replicas. A host whose store fails answers as if the
//! key were absent, remembers the failure, and throws away everything the automaton did since.

use alloc::vec::Vec;

/// A key with its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// Point reads.
pub trait StateRead {
    /// The value of `key`; `None` if it was never put or has been removed. An empty value is a value.
    fn get(&self, key: &[u8]) -> Option<Vec<u8>>;
}

/// What an operation may do to the state. Reads see the operation's own earlier writes.
pub trait State: StateRead {
    /// Sets `key` to `value`. At most [`crate::limits::KEY_BYTES_MAX`] and
    /// [`crate::limits::VALUE_BYTES_MAX`] bytes.
    fn put(&mut self, key: &[u8], value: Vec<u8>);

    /// Removes `key`; nothing happens if it is absent.
    fn remove(&mut self, key: &[u8]);
}

/// What a query may read: the state after one executed block, unchanging while the query runs.
/// Operations have no `scan`: what they cost must not grow with the state.
pub trait StateView: StateRead {
    /// The entries whose key starts with `prefix` and is not below `from`, in ascending order of the
    /// key's bytes; at most `limit`, and at most [`crate::limits::SCAN_ENTRIES_MAX`]. To go on after a
    /// key, pass that key with a zero byte appended.
    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Vec<Entry>;
}
