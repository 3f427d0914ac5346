//! Writes held back over a state that stays as it is, so that an abort has nothing to undo.

use crate::{State, StateRead};
use alloc::{collections::BTreeMap, vec::Vec};

/// Writes by key, in order of the keys. `None` removes the key.
pub type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// A [`State`] over a base that it only reads. What is written stays here until
/// [`Overlay::into_writes`] hands it over; dropping the overlay is the rollback. Its memory is that of
/// its writes, which the operation's size bounds.
pub struct Overlay<'base> {
    base: &'base dyn StateRead,
    writes: Writes,
}

impl<'base> Overlay<'base> {
    /// An overlay without writes.
    #[must_use]
    pub fn new(base: &'base dyn StateRead) -> Self {
        Self { base, writes: Writes::new() }
    }

    /// The last write to each key that was written, even where the base holds that value already.
    #[must_use]
    pub fn into_writes(self) -> Writes {
        self.writes
    }
}

impl StateRead for Overlay<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        match self.writes.get(key) {
            Some(written) => written.clone(),
            None => self.base.get(key),
        }
    }
}

impl State for Overlay<'_> {
    fn put(&mut self, key: &[u8], value: Vec<u8>) {
        self.writes.insert(key.to_vec(), Some(value));
    }

    fn remove(&mut self, key: &[u8]) {
        self.writes.insert(key.to_vec(), None);
    }
}
