//! Disks at an arbitrary start: those of an earlier moment, and those with damaged rows.

use std::sync::Arc;

use daruma_store::{Column, MemoryStore};
use rand::Rng;
use rand::seq::{IndexedMutRandom, IndexedRandom};
use rand_chacha::ChaCha8Rng;

use super::World;
use super::forged_rows::{forged, stranger};
use crate::DiskFaults;
use crate::random::{Purpose, stream};

/// How many tables a simulated disk has: those up to the quarantine. The others are written by a node's
/// driver, which is not simulated; damage to their rows, of which there are none, would only change what
/// a seed means.
const TABLES: usize = Column::Quarantine as usize + 1;

impl World<'_> {
    /// Replaces and damages disks of correct replicas, which crash for it. Gives them; they are to be
    /// started again. `history` has each replica's disk at some moments.
    pub(super) fn spoil_disks(
        &mut self,
        faults: DiskFaults,
        correct: &[usize],
        history: &[Vec<MemoryStore>],
    ) -> Vec<usize> {
        let mut random = stream(self.plan.seed, Purpose::Disks);
        let random = &mut random;
        let old: Vec<usize> = correct.iter().copied().take(faults.old).collect();
        let damaged: Vec<usize> = if faults.rows > 0 {
            correct.iter().rev().copied().take(faults.damaged).collect()
        } else {
            Vec::new()
        };
        let mut spoiled: Vec<usize> = [old.as_slice(), &damaged].concat();
        spoiled.sort_unstable();
        spoiled.dedup();
        for replica in spoiled.iter().copied() {
            (self.replicas[replica].transient, self.replicas[replica].tainted) = (true, true);
            self.crash(replica);
        }
        for replica in old {
            let disk = history.get(replica).and_then(|disks| disks.choose(random));
            let disk = disk.map_or_else(MemoryStore::new, MemoryStore::copy);
            self.trace.of(self.now_us, self.replicas[replica].id, || {
                "has the disk of an earlier moment".to_owned()
            });
            self.replicas[replica].store = Arc::new(disk);
        }
        // What another disk has under a key, one that was not damaged before it was looked at.
        let sound: Vec<MemoryStore> = self.replicas.iter().map(|r| r.store.copy()).collect();
        for replica in damaged {
            let own = history.get(replica).map_or(&[][..], Vec::as_slice);
            // Some faults of a disk strike one table only.
            let only = random.random_bool(0.3).then(|| pick(&Column::ALL[..TABLES], random));
            for _ in 0..faults.rows {
                let column = only.unwrap_or_else(|| pick(&Column::ALL[..TABLES], random));
                self.damage(replica, column, &sound, own, random);
            }
        }
        spoiled
    }

    /// One act of damage to one table of one disk.
    fn damage(
        &mut self,
        replica: usize,
        column: Column,
        sound: &[MemoryStore],
        earlier: &[MemoryStore],
        random: &mut ChaCha8Rng,
    ) {
        let id = self.replicas[replica].id;
        let store = Arc::clone(&self.replicas[replica].store);
        let keys = store.keys(column);
        if random.random_bool(0.03) {
            self.trace.of(self.now_us, id, || format!("loses all {}", column.name()));
            keys.iter().for_each(|key| store.damage(column, key, None));
            return;
        }
        if random.random_bool(0.1) {
            if let Some((key, row)) = stranger(column, &store, &self.committee, random) {
                self.trace.of(self.now_us, id, || {
                    format!("has one more row of {}: {}", column.name(), name(&key))
                });
                store.damage(column, &key, Some(row));
            }
            return;
        }
        let Some(key) = keys.choose(random) else { return };
        let Some(row) = row_of(&store, column, key) else { return };
        let (what, row) = match random.random_range(0..8) {
            0 => ("is lost", None),
            1 => ("is cut", Some(row[..random.random_range(0..=row.len())].to_vec())),
            2 => ("is changed", Some(flipped(row, random))),
            3 => {
                let other = sound.choose(random).and_then(|other| row_of(other, column, key));
                ("is another replica's", other)
            }
            4 => {
                let other = keys.choose(random).and_then(|other| row_of(&store, column, other));
                ("is another key's", other)
            }
            5 => {
                let old = earlier.choose(random).and_then(|old| row_of(old, column, key));
                ("is an older one", old)
            }
            _ => match forged(column, key, &row, &store, random) {
                Some(forged) => ("is forged", Some(forged)),
                None => ("is changed", Some(flipped(row, random))),
            },
        };
        self.trace.of(self.now_us, id, || format!("{} {}: {what}", column.name(), name(key)));
        store.damage(column, key, row);
    }
}

fn pick<T: Copy>(from: &[T], random: &mut ChaCha8Rng) -> T {
    #[expect(clippy::unwrap_used, reason = "there are tables")]
    from.choose(random).copied().unwrap()
}

fn row_of(store: &MemoryStore, column: Column, key: &[u8]) -> Option<Vec<u8>> {
    daruma_store::Store::row(store, column, key).ok().flatten()
}

/// Up to eight bits of a row change.
fn flipped(mut row: Vec<u8>, random: &mut ChaCha8Rng) -> Vec<u8> {
    for _ in 0..random.random_range(1..=8) {
        if let Some(byte) = row.choose_mut(random) {
            *byte ^= 1 << random.random_range(0..8);
        }
    }
    row
}

/// A key for people: as text if it is, and as bytes if not.
fn name(key: &[u8]) -> String {
    match std::str::from_utf8(key) {
        Ok(text) if text.chars().all(|c| c.is_ascii_graphic()) => text.to_owned(),
        Ok(_) | Err(_) => key.iter().map(|byte| format!("{byte:02x}")).collect(),
    }
}
