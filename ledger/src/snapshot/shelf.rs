//! Where snapshots are kept: in a folder, or in memory.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use daruma_types::{Checkpoint, Hash, Height};

use crate::LedgerError;

/// Keeps the snapshots of one ledger. A snapshot that cannot be read is as good as none: it is removed by
/// whoever finds out, and another one is made in time.
pub trait SnapshotShelf: Send + Sync {
    /// The heights of the snapshots that are whole, the lowest first.
    ///
    /// # Errors
    /// [`LedgerError::Snapshot`] if the folder cannot be read.
    fn heights(&self) -> Result<Vec<Height>, LedgerError>;

    /// What proves the snapshot of this height; none if there is no such snapshot.
    ///
    /// # Errors
    /// [`LedgerError::Snapshot`] if it cannot be read, or is damaged.
    fn checkpoint(&self, height: Height) -> Result<Option<Checkpoint>, LedgerError>;

    /// The chunk that begins at `from`; none if there is no such snapshot or chunk.
    ///
    /// # Errors
    /// [`LedgerError::Snapshot`] if it cannot be read, or is damaged.
    fn chunk(&self, height: Height, from: &Hash) -> Result<Option<Vec<u8>>, LedgerError>;

    /// Chunks of a snapshot, and their bytes; none if there is no such snapshot.
    ///
    /// # Errors
    /// [`LedgerError::Snapshot`] if it cannot be read.
    fn size(&self, height: Height) -> Result<Option<(u64, u64)>, LedgerError>;

    /// Begins a new snapshot, which is there once it is finished.
    ///
    /// # Errors
    /// [`LedgerError::Snapshot`] if there is no room.
    fn begin(&self, height: Height) -> Result<Box<dyn SnapshotWriter>, LedgerError>;

    /// Removes a snapshot, if it is there.
    ///
    /// # Errors
    /// [`LedgerError::Snapshot`] if it cannot be removed.
    fn remove(&self, height: Height) -> Result<(), LedgerError>;
}

/// Takes the chunks of one snapshot, in order.
pub trait SnapshotWriter: Send {
    /// Keeps the chunk that begins at `from`.
    ///
    /// # Errors
    /// [`LedgerError::Snapshot`] if it cannot be written.
    fn chunk(&mut self, from: Hash, bytes: &[u8]) -> Result<(), LedgerError>;

    /// A folder for files that are needed while the chunks are made; without one everything is done in
    /// memory.
    fn scratch(&self) -> Option<&Path>;

    /// Makes the snapshot one that is there, durably. What is dropped before leaves nothing.
    ///
    /// # Errors
    /// [`LedgerError::Snapshot`] if it cannot be written.
    fn finish(self: Box<Self>, checkpoint: &Checkpoint) -> Result<(), LedgerError>;
}

#[derive(Debug, Clone)]
struct Held {
    checkpoint: Checkpoint,
    chunks: BTreeMap<Hash, Vec<u8>>,
}

/// Snapshots in memory, of which copies share what they hold: for the simulator and for tests.
#[derive(Debug, Clone, Default)]
pub struct MemoryShelf(Arc<Mutex<BTreeMap<Height, Held>>>);

impl MemoryShelf {
    fn held(&self) -> MutexGuard<'_, BTreeMap<Height, Held>> {
        // Nothing panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes the bytes of a chunk, as a failing disk does.
    pub fn damage(&self, height: Height, from: &Hash, change: impl FnOnce(&mut Vec<u8>)) {
        let mut held = self.held();
        if let Some(chunk) = held.get_mut(&height).and_then(|held| held.chunks.get_mut(from)) {
            change(chunk);
        }
    }

    /// Where the chunks of a snapshot begin.
    #[must_use]
    pub fn beginnings(&self, height: Height) -> Vec<Hash> {
        self.held()
            .get(&height)
            .map(|held| held.chunks.keys().copied().collect())
            .unwrap_or_default()
    }
}

impl SnapshotShelf for MemoryShelf {
    fn heights(&self) -> Result<Vec<Height>, LedgerError> {
        Ok(self.held().keys().copied().collect())
    }

    fn checkpoint(&self, height: Height) -> Result<Option<Checkpoint>, LedgerError> {
        Ok(self.held().get(&height).map(|held| held.checkpoint.clone()))
    }

    fn chunk(&self, height: Height, from: &Hash) -> Result<Option<Vec<u8>>, LedgerError> {
        Ok(self.held().get(&height).and_then(|held| held.chunks.get(from).cloned()))
    }

    fn size(&self, height: Height) -> Result<Option<(u64, u64)>, LedgerError> {
        Ok(self.held().get(&height).map(|held| {
            let bytes = held.chunks.values().map(|chunk| chunk.len() as u64).sum();
            (held.chunks.len() as u64, bytes)
        }))
    }

    fn begin(&self, height: Height) -> Result<Box<dyn SnapshotWriter>, LedgerError> {
        Ok(Box::new(MemoryWriter { shelf: self.clone(), height, chunks: BTreeMap::new() }))
    }

    fn remove(&self, height: Height) -> Result<(), LedgerError> {
        self.held().remove(&height);
        Ok(())
    }
}

struct MemoryWriter {
    shelf: MemoryShelf,
    height: Height,
    chunks: BTreeMap<Hash, Vec<u8>>,
}

impl SnapshotWriter for MemoryWriter {
    fn chunk(&mut self, from: Hash, bytes: &[u8]) -> Result<(), LedgerError> {
        self.chunks.insert(from, bytes.to_vec());
        Ok(())
    }

    fn scratch(&self) -> Option<&Path> {
        None
    }

    fn finish(self: Box<Self>, checkpoint: &Checkpoint) -> Result<(), LedgerError> {
        let held = Held { checkpoint: checkpoint.clone(), chunks: self.chunks };
        self.shelf.held().insert(self.height, held);
        Ok(())
    }
}
