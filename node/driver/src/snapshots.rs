//! The thread that makes snapshots, in the background.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use daruma_ledger::{HeldState, LedgerError, LedgerReader, SnapshotShelf};
use daruma_store::Store;
use daruma_types::{Checkpoint, Height, limits::CHUNK_BYTES};
use tracing::{info, warn};

use crate::limits;

/// How a node keeps snapshots.
#[derive(Clone)]
pub struct Snapshots {
    /// Where they are kept.
    pub shelf: Arc<dyn SnapshotShelf>,
    /// One is made each so many blocks; 0 makes none.
    pub every: u64,
    /// The last so many are kept, 1 at least.
    pub keep: usize,
    /// Bodies of blocks are removed that lie so far below the lowest snapshot; none keeps all.
    pub prune_margin: Option<u64>,
}

/// Asks for a snapshot of the state as it is now. Answered, or dropped, once it is held.
pub(crate) type Make = SyncSender<()>;

/// The executor's end of the thread.
pub(crate) struct Maker {
    pub(crate) every: u64,
    pub(crate) make: SyncSender<Make>,
    /// Set when the executor ends.
    pub(crate) stopped: Arc<AtomicBool>,
}

impl Drop for Maker {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

impl Maker {
    /// Has a snapshot begun if one is due at this height, and waits until the state is held: a moment. One
    /// that is still being made is not disturbed.
    pub(crate) fn executed(&self, height: Height) {
        if self.every == 0 || !height.0.is_multiple_of(self.every) {
            return;
        }
        let (held, is_held) = sync_channel(1);
        if self.make.try_send(held).is_ok() {
            // An error is one of the thread's, which says it itself.
            let _failed = is_held.recv();
        }
    }
}

/// What the thread needs.
pub(crate) struct Making {
    pub(crate) snapshots: Snapshots,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) reader: LedgerReader,
    pub(crate) stopped: Arc<AtomicBool>,
}

impl Making {
    /// Makes snapshots until the executor is gone.
    pub(crate) fn run(&self, makes: &Receiver<Make>) {
        while let Ok(held) = makes.recv() {
            match self.make(held) {
                Ok(Some(height)) => info!(%height, "a snapshot was made"),
                Ok(None) => {}
                Err(failed) => warn!(%failed, "no snapshot was made"),
            }
        }
    }

    fn make(&self, held: Make) -> Result<Option<Height>, LedgerError> {
        let state = HeldState::hold(self.store.as_ref(), &self.reader)?;
        let height = state.height();
        // The executor may be gone.
        let _heard = held.send(());
        let mut pace = Pace::new(&self.stopped);
        let shelf = self.snapshots.shelf.as_ref();
        let writer = state.write(shelf, CHUNK_BYTES, &mut |bytes| pace.handled(bytes))?;
        let Some(checkpoint) = self.checkpoint(height)? else {
            let why = "too few attestations of it came; the next one is not far".into();
            return Err(LedgerError::Snapshot { height, why });
        };
        writer.finish(&checkpoint)?;
        let heights = shelf.heights()?;
        let surplus = heights.len().saturating_sub(self.snapshots.keep.max(1));
        for height in heights.into_iter().take(surplus) {
            shelf.remove(height)?;
        }
        Ok(Some(height))
    }

    /// The checkpoint at a height, once its attestations are there.
    fn checkpoint(&self, height: Height) -> Result<Option<Checkpoint>, LedgerError> {
        let since = Instant::now();
        while since.elapsed() < limits::ATTESTATIONS_WAIT && !self.stopped.load(Ordering::Relaxed) {
            if let Some(checkpoint) = self.reader.checkpoint(height)? {
                return Ok(Some(checkpoint));
            }
            std::thread::sleep(limits::SYNC_PERIOD);
        }
        Ok(None)
    }
}

/// Holds a making to [`limits::SNAPSHOT_BYTES_PER_SECOND`].
struct Pace<'a> {
    since: Instant,
    bytes: u64,
    stopped: &'a AtomicBool,
}

impl<'a> Pace<'a> {
    fn new(stopped: &'a AtomicBool) -> Self {
        Self { since: Instant::now(), bytes: 0, stopped }
    }

    fn handled(&mut self, bytes: usize) -> bool {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        let due_ms = self.bytes.saturating_mul(1000) / limits::SNAPSHOT_BYTES_PER_SECOND;
        let ahead = Duration::from_millis(due_ms).saturating_sub(self.since.elapsed());
        // Not for every row.
        if ahead >= Duration::from_millis(10) {
            std::thread::sleep(ahead);
        }
        !self.stopped.load(Ordering::Relaxed)
    }
}
