//! Rows in memory, for the simulator and for tests.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Backend, Batch, Column, Row, Rows, StoreError, Sync, Tables};

/// A store whose rows live in memory: a simulated disk, which keeps its contents while its owner
/// keeps the store, whatever becomes of the replica. Only the length of the run bounds what it holds.
pub type MemoryStore = Tables<Memory>;

/// The rows of a table, shared with snapshots and copies until the next write to it.
type Table = Arc<BTreeMap<Vec<u8>, Arc<[u8]>>>;

/// The tables that were ever written to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Contents(BTreeMap<Column, Table>);

/// The [`Backend`] of [`MemoryStore`].
#[derive(Debug, Default)]
pub struct Memory {
    contents: Mutex<Contents>,
}

impl Memory {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        // Nothing panics while it holds the lock.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set(contents: &mut Contents, column: Column, key: Vec<u8>, value: Option<Vec<u8>>) {
        let table = Arc::make_mut(contents.0.entry(column).or_default());
        match value {
            Some(value) => table.insert(key, value.into()),
            None => table.remove(&key),
        };
    }
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::over(Memory::default())
    }

    /// A store of its own with the same contents. Costs nothing by itself; the first write to a table
    /// on either side copies that table.
    #[must_use]
    pub fn copy(&self) -> Self {
        let contents = Mutex::new(self.backend().contents().clone());
        Self::over(Memory { contents })
    }

    /// The keys of a table, in order: what there is to be damaged.
    #[must_use]
    pub fn keys(&self, column: Column) -> Vec<Vec<u8>> {
        let contents = self.backend().contents();
        contents.0.get(&column).map(|table| table.keys().cloned().collect()).unwrap_or_default()
    }

    /// Changes a row behind the store's back, as a failing disk does; `None` loses it.
    pub fn damage(&self, column: Column, key: &[u8], value: Option<Vec<u8>>) {
        Memory::set(&mut self.backend().contents(), column, key.to_vec(), value);
        self.reload();
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl Rows for Contents {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.0.get(&column).and_then(|table| table.get(key)).map(|value| value.to_vec()))
    }

    fn scan(
        &self,
        column: Column,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let Some(table) = self.0.get(&column) else {
            return Ok(Vec::new());
        };
        Ok(table
            .range::<[u8], _>((Bound::Included(from.max(prefix)), Bound::Unbounded))
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(limit)
            .map(|(key, value)| (key.clone(), value.to_vec()))
            .collect())
    }
}

impl Rows for Memory {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.contents().get(column, key)
    }

    fn scan(
        &self,
        column: Column,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.contents().scan(column, prefix, from, limit)
    }
}

impl Backend for Memory {
    fn write(&self, batch: Batch, _: Sync) -> Result<(), StoreError> {
        let mut contents = self.contents();
        for (column, key, value) in batch.into_rows() {
            Self::set(&mut contents, column, key, value);
        }
        Ok(())
    }

    fn snapshot(&self) -> Box<dyn Rows + '_> {
        Box::new(self.contents().clone())
    }
}
