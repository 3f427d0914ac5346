//! Power that goes at a chosen write, for a store in memory: what a crash at every write point is tried
//! with (catalogue C-R03, C-R04, C-D02).

use crate::memory::Contents;
use crate::{Batch, Sync};

/// When the power goes, seen from the write that is under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Before anything of it arrived; what was written before stays, synced or not, as when a process
    /// is killed.
    Before,
    /// In the middle of it. What arrived of a torn batch is told by its checksum and dropped, as a log
    /// that ends in half a record is read up to there. Of writes before it that were not synced, only
    /// the first ones arrived.
    During,
    /// After it is durable, and before the one who wrote hears of that.
    After,
}

impl Moment {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Before, Self::During, Self::After];
}

/// Power that goes at one write; see [`crate::MemoryStore::cut_power`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PowerCut {
    /// So many writes are done before it.
    pub after_writes: u64,
    /// When in the one that follows.
    pub moment: Moment,
    /// How many of the unsynced writes before it arrived, at [`Moment::During`]. What a log keeps of them
    /// is always the first ones.
    pub unsynced_kept: usize,
}

/// What becomes of a write.
pub(crate) enum Fate {
    /// It is done.
    Done,
    /// It is done, and nobody hears of it.
    DoneUnheard,
    /// It is not done.
    Lost,
    /// It is not done, and the rows are these again.
    LostWith(Box<Contents>),
}

/// A cut that waits for its write, or has come.
#[derive(Debug)]
pub(crate) struct Power {
    cut: PowerCut,
    out: bool,
    /// The rows as the last synced write left them, and what was written since.
    unsynced: Option<(Contents, Vec<Batch>)>,
}

impl Power {
    pub(crate) const fn until(cut: PowerCut) -> Self {
        Self { cut, out: false, unsynced: None }
    }

    pub(crate) const fn is_out(&self) -> bool {
        self.out
    }

    /// Decides about a write to `contents`.
    pub(crate) fn fate(&mut self, batch: &Batch, sync: Sync, contents: &Contents) -> Fate {
        if self.out {
            return Fate::Lost;
        }
        if let Some(left) = self.cut.after_writes.checked_sub(1) {
            self.cut.after_writes = left;
            match sync {
                // A log is synced with everything before.
                Sync::Yes => self.unsynced = None,
                Sync::No => {
                    let since = self.unsynced.get_or_insert_with(|| (contents.clone(), Vec::new()));
                    since.1.push(batch.clone());
                }
            }
            return Fate::Done;
        }
        self.out = true;
        match (self.cut.moment, self.unsynced.take()) {
            (Moment::Before, _) | (Moment::During, None) => Fate::Lost,
            (Moment::After, _) => Fate::DoneUnheard,
            (Moment::During, Some((mut kept, since))) => {
                for batch in since.into_iter().take(self.cut.unsynced_kept) {
                    kept.apply(batch);
                }
                Fate::LostWith(Box::new(kept))
            }
        }
    }
}
