//! Rows in memory, for the simulator and for tests.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::{Backend, Batch, Column, Row, Rows, StoreError, Sync, Tables};

/// A store whose rows live in memory: a simulated disk, which keeps its contents while its owner
/// keeps the store, whatever becomes of the replica. Only the length of the run bounds what it holds.
///
/// Made for single rows: a search of many runs reads and writes them by the million, so they lie in
/// a hash table, and a range is put in order when it is asked for.
pub type MemoryStore = Tables<Memory>;

/// The rows of a column, shared with snapshots and copies until the next write to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Table {
    rows: HashMap<Vec<u8>, Arc<[u8]>, BuildHasherDefault<Folding>>,
    /// How often a row that was there was changed or lost.
    replaced: u64,
}

/// All tables, each at its column's number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Contents([Arc<Table>; Column::COUNT]);

impl Contents {
    fn table(&self, column: Column) -> Option<&Arc<Table>> {
        self.0.get(column as usize)
    }
}

/// A quick hash of keys that nobody chooses in order to make them collide: those of a simulated disk.
/// The same in every run, as everything in a simulation must be.
#[derive(Debug, Default)]
struct Folding(u64);

impl Hasher for Folding {
    fn write(&mut self, bytes: &[u8]) {
        for word in bytes.chunks(8) {
            let mut padded = [0; 8];
            for (to, from) in padded.iter_mut().zip(word) {
                *to = *from;
            }
            self.write_u64(u64::from_le_bytes(padded));
        }
    }

    fn write_u64(&mut self, word: u64) {
        // The high half of the product holds all bits of the word mixed; an odd constant without
        // structure (2^64 divided by the golden ratio).
        let product = u128::from(self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = (product as u64) ^ ((product >> 64) as u64) ^ self.0.rotate_left(29);
    }

    fn write_usize(&mut self, length: usize) {
        self.write_u64(length as u64);
    }

    fn finish(&self) -> u64 {
        self.0.wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

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
        let Some(table) = contents.0.get_mut(column as usize) else { return };
        let table = Arc::make_mut(table);
        let before = match value {
            Some(value) => table.rows.insert(key, value.into()),
            None => table.rows.remove(&key),
        };
        table.replaced += u64::from(before.is_some());
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
        let mut keys: Vec<Vec<u8>> =
            contents.table(column).map(|t| t.rows.keys().cloned().collect()).unwrap_or_default();
        keys.sort_unstable();
        keys
    }

    /// A row as it is, for changing it.
    #[must_use]
    pub fn row(&self, column: Column, key: &[u8]) -> Option<Vec<u8>> {
        self.backend().get(column, key).ok().flatten()
    }

    /// How often a row of a column that was there was changed or lost, by the store's own writes or by
    /// [`Self::damage`]. While this stays as it is, all rows once found are still what they were.
    #[must_use]
    pub fn replaced(&self, column: Column) -> u64 {
        self.backend().contents().table(column).map_or(0, |table| table.replaced)
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
        let row = self.table(column).and_then(|table| table.rows.get(key));
        Ok(row.map(|value| value.to_vec()))
    }

    fn scan(
        &self,
        column: Column,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let Some(table) = self.table(column) else { return Ok(Vec::new()) };
        let within = |key: &[u8]| key.starts_with(prefix) && key >= from;
        let mut rows: Vec<_> = table.rows.iter().filter(|(key, _)| within(key)).collect();
        rows.sort_unstable_by_key(|(key, _)| *key);
        rows.truncate(limit);
        Ok(rows.into_iter().map(|(key, value)| (key.clone(), value.to_vec())).collect())
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
