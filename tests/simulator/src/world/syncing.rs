//! Snapshots, pruning and state sync, as a node's driver does them: made by the ledger's owner at their
//! heights, served to peers, and fetched by [`daruma_engine::StateSync`] beside the engine.

use daruma_engine::{Destination, Standing, StateSync, SyncAct};
use daruma_ledger::{HeldState, LedgerError, Restored, SnapshotShelf};
use daruma_store::Store;
use daruma_types::{Checkpoint, Height, Message, ReplicaId};
use serde::{Deserialize, Serialize};

use super::World;
use crate::Invariant;

/// How the replicas of a run keep snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotSettings {
    /// One is made each so many blocks.
    pub every: u64,
    /// The last so many are kept.
    pub keep: usize,
    /// So many blocks below the lowest are kept; none keeps all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prune_margin: Option<u64>,
    /// Blocks above a head from which on a snapshot is preferred to them.
    pub leap: u64,
    /// Bytes of a chunk, about.
    pub chunk_bytes: usize,
}

impl World<'_> {
    /// The driver's memory of state sync of a replica, which a crash loses.
    pub(super) fn begin_syncing(&mut self, replica: usize) {
        let Some(SnapshotSettings { leap, .. }) = self.plan.snapshots else { return };
        let (id, thresholds) = (self.replicas[replica].id, self.committee.thresholds());
        self.replicas[replica].sync.get_or_insert_with(|| StateSync::new(id, thresholds, leap));
    }

    /// A block was executed: a snapshot may be due.
    pub(super) fn begin_snapshot(&mut self, replica: usize, height: Height) {
        let Some(SnapshotSettings { every, chunk_bytes, .. }) = self.plan.snapshots else { return };
        if !height.0.is_multiple_of(every.max(1)) {
            return;
        }
        let made = &mut self.replicas[replica];
        let Some(running) = &made.running else { return };
        let written = HeldState::hold(made.store.as_ref(), &running.reader)
            .and_then(|held| held.write(made.shelf.as_ref(), chunk_bytes, &mut |_| true));
        match written {
            Ok(writer) => made.unfinished = Some((height, writer)),
            Err(error) => self.ledger_broke(replica, &error),
        }
    }

    /// Attestations are there: a snapshot may be finished, and old ones and their blocks go.
    pub(super) fn finish_snapshot(&mut self, replica: usize) {
        let Some(SnapshotSettings { keep, prune_margin, .. }) = self.plan.snapshots else { return };
        let finished = &mut self.replicas[replica];
        let Some((height, writer)) = finished.unfinished.take() else { return };
        let Some(running) = &mut finished.running else { return };
        let Ok(Some(checkpoint)) = running.reader.checkpoint(height) else {
            finished.unfinished = Some((height, writer));
            return;
        };
        let finish = || -> Result<(), LedgerError> {
            writer.finish(&checkpoint)?;
            let heights = finished.shelf.heights()?;
            let surplus = heights.len().saturating_sub(keep.max(1));
            for height in heights.iter().take(surplus) {
                finished.shelf.remove(*height)?;
            }
            let lowest = heights.get(surplus).copied().unwrap_or_default();
            if let Some(margin) = prune_margin {
                running.ledger.prune(Height(lowest.0.saturating_sub(margin)))?;
                while running.ledger.remove_pruned()? {}
            }
            Ok(())
        };
        match finish() {
            Ok(()) => self.stats.count("snapshot: made"),
            Err(error) => self.ledger_broke(replica, &error),
        }
    }

    fn ledger_broke(&mut self, replica: usize, error: &LedgerError) {
        let what = format!("the ledger of {}: {error}", self.replicas[replica].id);
        self.broken((Invariant::Refused, what));
    }

    pub(super) fn standing(&self, replica: usize) -> Option<Standing> {
        let running = self.replicas[replica].running.as_ref()?;
        let restoring = running.ledger.restoring();
        Some(Standing {
            head: running.ledger.head().claim.height,
            restoring: restoring.map(|r| (r.checkpoint.height(), r.next())),
        })
    }

    /// Time passes for state sync.
    pub(super) fn sync_tick(&mut self, replica: usize) {
        let Some(standing) = self.standing(replica) else { return };
        let Some(sync) = &mut self.replicas[replica].sync else { return };
        let act = sync.tick(standing);
        self.sync_act(replica, act);
    }

    fn sync_act(&mut self, replica: usize, act: Option<SyncAct>) {
        match act {
            None => {}
            Some(SyncAct::Want { to, height, from }) => {
                let want = Message::SnapshotWant { height, from };
                self.send(replica, Destination::One(to), want);
            }
            Some(SyncAct::Restore(checkpoint)) => self.restore(replica, *checkpoint),
        }
    }

    fn restore(&mut self, replica: usize, checkpoint: Checkpoint) {
        let id = self.replicas[replica].id;
        let Some(running) = &mut self.replicas[replica].running else { return };
        let begun = match running.ledger.restore(checkpoint.clone()) {
            Ok(begun) => begun,
            Err(error) => return self.ledger_broke(replica, &error),
        };
        if let Some(sync) = &mut self.replicas[replica].sync {
            sync.on_begun(&checkpoint, begun);
        }
        if begun {
            let height = checkpoint.height();
            let sound = self.checkers.took_over(id, checkpoint.statement());
            self.check(sound);
            self.trace.of(self.now_us, id, || format!("restores the snapshot at {height}"));
            self.stats.count("snapshot: restoring begun");
            self.start_anew(replica);
        }
    }

    /// The engine is made anew, because its ledger stands elsewhere now.
    fn start_anew(&mut self, replica: usize) {
        let anew = &mut self.replicas[replica];
        (anew.incarnation, anew.running) = (anew.incarnation + 1, None);
        anew.unfinished = None;
        self.start(replica);
    }

    /// A message of state sync arrives, admitted at the door. False if it is another.
    #[expect(clippy::wildcard_enum_match_arm, reason = "the others are the engine's")]
    pub(super) fn hear_sync(&mut self, to: usize, from: ReplicaId, message: &Message) -> bool {
        match message {
            Message::SnapshotOffer(checkpoint) => {
                if let Some(sync) = &mut self.replicas[to].sync {
                    sync.on_offer(from, checkpoint.clone());
                }
            }
            Message::SnapshotWant { height, from: first } => {
                let chunk = self.replicas[to].shelf.chunk(*height, first);
                match chunk.ok().flatten() {
                    Some(chunk) => {
                        let (height, first) = (*height, *first);
                        let chunk = Message::SnapshotChunk { height, from: first, chunk };
                        self.send(to, Destination::One(from), chunk);
                    }
                    None => self.offer(to, from, Height(0)),
                }
            }
            Message::SnapshotChunk { height, from: first, chunk } => {
                let Some(standing) = self.standing(to) else { return true };
                let asked = self.replicas[to].sync.as_ref().is_some_and(|s| s.is_asked(from));
                if asked && standing.restoring == Some((*height, *first)) {
                    self.restore_chunk(to, from, *first, chunk);
                }
            }
            _ => return false,
        }
        true
    }

    fn restore_chunk(
        &mut self,
        replica: usize,
        sender: ReplicaId,
        first: daruma_types::Hash,
        chunk: &[u8],
    ) {
        let id = self.replicas[replica].id;
        let Some(running) = &mut self.replicas[replica].running else { return };
        let restored = match running.ledger.restore_chunk(first, chunk) {
            Ok(restored) => restored,
            Err(error) => return self.ledger_broke(replica, &error),
        };
        if let Restored::Done(_) = restored {
            let statement = running.ledger.head().statement;
            self.trace
                .of(self.now_us, id, || format!("restored the state at {}", statement.height));
            self.stats.count("snapshot: restored");
            let sound = self.checkers.took_over(id, &statement);
            self.check(sound);
            self.start_anew(replica);
        }
        let Some(standing) = self.standing(replica) else { return };
        let Some(sync) = &mut self.replicas[replica].sync else { return };
        let act = match restored {
            Restored::NotWanted => None,
            Restored::Next(_) | Restored::Done(_) => sync.on_progress(standing),
            Restored::Refused(_) => {
                let act = sync.on_refused(sender, standing);
                self.stats.count("snapshot: chunk refused");
                if self.replicas[sender.index()].correct {
                    let what = format!("{id} refused a chunk of {sender}, which is correct");
                    self.broken((Invariant::Refused, what));
                }
                act
            }
        };
        self.sync_act(replica, act);
    }

    /// Offers the last snapshot to a peer that asks for blocks from `from` on, if it had better take that
    /// than what is here. True if the blocks are not here any more.
    pub(super) fn offer_instead(&mut self, replica: usize, to: ReplicaId, from: Height) -> bool {
        let Some(SnapshotSettings { leap, .. }) = self.plan.snapshots else { return false };
        let Some(running) = &self.replicas[replica].running else { return false };
        let pruned = running.reader.expect_kept(from).is_err();
        self.offer(replica, to, if pruned { from } else { from.plus(leap) });
        pruned
    }

    fn offer(&mut self, replica: usize, to: ReplicaId, least: Height) {
        let shelf = &self.replicas[replica].shelf;
        let last = shelf.heights().ok().and_then(|heights| heights.last().copied());
        let Some(height) = last.filter(|height| *height >= least) else { return };
        if let Ok(Some(checkpoint)) = shelf.checkpoint(height) {
            let offer = Message::SnapshotOffer(Box::new(checkpoint));
            self.send(replica, Destination::One(to), offer);
        }
    }

    /// The checkpoints of all snapshots that are kept.
    pub(super) fn offered_anywhere(&self) -> Vec<Checkpoint> {
        let shelves = self.replicas.iter().map(|replica| replica.shelf.as_ref());
        let all = shelves.flat_map(|shelf| {
            let heights = shelf.heights().unwrap_or_default().into_iter();
            heights.filter_map(|height| shelf.checkpoint(height).ok().flatten())
        });
        all.collect()
    }

    /// A disk and all that was on it is lost, with what was in memory.
    pub(super) fn lose_disk(&mut self, replica: usize) {
        self.crash(replica);
        let lost = &mut self.replicas[replica];
        lost.store = Default::default();
        lost.shelf = Default::default();
        lost.found = Default::default();
        // What it promised it does not know any more: it counts as faulty from now on.
        (lost.transient, lost.tainted) = (true, true);
        let id = lost.id;
        self.checkers.gave_up(id);
        debug_assert!(self.replicas[replica].store.head().is_ok_and(|head| head.is_none()));
    }
}
