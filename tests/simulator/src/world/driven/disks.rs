//! The disks of a driven run: looked at, damaged, and exchanged while their replicas are down.

use std::sync::Arc;

use daruma_store::{Column, MemoryStore, Store};
use daruma_types::ReplicaId;

use super::Rig;

impl Rig<'_> {
    /// What a replica's disk holds now.
    #[must_use]
    pub fn disk(&self, id: ReplicaId) -> MemoryStore {
        self.world.replicas[id.index()].store.copy()
    }

    /// All rows of a table on a replica's disk, in order of their keys.
    ///
    /// # Panics
    /// If the disk cannot be read.
    #[must_use]
    #[expect(clippy::unwrap_used, reason = "said in the documentation")]
    pub fn rows(&self, id: ReplicaId, column: Column) -> Vec<(Vec<u8>, Vec<u8>)> {
        self.world.replicas[id.index()].store.rows(column, b"", usize::MAX).unwrap()
    }

    /// Each row of a table on a replica's disk becomes what `change` makes of key and row, or is lost.
    pub fn spoil(
        &mut self,
        id: ReplicaId,
        column: Column,
        mut change: impl FnMut(&[u8], Vec<u8>) -> Option<Vec<u8>>,
    ) {
        let rows = self.rows(id, column);
        let replica = &mut self.world.replicas[id.index()];
        (replica.transient, replica.tainted) = (true, true);
        for (key, row) in rows {
            let changed = change(&key, row.clone());
            if changed.as_ref() != Some(&row) {
                replica.store.damage(column, &key, changed);
            }
        }
    }

    /// A table on a replica's disk is from now on what it is on another disk.
    pub fn transplant(&mut self, id: ReplicaId, column: Column, from: &MemoryStore) {
        self.spoil(id, column, |_, _| None);
        let store = Arc::clone(&self.world.replicas[id.index()].store);
        for key in from.keys(column) {
            store.damage(column, &key, from.row(column, &key).ok().flatten());
        }
    }
}
