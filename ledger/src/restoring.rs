//! Restoring the state from a snapshot, chunk by chunk, through any interruption (DESIGN 5, sync).
//!
//! A row of [`Column::Meta`] says which snapshot is being restored and how far it got. It is written with
//! each chunk, so whoever opens the store goes on at the chunk that was reached. While it is there, the store
//! has no head and no state: what is in the tables of derived rows is half of something. The ledger's head is
//! the checkpoint, which proves what is committed; so an engine above it never goes back, and forgets no vote
//! and no prepared certificate above that height. Nothing is executed meanwhile. The base comes with
//! the last write, and all of it is true then: each chunk was checked against the attested root, from the
//! first hash to the last without a gap.

use daruma_store::{Batch, Class, Column, HEAD, Head};
use daruma_types::codec::{self, Decode, Encode};
use daruma_types::{Checkpoint, Hash, HeadClaim};

use crate::base::{BASE, put_base, put_rows};
use crate::ledger::HeadInfo;
use crate::opening::{self, Depth};
use crate::snapshot::{ChunkFault, Piece, StateChunk};
use crate::tree::StateTree;
use crate::{Ledger, LedgerError, LedgerRepair};

/// The row of [`Column::Meta`] that says what is being restored.
pub(crate) const RESTORING: &[u8] = b"restoring";

/// A snapshot that is being restored.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Restoring {
    /// What the snapshot is checked against.
    pub checkpoint: Checkpoint,
    /// Whether what was there before is gone.
    pub(crate) cleared: bool,
    /// Where the next chunk begins; none if all are there.
    pub(crate) next: Option<Hash>,
}

impl Restoring {
    /// Where the chunk begins that is needed next.
    #[must_use]
    pub fn next(&self) -> Hash {
        self.next.unwrap_or(Hash([0; 32]))
    }
}

/// What became of a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Restored {
    /// Nothing: no snapshot is being restored, or this is not its next chunk.
    NotWanted,
    /// It is none of the snapshot's. Whoever gave it is to blame.
    Refused(ChunkFault),
    /// It is kept; the next one begins here.
    Next(Hash),
    /// It was the last: the ledger stands at the snapshot's height, or above it where it had certified
    /// blocks. What was repaired on the way is told.
    Done(Vec<LedgerRepair>),
}

impl Ledger {
    /// The snapshot that is being restored, if one is.
    #[must_use]
    pub const fn restoring(&self) -> Option<&Restoring> {
        self.restoring.as_ref()
    }

    /// Begins to restore the snapshot of a checkpoint that lies above the head, and above the one that is
    /// being restored. Gives up the own state, and the blocks up to there: the head is the checkpoint from
    /// now on, and blocks above it are executed once all chunks are there. False, and nothing is changed, if
    /// the checkpoint is not true or not above.
    ///
    /// # Errors
    /// That the store failed; then the ledger is to be opened again.
    pub fn restore(&mut self, checkpoint: Checkpoint) -> Result<bool, LedgerError> {
        let height = checkpoint.height();
        let (committee, verifier) = (&self.trust.committee, self.trust.verifier.as_ref());
        if height <= self.head().claim.height || checkpoint.verify(committee, verifier).is_err() {
            return Ok(false);
        }
        let restoring = Restoring { checkpoint, cleared: false, next: Some(Hash([0; 32])) };
        let mut batch = Batch::default();
        batch.put(Column::Meta, RESTORING, codec::encode(&restoring));
        batch.delete(Column::Meta, HEAD);
        batch.delete(Column::Meta, BASE);
        self.store.mend(batch)?;
        self.base = None;
        self.restoring = Some(restoring);
        self.clear_for_restoring()?;
        Ok(true)
    }

    /// Throws away what was there before.
    pub(crate) fn clear_for_restoring(&mut self) -> Result<(), LedgerError> {
        if let Some(restoring) = &self.restoring {
            self.head = head_info(&restoring.checkpoint);
        }
        self.recent.clear();
        self.missing.clear();
        self.tree = StateTree::new();
        for column in Column::ALL.into_iter().filter(|column| column.class() == Class::Derived) {
            opening::clear(self.store.as_ref(), column)?;
        }
        if let Some(restoring) = &mut self.restoring {
            restoring.cleared = true;
            let mut batch = Batch::default();
            batch.put(Column::Meta, RESTORING, codec::encode(restoring));
            self.store.mend(batch)?;
        }
        Ok(())
    }

    /// Takes the chunk that begins at `from`, checks it, and keeps it durably.
    ///
    /// # Errors
    /// That the store failed; the ledger is as it was, or is to be opened again where this was the last
    /// chunk.
    pub fn restore_chunk(&mut self, from: Hash, bytes: &[u8]) -> Result<Restored, LedgerError> {
        let Some(restoring) = &self.restoring else { return Ok(Restored::NotWanted) };
        if restoring.next != Some(from) {
            return Ok(Restored::NotWanted);
        }
        let root = restoring.checkpoint.statement().state_root;
        let piece = match StateChunk::verify(root, from, bytes) {
            Ok(piece) => piece,
            Err(fault) => return Ok(Restored::Refused(fault)),
        };
        let restoring = Restoring { next: piece.next, ..restoring.clone() };
        let mut batch = Batch::default();
        put_piece(piece, &mut batch);
        batch.put(Column::Meta, RESTORING, codec::encode(&restoring));
        self.store.mend(batch)?;
        let next = restoring.next;
        self.restoring = Some(restoring);
        match next {
            Some(next) => Ok(Restored::Next(next)),
            None => Ok(Restored::Done(self.finish_restoring()?)),
        }
    }

    /// All chunks are there: the ledger stands on them.
    pub(crate) fn finish_restoring(&mut self) -> Result<Vec<LedgerRepair>, LedgerError> {
        let Some(Restoring { checkpoint, next: None, .. }) = self.restoring.clone() else {
            return Ok(Vec::new());
        };
        let mut batch = Batch::default();
        put_base(&checkpoint, &mut batch);
        batch.put(Column::Meta, HEAD, codec::encode(&head_of(&checkpoint)));
        batch.delete(Column::Meta, RESTORING);
        self.store.mend(batch)?;
        self.base = Some(checkpoint);
        while self.remove_pruned()? {}
        self.check_again(Depth::Recent)
    }

    /// Stands at the height of a snapshot on the own shelf, whose chunks are all in the store.
    pub(crate) fn stand_at(&self, checkpoint: &Checkpoint) -> Result<(), LedgerError> {
        let mut batch = Batch::default();
        put_rows(checkpoint, &mut batch);
        batch.put(Column::Meta, HEAD, codec::encode(&head_of(checkpoint)));
        self.store.mend(batch)?;
        Ok(())
    }
}

/// The head that a checkpoint is, as a ledger has it.
pub(crate) fn head_info(checkpoint: &Checkpoint) -> HeadInfo {
    let Checkpoint { header, certificate, state } = checkpoint;
    let (height, hash) = (header.height, certificate.hash);
    let claim = HeadClaim { height, hash, certificate: Some(certificate.clone()) };
    HeadInfo { claim, timestamp_ms: header.timestamp_ms, statement: state.statement }
}

/// The head that a checkpoint is, as a store keeps it.
fn head_of(checkpoint: &Checkpoint) -> Head {
    Head {
        height: checkpoint.height(),
        hash: checkpoint.certificate.hash,
        timestamp_ms: checkpoint.header.timestamp_ms,
        statement: *checkpoint.statement(),
    }
}

/// Adds the rows of a chunk.
pub(crate) fn put_piece(piece: Piece, batch: &mut Batch) {
    for (key, value) in piece.entries {
        batch.put(Column::State, key, value);
    }
    for (path, page) in piece.pages {
        batch.put(Column::Tree, path.row_key(), page.encode());
    }
}
