//! State sync on the executing thread: it alone knows what is restored, and writes it. And serving
//! snapshots to peers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;
use daruma_engine::{Standing, StateSync, SyncAct};
use daruma_ledger::{LedgerReader, Restored, SnapshotShelf};
use daruma_network::Network;
use daruma_types::{Checkpoint, Hash, Height, Message, ReplicaId, codec};
use tracing::{error, info, warn};

use crate::executor::{Executor, tell_repairs};
use crate::limits;
use crate::snapshots::{Maker, Snapshots};

/// A chunk as a peer sent it.
pub(crate) struct Chunk {
    pub(crate) sender: ReplicaId,
    pub(crate) height: Height,
    pub(crate) from: Hash,
    pub(crate) bytes: Vec<u8>,
}

/// The peer whose chunk is awaited, for the threads that take messages in: chunks of others are not kept
/// until somebody looks at them, and of this one a single one is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Awaited(Arc<AtomicU64>);

impl Awaited {
    fn set(&self, peer: Option<ReplicaId>) {
        self.0.store(peer.map_or(0, |peer| u64::from(peer.0) + 1), Ordering::Relaxed);
    }

    /// Whether this peer's chunk is awaited; from now on no other is.
    pub(crate) fn take(&self, peer: ReplicaId) -> bool {
        let own = u64::from(peer.0) + 1;
        self.0.compare_exchange(own, 0, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

/// What the executing thread keeps for state sync.
pub(crate) struct Syncing {
    pub(crate) sync: StateSync,
    pub(crate) network: Network,
    pub(crate) awaited: Awaited,
    pub(crate) snapshots: Option<Snapshots>,
    pub(crate) maker: Option<Maker>,
    pub(crate) next_tick: Instant,
    /// The lowest snapshot when blocks were pruned last, and whether bodies are left to remove.
    pub(crate) pruned_for: Option<Height>,
    pub(crate) pruning: bool,
}

impl Executor {
    fn standing(&self) -> Standing {
        let restoring = self.ledger.restoring();
        Standing {
            head: self.ledger.head().claim.height,
            restoring: restoring.map(|r| (r.checkpoint.height(), r.next())),
        }
    }

    /// What is to be done now and then.
    pub(crate) fn sync_tick(&mut self) {
        if Instant::now() < self.syncing.next_tick {
            return;
        }
        self.syncing.next_tick = Instant::now() + limits::SYNC_PERIOD;
        if self.syncing.snapshots.is_none() {
            return;
        }
        let standing = self.standing();
        let act = self.syncing.sync.tick(standing);
        self.act(act);
        self.prune();
    }

    /// A peer offers its snapshot, verified at the door.
    pub(crate) fn offered(&mut self, from: ReplicaId, checkpoint: Box<Checkpoint>) {
        self.syncing.sync.on_offer(from, checkpoint);
    }

    fn act(&mut self, act: Option<SyncAct>) {
        match act {
            None => {}
            Some(SyncAct::Want { to, height, from }) => {
                self.syncing.awaited.set(Some(to));
                let message = Message::SnapshotWant { height, from };
                send(&self.syncing.network, to, &message);
            }
            Some(SyncAct::Restore(checkpoint)) => {
                let (before, height) = (self.ledger.head().claim.height, checkpoint.height());
                match self.ledger.restore((*checkpoint).clone()) {
                    Ok(begun) => {
                        self.syncing.sync.on_begun(&checkpoint, begun);
                        if begun {
                            info!(%height, head = %before, "restoring the state from a snapshot");
                            self.changed(before);
                        }
                    }
                    Err(failure) => {
                        error!(%failure, %height, "a snapshot could not be restored");
                        if self.repair(&failure) {
                            self.changed(before);
                        }
                    }
                }
            }
        }
    }

    /// A chunk of the peer that was asked.
    pub(crate) fn chunk(&mut self, chunk: Chunk) {
        let Chunk { sender, height, from, bytes } = chunk;
        let standing = self.standing();
        let wanted = standing.restoring == Some((height, from));
        if !wanted || !self.syncing.sync.is_asked(sender) {
            return;
        }
        let act = match self.ledger.restore_chunk(from, &bytes) {
            Ok(Restored::NotWanted) => None,
            Ok(Restored::Next(_)) => {
                let standing = self.standing();
                self.syncing.sync.on_progress(standing)
            }
            Ok(Restored::Refused(fault)) => {
                warn!(%sender, %height, %fault, "a chunk of a snapshot was refused");
                self.syncing.sync.on_refused(sender, standing)
            }
            Ok(Restored::Done(repairs)) => {
                tell_repairs(&repairs);
                info!(%height, "the state was restored from a snapshot");
                self.door.forget();
                self.unattested.clear();
                self.stand();
                let standing = self.standing();
                self.syncing.sync.on_progress(standing)
            }
            Err(failure) => {
                error!(%failure, "a chunk of a snapshot could not be kept");
                // Asked again, once the disk works; nothing is executed on what may be half done.
                self.unchecked = true;
                None
            }
        };
        self.act(act);
    }

    /// Removes what lies far enough below the lowest snapshot, some blocks at a time.
    fn prune(&mut self) {
        let Some(Snapshots { shelf, prune_margin: Some(margin), .. }) = &self.syncing.snapshots
        else {
            return;
        };
        let lowest = shelf.heights().ok().and_then(|heights| heights.first().copied());
        if lowest.is_some() && lowest != self.syncing.pruned_for {
            let keep_from = lowest.map_or(0, |lowest| lowest.0.saturating_sub(*margin));
            match self.ledger.prune(Height(keep_from)) {
                Ok(_) => (self.syncing.pruned_for, self.syncing.pruning) = (lowest, true),
                Err(failed) => warn!(%failed, "blocks could not be pruned"),
            }
        }
        if self.syncing.pruning {
            match self.ledger.remove_pruned() {
                Ok(more) => self.syncing.pruning = more,
                Err(failed) => warn!(%failed, "pruned blocks could not be removed"),
            }
        }
    }
}

fn send(network: &Network, to: ReplicaId, message: &Message) {
    network.send(to, message.lane(), Bytes::from(codec::encode(message)));
}

/// Peers whose requests for a chunk wait: one of each at a time.
#[derive(Debug, Clone, Default)]
pub(crate) struct Waiting(Arc<AtomicU64>);

impl Waiting {
    /// Notes a request; false if one waits already.
    pub(crate) fn begin(&self, peer: ReplicaId) -> bool {
        let bit = 1_u64.checked_shl(u32::from(peer.0)).unwrap_or(0);
        self.0.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }

    /// It is answered, or dropped.
    pub(crate) fn end(&self, peer: ReplicaId) {
        let bit = 1_u64.checked_shl(u32::from(peer.0)).unwrap_or(0);
        self.0.fetch_and(!bit, Ordering::Relaxed);
    }
}

/// Serves snapshots to peers.
pub(crate) struct Shelves<'a> {
    pub(crate) shelf: Option<&'a dyn SnapshotShelf>,
    pub(crate) network: &'a Network,
}

impl Shelves<'_> {
    /// Offers the last snapshot to a peer that asked for blocks from `from` on, if they are no longer here
    /// or it had better take the snapshot. True if they are no longer here.
    pub(crate) fn offer(&self, to: ReplicaId, from: Height, reader: &LedgerReader) -> bool {
        let pruned = reader.expect_kept(from).is_err();
        let far = || {
            let head = reader.head().map_or(Height(0), |head| head.statement.height);
            head.0.saturating_sub(from.0) >= limits::SNAPSHOT_LEAP
        };
        if pruned || far() {
            let least = if pruned { from } else { from.plus(limits::SNAPSHOT_LEAP) };
            self.send_last(to, least);
        }
        pruned
    }

    fn send_last(&self, to: ReplicaId, least: Height) {
        let Some(shelf) = self.shelf else { return };
        let last = shelf.heights().ok().and_then(|heights| heights.last().copied());
        let Some(height) = last.filter(|last| *last >= least) else { return };
        match shelf.checkpoint(height) {
            Ok(Some(checkpoint)) => {
                send(self.network, to, &Message::SnapshotOffer(Box::new(checkpoint)));
            }
            Ok(None) => {}
            Err(damage) => self.drop_damaged(height, &damage),
        }
    }

    /// Sends a chunk, or what there is instead.
    pub(crate) fn send_chunk(&self, to: ReplicaId, height: Height, from: Hash) {
        let Some(shelf) = self.shelf else { return };
        match shelf.chunk(height, &from) {
            Ok(Some(chunk)) => {
                send(self.network, to, &Message::SnapshotChunk { height, from, chunk });
            }
            Ok(None) => self.send_last(to, Height(0)),
            Err(damage) => {
                self.drop_damaged(height, &damage);
                self.send_last(to, Height(0));
            }
        }
    }

    fn drop_damaged(&self, height: Height, damage: &daruma_ledger::LedgerError) {
        warn!(%damage, "a damaged snapshot is removed");
        if let Some(shelf) = self.shelf
            && let Err(failed) = shelf.remove(height)
        {
            warn!(%failed, "it could not be removed");
        }
    }
}
