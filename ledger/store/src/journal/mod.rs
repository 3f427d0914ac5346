//! The journal's rows and rules (DESIGN 4.2, durability).
//!
//! | key | value |
//! |---|---|
//! | `v` | the last view promise |
//! | `f` | the last floor: the ballot below which no vote is cast |
//! | `p` | the highest prepared certificate |
//! | `t`, height | the latest vote at that height |
//! | `b`, height, block hash | the body of a block voted for, or below one that was |
//!
//! [`Marks`] is what the rules compare with; it is kept in memory, so that a promise costs one write
//! and no read.

mod cleaning;

pub use cleaning::{CleanJournal, JournalFault};
pub(crate) use cleaning::{Settled, clean, faults};

use std::collections::BTreeMap;

use daruma_types::{
    Ballot, Block, Certificate, Hash, Height, Promise, RecoveredJournal, View, ViewProof, codec,
    limits::BALLOT_LEAP,
};

use crate::error::{Promised, StoreError};
use crate::limits::BODIES_PER_HEIGHT_MAX;
use crate::{Batch, Column, Recovered, Rows};

const VIEW: &[u8] = b"v";
const FLOOR: &[u8] = b"f";
const PREPARED: &[u8] = b"p";
const VOTES: &[u8] = b"t";
const BODIES: &[u8] = b"b";

fn vote_key(height: Height) -> Vec<u8> {
    [VOTES, &height.0.to_be_bytes()].concat()
}

fn body_key(height: Height, hash: &Hash) -> Vec<u8> {
    [BODIES, &height.0.to_be_bytes(), &hash.0].concat()
}

/// What the recorded promises come to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    view: Option<View>,
    floor: Option<Ballot>,
    prepared: Option<(Ballot, Height, Hash)>,
    votes: BTreeMap<Height, (Ballot, Hash)>,
    /// Bodies on disk, the latest last.
    bodies: BTreeMap<Height, Vec<Hash>>,
}

impl Marks {
    /// The ballot below which no vote is recorded.
    pub(crate) fn floor(&self) -> Ballot {
        self.floor.unwrap_or_default()
    }

    /// The marks of what a restart found.
    pub(crate) fn of(journal: &RecoveredJournal) -> Self {
        let mut bodies: BTreeMap<Height, Vec<Hash>> = BTreeMap::new();
        for block in &journal.blocks {
            bodies.entry(block.header.height).or_default().push(block.hash());
        }
        let rank = |c: &Certificate| (c.ballot, c.height, c.hash);
        Self {
            view: journal.view.as_ref().map(|(view, ..)| *view),
            floor: journal.floor,
            prepared: journal.prepared.as_ref().map(rank),
            votes: journal.votes.iter().map(|(b, height, hash)| (*height, (*b, *hash))).collect(),
            bodies,
        }
    }

    /// Adds to `batch` what records `promise`; nothing if that is on disk. `committed` tells the
    /// hash of the committed block at a height, if there is one.
    pub(crate) fn admit(
        &mut self,
        promise: &Promise,
        committed: impl Fn(Height) -> Result<Option<Hash>, StoreError>,
        batch: &mut Batch,
    ) -> Result<(), StoreError> {
        match promise {
            Promise::View { view, .. } => {
                if let Some(recorded) = self.view.filter(|recorded| view < recorded) {
                    return Err(StoreError::Contradiction {
                        wanted: Promised::View(*view),
                        recorded: Promised::View(recorded),
                    });
                }
            }
            Promise::Floor { ballot } => {
                // One that is far above what comes after it is no execution's: garbage may go.
                let kept = |recorded: &Ballot| {
                    ballot < recorded && recorded.0.saturating_sub(ballot.0) <= BALLOT_LEAP
                };
                if let Some(recorded) = self.floor.filter(kept) {
                    return Err(StoreError::Contradiction {
                        wanted: Promised::Floor(*ballot),
                        recorded: Promised::Floor(recorded),
                    });
                }
            }
            Promise::Prepare { ballot, height, hash, .. } => {
                let refuse = |recorded| {
                    let wanted = Promised::Vote(*ballot, *height, hash.short());
                    Err(StoreError::Contradiction { wanted, recorded })
                };
                if let Some(view) = self.view.filter(|view| *ballot < Ballot::of_view(*view)) {
                    return refuse(Promised::View(view));
                }
                if let Some(floor) = self.floor.filter(|floor| ballot < floor) {
                    return refuse(Promised::Floor(floor));
                }
                if let Some((voted, other)) = self.votes.get(height)
                    && (ballot < voted || (ballot == voted && hash != other))
                {
                    return refuse(Promised::Vote(*voted, *height, other.short()));
                }
                if let Some(block) = committed(*height)?.filter(|block| block != hash) {
                    return refuse(Promised::Committed(*height, block.short()));
                }
            }
            Promise::Prepared { certificate } => {
                let recorded = self.prepared.map(|(ballot, height, _)| (ballot, height));
                if recorded.is_some_and(|recorded| certificate.rank() <= recorded) {
                    return Ok(());
                }
            }
            // Says nothing that could be contradicted.
            Promise::Body { .. } => {}
        }
        self.forget_if_lower(promise, batch);
        self.record(promise, batch);
        Ok(())
    }

    /// Adds to `batch` what records `promise`, whatever is recorded.
    pub(crate) fn repair(&mut self, promise: &Promise, batch: &mut Batch) {
        if let Promise::View { view, .. } = promise
            && self.view.is_some_and(|recorded| *view < recorded)
        {
            self.forget_after(Ballot::of_view(*view), batch);
        }
        self.forget_if_lower(promise, batch);
        self.record(promise, batch);
    }

    /// What was promised above a floor that is lowered was garbage with it.
    fn forget_if_lower(&mut self, promise: &Promise, batch: &mut Batch) {
        if let Promise::Floor { ballot } = promise
            && self.floor.is_some_and(|recorded| *ballot < recorded)
        {
            self.forget_after(*ballot, batch);
        }
    }

    fn record(&mut self, promise: &Promise, batch: &mut Batch) {
        match promise {
            Promise::View { view, phase, proof } => {
                self.view = Some(*view);
                batch.put(Column::Journal, VIEW, codec::encode(&(*view, *phase, proof.clone())));
            }
            Promise::Floor { ballot } => {
                self.floor = Some(*ballot);
                batch.put(Column::Journal, FLOOR, codec::encode(ballot));
            }
            Promise::Prepare { ballot, height, hash, block } => {
                if self.votes.insert(*height, (*ballot, *hash)) != Some((*ballot, *hash)) {
                    let vote = codec::encode(&(*ballot, *hash));
                    batch.put(Column::Journal, vote_key(*height), vote);
                }
                self.keep_body(*height, *hash, block, batch);
            }
            Promise::Prepared { certificate } => {
                self.prepared = Some((certificate.ballot, certificate.height, certificate.hash));
                batch.put(Column::Journal, PREPARED, codec::encode(certificate));
            }
            Promise::Body { block } => {
                self.keep_body(block.header.height, block.hash(), block, batch);
            }
        }
    }

    fn keep_body(&mut self, height: Height, hash: Hash, block: &Block, batch: &mut Batch) {
        let bodies = self.bodies.entry(height).or_default();
        let known = bodies.len();
        bodies.retain(|body| *body != hash);
        if bodies.len() == known {
            batch.put(Column::Journal, body_key(height, &hash), codec::encode(block));
        }
        bodies.push(hash);
        while bodies.len() > BODIES_PER_HEIGHT_MAX {
            let voted = self.votes.get(&height).map(|(_, voted)| *voted);
            let prepared = self.prepared.map(|(.., prepared)| prepared);
            let needed = |body: &Hash| Some(*body) == voted || Some(*body) == prepared;
            let oldest = bodies.iter().position(|body| !needed(body)).unwrap_or(0);
            batch.delete(Column::Journal, body_key(height, &bodies.remove(oldest)));
        }
    }

    fn forget_after(&mut self, last: Ballot, batch: &mut Batch) {
        self.votes.retain(|height, (ballot, _)| {
            let stays = *ballot <= last;
            if !stays {
                batch.delete(Column::Journal, vote_key(*height));
            }
            stays
        });
        if self.prepared.is_some_and(|(ballot, ..)| ballot > last) {
            self.prepared = None;
            batch.delete(Column::Journal, PREPARED);
        }
    }

    /// Adds to `batch` the end of everything but view and floor.
    pub(crate) fn forget(&mut self, batch: &mut Batch) {
        for height in self.votes.keys() {
            batch.delete(Column::Journal, vote_key(*height));
        }
        for (height, bodies) in &self.bodies {
            for hash in bodies {
                batch.delete(Column::Journal, body_key(*height, hash));
            }
        }
        batch.delete(Column::Journal, PREPARED);
        *self = Self { view: self.view, floor: self.floor, ..Self::default() };
    }

    /// Adds to `batch` the end of votes and bodies up to `height`, which is committed.
    pub(crate) fn settle(&self, height: Height, batch: &mut Batch) {
        for settled in self.votes.range(..=height).map(|(height, _)| *height) {
            batch.delete(Column::Journal, vote_key(settled));
        }
        for (settled, bodies) in self.bodies.range(..=height) {
            for hash in bodies {
                batch.delete(Column::Journal, body_key(*settled, hash));
            }
        }
    }

    /// Does in memory what [`Self::settle`] does on disk.
    pub(crate) fn settled(&mut self, height: Height) {
        self.votes = self.votes.split_off(&height.next());
        self.bodies = self.bodies.split_off(&height.next());
    }
}

/// Reads what can be read.
pub(crate) fn recover(rows: &dyn Rows) -> Recovered {
    let mut found = Recovered::default();
    let dropped = &mut found.dropped;
    found.journal.view = one::<(View, u8, ViewProof)>(rows, VIEW, dropped);
    found.journal.floor = one::<Ballot>(rows, FLOOR, dropped);
    found.journal.prepared = one::<Certificate>(rows, PREPARED, dropped);
    for (key, value) in range(rows, VOTES, dropped) {
        match (height_in(&key), codec::decode::<(Ballot, Hash)>(&value)) {
            (Some(height), Ok((ballot, hash))) if key == vote_key(height) => {
                found.journal.votes.push((ballot, height, hash));
            }
            _ => *dropped += 1,
        }
    }
    for (key, value) in range(rows, BODIES, dropped) {
        match codec::decode::<Block>(&value) {
            Ok(block) if key == body_key(block.header.height, &block.hash()) => {
                found.journal.blocks.push(block.into());
            }
            Ok(_) | Err(_) => *dropped += 1,
        }
    }
    found
}

fn one<T: codec::Decode<()>>(rows: &dyn Rows, key: &[u8], dropped: &mut u64) -> Option<T> {
    let read = rows.get(Column::Journal, key).map(|value| value.map(|v| codec::decode(&v)));
    match read {
        Ok(None) => None,
        Ok(Some(Ok(value))) => Some(value),
        Ok(Some(Err(_))) | Err(_) => {
            *dropped += 1;
            None
        }
    }
}

fn range(rows: &dyn Rows, prefix: &[u8], dropped: &mut u64) -> Vec<crate::Row> {
    rows.scan(Column::Journal, prefix, prefix, usize::MAX).unwrap_or_else(|_| {
        *dropped += 1;
        Vec::new()
    })
}

/// The height in the key of a vote.
fn height_in(key: &[u8]) -> Option<Height> {
    let bytes = key.get(VOTES.len()..)?.first_chunk::<8>()?;
    Some(Height(u64::from_be_bytes(*bytes)))
}
