//! Rows in memory, for the simulator and for tests.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::power::{Fate, Power};
use crate::{Backend, Batch, Column, PowerCut, Row, Rows, StoreError, Sync, Tables};

/// A store whose rows live in memory: a simulated disk, which keeps its contents while its owner
/// keeps the store, whatever becomes of the replica. Only the length of the run bounds what it holds.
///
/// Made for single rows: a search of many runs reads and writes them by the million, so they lie in
/// a hash table, and a range is put in order when it is asked for.
pub type MemoryStore = Tables<Memory>;

/// Longest key that lies in its table's own memory: all keys but those of bodies in the journal and
/// of an automaton's long keys.
const SHORT_MAX: usize = 38;

/// A row's key.
#[derive(Clone)]
enum Key {
    /// Its length, and the bytes with zeros behind them.
    Short(u8, [u8; SHORT_MAX]),
    Long(Box<[u8]>),
}

impl Key {
    fn new(bytes: &[u8]) -> Self {
        let mut short = [0; SHORT_MAX];
        match short.get_mut(..bytes.len()) {
            Some(place) => {
                place.copy_from_slice(bytes);
                Self::Short(bytes.len() as u8, short)
            }
            None => Self::Long(bytes.into()),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Short(length, bytes) => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Self::Long(bytes) => bytes,
        }
    }
}

impl Borrow<[u8]> for Key {
    fn borrow(&self) -> &[u8] {
        self.bytes()
    }
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes().hash(state);
    }
}

impl PartialEq for Key {
    fn eq(&self, other: &Self) -> bool {
        self.bytes() == other.bytes()
    }
}

impl Eq for Key {}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.bytes().fmt(f)
    }
}

/// The rows of a column, shared with snapshots and copies until the next write to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Table {
    rows: HashMap<Key, Vec<u8>, BuildHasherDefault<Folding>>,
    /// How often a row that was there was changed or lost.
    replaced: u64,
}

/// All tables, each at its column's number.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Contents([Arc<Table>; Column::COUNT]);

impl Contents {
    fn table(&self, column: Column) -> Option<&Arc<Table>> {
        self.0.get(column as usize)
    }

    fn set(&mut self, column: Column, key: Vec<u8>, value: Option<Vec<u8>>) {
        let Some(table) = self.0.get_mut(column as usize) else { return };
        let table = Arc::make_mut(table);
        let before = match value {
            Some(value) => table.rows.insert(Key::new(&key), value),
            None => table.rows.remove(key.as_slice()),
        };
        table.replaced += u64::from(before.is_some());
    }

    pub(crate) fn apply(&mut self, batch: Batch) {
        for (column, key, value) in batch.into_rows() {
            self.set(column, key, value);
        }
    }
}

/// A quick hash of keys that nobody chooses in order to make them collide: those of a simulated disk.
/// The same in every run, as everything in a simulation must be.
///
/// Most keys end with a height, an index or bytes of a digest. The last eight bytes are taken as they
/// are, so that rows of neighbouring heights are neighbours in memory.
#[derive(Debug, Default)]
struct Folding(u64);

/// 2^64 divided by the golden ratio: odd, and without structure.
const SCATTER: u64 = 0x9e37_79b9_7f4a_7c15;

impl Folding {
    const fn fold(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(SCATTER).rotate_left(29);
    }
}

impl Hasher for Folding {
    fn write(&mut self, bytes: &[u8]) {
        let (front, last) = bytes.split_at(bytes.len().saturating_sub(8));
        for word in front.chunks(8) {
            self.fold(big_endian(word));
        }
        self.0 ^= big_endian(last);
    }

    fn write_usize(&mut self, length: usize) {
        self.fold(length as u64);
    }

    fn finish(&self) -> u64 {
        // The table takes a row's place from the low bits and a mark from the highest seven.
        self.0 ^ (self.0.wrapping_mul(SCATTER) & !(u64::MAX >> 7))
    }
}

/// Up to eight bytes as a number.
fn big_endian(bytes: &[u8]) -> u64 {
    match bytes.first_chunk() {
        Some(word) => u64::from_be_bytes(*word),
        None => bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)),
    }
}

/// The [`Backend`] of [`MemoryStore`].
#[derive(Debug, Default)]
pub struct Memory {
    contents: Mutex<Contents>,
    /// A cut that waits for its write, or has come. Locked after the contents.
    power: Mutex<Option<Power>>,
}

impl Memory {
    fn contents(&self) -> MutexGuard<'_, Contents> {
        // Nothing panics while it holds the lock.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn power(&self) -> MutexGuard<'_, Option<Power>> {
        self.power.lock().unwrap_or_else(PoisonError::into_inner)
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
        Self::over(Memory { contents, power: Mutex::default() })
    }

    /// The keys of a table, in order: what there is to be damaged.
    #[must_use]
    pub fn keys(&self, column: Column) -> Vec<Vec<u8>> {
        let contents = self.backend().contents();
        let rows = contents.table(column).map(|table| &table.rows);
        let keys = rows.into_iter().flat_map(|rows| rows.keys()).map(Key::bytes);
        let mut keys: Vec<Vec<u8>> = keys.map(<[u8]>::to_vec).collect();
        keys.sort_unstable();
        keys
    }

    /// How often a row of a column that was there was changed or lost, by the store's own writes or by
    /// [`Self::damage`]. While this stays as it is, all rows once found are still what they were.
    #[must_use]
    pub fn replaced(&self, column: Column) -> u64 {
        self.backend().contents().table(column).map_or(0, |table| table.replaced)
    }

    /// Changes a row behind the store's back, as a failing disk does; `None` loses it.
    pub fn damage(&self, column: Column, key: &[u8], value: Option<Vec<u8>>) {
        self.backend().contents().set(column, key.to_vec(), value);
        self.reload();
    }

    /// Lets the power go at a write, counted from now on. That write and all after it fail. What is on the
    /// disk then, a [`Self::copy`] shows, as a start does.
    pub fn cut_power(&self, cut: PowerCut) {
        *self.backend().power() = Some(Power::until(cut));
    }

    /// Whether the power of [`Self::cut_power`] went.
    #[must_use]
    pub fn power_is_out(&self) -> bool {
        self.backend().power().as_ref().is_some_and(Power::is_out)
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
        Ok(row.cloned())
    }

    fn scan(
        &self,
        column: Column,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        let Some(table) = self.table(column) else { return Ok(Vec::new()) };
        let rows = table.rows.iter().map(|(key, value)| (key.bytes(), value));
        let mut rows: Vec<(&[u8], &Vec<u8>)> =
            rows.filter(|(key, _)| key.starts_with(prefix) && *key >= from).collect();
        rows.sort_unstable_by_key(|(key, _)| *key);
        rows.truncate(limit);
        Ok(rows.into_iter().map(|(key, value)| (key.to_vec(), value.clone())).collect())
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
    fn write(&self, batch: Batch, sync: Sync) -> Result<(), StoreError> {
        let mut contents = self.contents();
        let fate = match self.power().as_mut() {
            Some(power) => power.fate(&batch, sync, &contents),
            None => Fate::Done,
        };
        match fate {
            Fate::Done => {
                contents.apply(batch);
                return Ok(());
            }
            Fate::DoneUnheard => contents.apply(batch),
            Fate::Lost => {}
            Fate::LostWith(kept) => *contents = *kept,
        }
        Err(StoreError::Failed {
            act: "write",
            column: Column::Meta,
            key: String::new(),
            why: "the power is lost".into(),
        })
    }

    fn snapshot(&self) -> Box<dyn Rows + '_> {
        Box::new(self.contents().clone())
    }
}
