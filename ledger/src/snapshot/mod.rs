//! Snapshots of the state at one height, in chunks that each prove themselves (DESIGN 5, sync).
//!
//! A chunk holds all entries below some neighbouring slots of one page of the state tree, in order of
//! their keys' hashes, with the pages that lead there from the root. So it is checked against nothing but
//! the state root that `f+1` replicas attest, alone and in any order; whoever has checked chunks from the
//! first hash to the last without a gap has the whole state, and nothing that is not in it. Where chunks
//! begin and end follows from the state, so the snapshots of all replicas at one height are the same.
//!
//! `docs/state-sync.md` says how they are kept, fetched, and what is pruned.

mod chunk;
mod folder;
mod making;
mod shelf;

use daruma_store::{Snapshot, Store};
use daruma_types::{Checkpoint, Hash, Height, limits::CHUNK_BYTES};

pub use chunk::{CHUNK_BYTES_MAX, ChunkFault};
pub(crate) use chunk::{Piece, StateChunk};
pub use folder::FolderShelf;
use making::Making;
pub use shelf::{MemoryShelf, SnapshotShelf, SnapshotWriter};

use crate::{HeadInfo, LedgerError, LedgerReader};

/// The state after one block, held in the store while the chunks of its snapshot are made.
pub struct HeldState<'a> {
    state: Box<dyn Snapshot + 'a>,
    head: HeadInfo,
}

impl<'a> HeldState<'a> {
    /// Holds the state as it is now.
    ///
    /// # Errors
    /// That the store failed or is damaged; [`LedgerError::Snapshot`] if nothing was executed yet.
    pub fn hold(store: &'a dyn Store, reader: &LedgerReader) -> Result<Self, LedgerError> {
        let state = store.snapshot();
        let head = reader.head_in(state.as_ref())?;
        let height = head.statement.height;
        if height == Height(0) {
            let why = "no block was executed yet".into();
            return Err(LedgerError::Snapshot { height, why });
        }
        Ok(Self { state, head })
    }

    /// The block.
    #[must_use]
    pub const fn height(&self) -> Height {
        self.head.statement.height
    }

    /// Writes the chunks, of up to `chunk_bytes` or else of one entry, to a new snapshot, which is to be
    /// finished with a checkpoint of this height. Replicas that are to serve each other's chunks make them
    /// of one size: [`daruma_types::limits::CHUNK_BYTES`], which is also the most there may be.
    /// `pace` is told of bytes that were handled, and may take its time; where it says false, that is the
    /// end.
    ///
    /// # Errors
    /// [`LedgerError::Damaged`] if state and tree are not those of the head;
    /// [`LedgerError::Snapshot`] if the shelf has no room, or `pace` said false.
    pub fn write(
        self,
        shelf: &dyn SnapshotShelf,
        chunk_bytes: usize,
        pace: &mut dyn FnMut(usize) -> bool,
    ) -> Result<Box<dyn SnapshotWriter>, LedgerError> {
        let height = self.height();
        let mut writer = shelf.begin(height)?;
        let root = self.head.statement.state_root;
        let state = self.state.as_ref();
        let chunk_bytes = chunk_bytes.min(CHUNK_BYTES) as u64;
        let writer_of = writer.as_mut();
        Making { height, root, state, writer: writer_of, chunk_bytes, pace, scratches: 0 }.run()?;
        Ok(writer)
    }
}

/// What a look at a snapshot found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotSize {
    /// Chunks.
    pub chunks: u64,
    /// Bytes of all chunks.
    pub bytes: u64,
    /// Entries of the state.
    pub entries: u64,
}

/// Reads a whole snapshot and checks every chunk of it against its checkpoint.
///
/// # Errors
/// [`LedgerError::Snapshot`] says what is wrong with it; also if the shelf has none of this height.
pub fn verify_snapshot(
    shelf: &dyn SnapshotShelf,
    height: Height,
    trust: &crate::Trust,
) -> Result<SnapshotSize, LedgerError> {
    let mut size = SnapshotSize { chunks: 0, bytes: 0, entries: 0 };
    each_chunk(shelf, height, trust, |piece, bytes| {
        size.chunks += 1;
        size.bytes += bytes as u64;
        size.entries += piece.entries.len() as u64;
        Ok(())
    })?;
    Ok(size)
}

/// Gives every chunk of a snapshot to `take`, checked, in order. Gives the checkpoint.
pub(crate) fn each_chunk(
    shelf: &dyn SnapshotShelf,
    height: Height,
    trust: &crate::Trust,
    mut take: impl FnMut(Piece, usize) -> Result<(), LedgerError>,
) -> Result<Checkpoint, LedgerError> {
    let wrong = |why: String| LedgerError::Snapshot { height, why };
    let Some(checkpoint) = shelf.checkpoint(height)? else {
        return Err(wrong("there is none".into()));
    };
    checkpoint
        .verify(&trust.committee, trust.verifier.as_ref())
        .map_err(|invalid| wrong(format!("its checkpoint: {invalid}")))?;
    let root = checkpoint.statement().state_root;
    let mut next = Some(Hash([0; 32]));
    while let Some(from) = next {
        let Some(bytes) = shelf.chunk(height, &from)? else {
            return Err(wrong(format!("the chunk from {from} is missing")));
        };
        let piece = StateChunk::verify(root, from, &bytes)
            .map_err(|fault| wrong(format!("the chunk from {from}: {fault}")))?;
        next = piece.next;
        take(piece, bytes.len())?;
    }
    Ok(checkpoint)
}
