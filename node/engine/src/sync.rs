//! Fetching a snapshot: which one, and whom to ask for its chunks (DESIGN 5, sync).
//!
//! A state machine of its own beside the [`crate::Engine`], without I/O and clock like that: it is driven
//! by whoever drives the ledger. The ledger is the witness of what is restored and how far it is; told so at
//! every step, this module remembers only who offered what, and who is to answer. All of it may be wrong:
//! checkpoints and chunks prove themselves to the ledger, and whoever is asked in vain is not asked again
//! before all others were.
//!
//! Offers come in answer to what the engine's catching up asks for: from a peer that pruned the blocks, and
//! from one whose snapshot lies far above them. A snapshot is restored
//!
//! - if it lies at least [`StateSync::new`]'s `leap` above the head, which its checkpoint proves: then it is
//!   had sooner than the blocks;
//! - or if `f+1` peers offered some while the head stood still: one correct replica at least no longer has
//!   the blocks, and nobody gave them. A liar alone cannot make a replica give up its state for a snapshot a
//!   few blocks ahead.
//!
//! Of several heights the one that most peers offer is chosen, then the highest; one that fewer than `f+1`
//! offer only after a while, since it may be that nobody has it who can be relied on. A snapshot that nobody
//! gives any more gives way to a higher one only: its checkpoint is what the replica stands on meanwhile.

#[cfg(feature = "laboratory")]
#[path = "laboratory/sync.rs"]
mod laboratory;
#[cfg(test)]
mod tests;

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use daruma_types::{Checkpoint, Hash, Height, ReplicaId, SignerSet, Thresholds};

/// Ticks to wait for a chunk before another peer is asked.
const ANSWER_TICKS: u32 = 30;

/// Ticks through which the head must have stood still before a snapshot is restored that is not far above
/// it: time to ask all peers for blocks.
const STILL_TICKS: u32 = 20;

/// Ticks through which a snapshot is waited for that `f+1` peers offer, before one of fewer is restored.
const ALONE_TICKS: u32 = 100;

/// Where the ledger stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The last executed height.
    pub head: Height,
    /// The height of the snapshot that is being restored, and where the next chunk begins.
    pub restoring: Option<(Height, Hash)>,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SyncAct {
    /// Begin to restore this snapshot; answered by [`StateSync::on_begun`].
    Restore(Box<Checkpoint>),
    /// Ask a peer for a chunk.
    Want {
        /// The peer.
        to: ReplicaId,
        /// The snapshot's height.
        height: Height,
        /// Where the chunk begins.
        from: Hash,
    },
}

/// The state of fetching snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateSync {
    own: ReplicaId,
    thresholds: Thresholds,
    leap: u64,
    /// What each replica offered last.
    offers: Vec<Option<Box<Checkpoint>>>,
    /// Who was asked for a chunk, and the ticks left to answer.
    asked: Option<(ReplicaId, u32)>,
    /// Whose turn it is.
    turn: usize,
    /// Questions in a row that brought nothing.
    fruitless: u32,
    /// Who was asked in vain, or gave a bad chunk, since all others were.
    shunned: SignerSet,
    /// The head at the last tick, and the ticks since it moved.
    last: Height,
    still: u32,
    /// Ticks since there is an offer far above the head.
    gathered: u32,
}

impl StateSync {
    /// For replica `own`. Snapshots that lie `leap` heights or more above the head are preferred to the
    /// blocks between.
    #[must_use]
    pub fn new(own: ReplicaId, thresholds: Thresholds, leap: u64) -> Self {
        Self {
            own,
            thresholds,
            leap,
            offers: vec![None; thresholds.replicas()],
            asked: None,
            turn: 0,
            fruitless: 0,
            shunned: SignerSet::default(),
            last: Height(0),
            still: 0,
            gathered: 0,
        }
    }

    /// A peer offers its snapshot. The checkpoint was verified.
    pub fn on_offer(&mut self, from: ReplicaId, checkpoint: Box<Checkpoint>) {
        if from == self.own {
            return;
        }
        if let Some(offer) = self.offers.get_mut(from.index()) {
            *offer = Some(checkpoint);
        }
        if self.is_asked(from) {
            // It has another snapshot than the one asked for.
            self.missed(from);
        }
    }

    /// Whether a chunk of this peer's is awaited. Others' are not looked at: checking one takes time.
    #[must_use]
    pub fn is_asked(&self, peer: ReplicaId) -> bool {
        self.asked.is_some_and(|(asked, _)| asked == peer)
    }

    /// Whether the ledger began to restore this snapshot. If not, it has something against it.
    pub fn on_begun(&mut self, checkpoint: &Checkpoint, begun: bool) {
        self.asked = None;
        self.fruitless = 0;
        self.shunned = SignerSet::default();
        if !begun {
            for offer in &mut self.offers {
                if offer.as_deref() == Some(checkpoint) {
                    *offer = None;
                }
            }
        }
    }

    /// The chunk of the peer that was asked is kept: the next one is asked for.
    pub fn on_progress(&mut self, standing: Standing) -> Option<SyncAct> {
        self.asked = None;
        self.fruitless = 0;
        self.ask(standing)
    }

    /// The chunk of this peer was none of the snapshot's: another one is asked.
    pub fn on_refused(&mut self, peer: ReplicaId, standing: Standing) -> Option<SyncAct> {
        self.missed(peer);
        self.ask(standing)
    }

    /// Time passes.
    pub fn tick(&mut self, standing: Standing) -> Option<SyncAct> {
        let replicas = self.thresholds.replicas();
        self.offers.resize(replicas, None);
        for offer in &mut self.offers {
            let restoring = standing.restoring.map(|(height, _)| height);
            let of_use = |offer: &Checkpoint| {
                offer.height() > standing.head || Some(offer.height()) == restoring
            };
            if offer.as_ref().is_some_and(|offer| !of_use(offer)) {
                *offer = None;
            }
        }
        self.still = if standing.head == self.last { self.still.saturating_add(1) } else { 0 };
        self.last = standing.head;
        let far = self.eligible(standing, true).count();
        self.gathered = if far > 0 { self.gathered.saturating_add(1) } else { 0 };
        self.asked = match self.asked {
            Some((peer, 0)) => {
                self.missed(peer);
                None
            }
            Some((peer, ticks)) => Some((peer, ticks.min(ANSWER_TICKS) - 1)),
            None => None,
        };
        match self.choose(standing) {
            Some(checkpoint) => Some(SyncAct::Restore(checkpoint)),
            None => self.ask(standing),
        }
    }

    fn missed(&mut self, peer: ReplicaId) {
        self.asked = None;
        self.fruitless = self.fruitless.saturating_add(1);
        self.shunned.insert(peer);
    }

    /// Offers above the head, or far above it.
    fn eligible(&self, standing: Standing, far: bool) -> impl Iterator<Item = &Checkpoint> {
        let least = if far { self.leap.max(1) } else { 1 };
        let offers = self.offers.iter().flatten().map(|offer| offer.as_ref());
        offers.filter(move |offer| offer.height().0 >= standing.head.0.saturating_add(least))
    }

    /// The snapshot to restore, if another one than now.
    fn choose(&self, standing: Standing) -> Option<Box<Checkpoint>> {
        let weak = self.thresholds.weak();
        let far = self.eligible(standing, true).count() > 0;
        let patient = match standing.restoring {
            None => {
                let stuck =
                    self.still >= STILL_TICKS && self.eligible(standing, false).count() >= weak;
                if !far && !stuck {
                    return None;
                }
                self.gathered.max(self.still) < ALONE_TICKS
            }
            // Nobody has it any more, or whoever does is not reached.
            Some(_) if self.in_vain() => false,
            Some(_) => return None,
        };
        let mut support = BTreeMap::<Height, usize>::new();
        for offer in self.eligible(standing, far && standing.restoring.is_none()) {
            let count = support.entry(offer.height()).or_default();
            *count = count.saturating_add(1);
        }
        let (height, count) =
            support.into_iter().max_by_key(|(height, count)| (*count, *height))?;
        if patient && count < weak {
            return None;
        }
        let mut offers = self.offers.iter().flatten();
        offers.find(|offer| offer.height() == height).cloned()
    }

    /// Whether every peer was asked for the snapshot that is being restored, and none gave anything.
    fn in_vain(&self) -> bool {
        self.fruitless as usize >= self.thresholds.replicas()
    }

    /// Asks the next peer for the next chunk, unless an answer is awaited.
    fn ask(&mut self, standing: Standing) -> Option<SyncAct> {
        let (height, from) = standing.restoring?;
        if self.asked.is_some() {
            return None;
        }
        let peers = || (0..self.thresholds.replicas() as u16).map(ReplicaId);
        let others = || peers().filter(|peer| *peer != self.own);
        if others().all(|peer| self.shunned.contains(peer)) {
            self.shunned = SignerSet::default();
        }
        let offers = |peer: ReplicaId| {
            let offer = self.offers.get(peer.index()).and_then(Option::as_ref);
            offer.is_some_and(|offer| offer.height() == height)
        };
        let willing: Vec<ReplicaId> =
            others().filter(|peer| !self.shunned.contains(*peer)).collect();
        let known: Vec<ReplicaId> = willing.iter().copied().filter(|peer| offers(*peer)).collect();
        let candidates = if known.is_empty() { willing } else { known };
        self.turn = self.turn.wrapping_add(1);
        let to = *candidates.get(self.turn.checked_rem(candidates.len())?)?;
        self.asked = Some((to, ANSWER_TICKS));
        Some(SyncAct::Want { to, height, from })
    }
}
