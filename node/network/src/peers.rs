//! What is known of each peer: who it is, what waits for it, how its connection is. Shared by the
//! handles, the task that owns the swarm, and the streams.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use daruma_types::{Lane, ReplicaId};
use libp2p::PeerId;

use crate::config::{Checked, NetworkSettings};
use crate::events::ReceiveBudget;
use crate::limits::ERROR_TEXT_BYTES_MAX;
use crate::queue::SendQueue;

/// How one peer's connection is, for health and metrics. Counts are since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerStatus {
    /// The peer.
    pub id: ReplicaId,
    /// Its address, as configured.
    pub address: String,
    /// Whether frames reach it.
    pub connected: bool,
    /// For how long, when connected.
    pub connected_for: Option<Duration>,
    /// Times that it was connected again after the first.
    pub reconnects: u64,
    /// Frames written to its streams.
    pub sent_frames: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Frames received from it, including those that the consumer has not taken yet.
    pub received_frames: u64,
    /// Their bytes.
    pub received_bytes: u64,
    /// Frames dropped because a queue to it was full, or because they were too large or empty.
    pub dropped_frames: u64,
    /// Frames that wait to be sent to it.
    pub queued_frames: usize,
    /// Their bytes.
    pub queued_bytes: usize,
    /// Why the last connection or dial failed.
    pub last_error: Option<String>,
}

/// Counts of the whole network since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NetworkCounters {
    /// Connections refused because the key is not in the chainspec.
    pub refused_unknown_keys: u64,
    /// Connections refused for other reasons: limits, a peer that just broke the protocol, a connection
    /// that loses to the one in use.
    pub refused_connections: u64,
    /// Inbound connections that did not finish their handshake.
    pub failed_handshakes: u64,
    /// Connections closed because the peer does not know our stream protocols.
    pub other_chains: u64,
    /// Connections closed because of a frame length over the limit.
    pub oversized_frames: u64,
    /// Connections closed because the consumer reported garbage, see
    /// [`crate::Network::report_garbage`].
    pub garbage_frames: u64,
    /// Connections closed because the peer opened a stream twice.
    pub repeated_streams: u64,
    /// Frames sent to all peers.
    pub sent_frames: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Frames received from all peers.
    pub received_frames: u64,
    /// Their bytes.
    pub received_bytes: u64,
}

/// A number that only grows.
#[derive(Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, more: u64) {
        self.0.fetch_add(more, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counts that belong to no peer.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) refused_unknown_keys: Count,
    pub(crate) refused_connections: Count,
    pub(crate) failed_handshakes: Count,
    pub(crate) other_chains: Count,
    pub(crate) oversized_frames: Count,
    pub(crate) garbage_frames: Count,
    pub(crate) repeated_streams: Count,
}

/// One lane of one peer.
pub(crate) struct PeerLane {
    pub(crate) queue: SendQueue,
    pub(crate) budget: ReceiveBudget,
}

pub(crate) struct Peer {
    pub(crate) id: ReplicaId,
    pub(crate) key: PeerId,
    pub(crate) address: String,
    votes: PeerLane,
    bulk: PeerLane,
    /// The number of the newest connection.
    connections: AtomicU64,
    pub(crate) sent_frames: Count,
    pub(crate) sent_bytes: Count,
    pub(crate) received_frames: Count,
    pub(crate) received_bytes: Count,
    pub(crate) dropped_frames: Count,
    link: Mutex<LinkStatus>,
}

#[derive(Default)]
struct LinkStatus {
    since: Option<Instant>,
    connects: u64,
    last_error: Option<String>,
}

impl Peer {
    pub(crate) const fn lane(&self, lane: Lane) -> &PeerLane {
        match lane {
            Lane::Votes => &self.votes,
            Lane::Bulk => &self.bulk,
        }
    }

    /// Numbers a new connection, and leaves the queues to it.
    pub(crate) fn new_connection(&self) -> u64 {
        let number = self.connections.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        self.votes.queue.leave_to(number);
        self.bulk.queue.leave_to(number);
        number
    }

    pub(crate) fn connected(&self) {
        let mut link = self.link();
        link.since = Some(Instant::now());
        link.connects = link.connects.saturating_add(1);
    }

    pub(crate) fn disconnected(&self) {
        self.link().since = None;
    }

    pub(crate) fn failed(&self, mut error: String) {
        let cut = (0..=ERROR_TEXT_BYTES_MAX).rev().find(|at| error.is_char_boundary(*at));
        error.truncate(cut.unwrap_or(0).min(error.len()));
        self.link().last_error = Some(error);
    }

    fn link(&self) -> MutexGuard<'_, LinkStatus> {
        // Nothing between lock and unlock can panic half way.
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn status(&self) -> PeerStatus {
        let depths = [self.votes.queue.depth(), self.bulk.queue.depth()];
        let link = self.link();
        PeerStatus {
            id: self.id,
            address: self.address.clone(),
            connected: link.since.is_some(),
            connected_for: link.since.map(|since| since.elapsed()),
            reconnects: link.connects.saturating_sub(1),
            sent_frames: self.sent_frames.get(),
            sent_bytes: self.sent_bytes.get(),
            received_frames: self.received_frames.get(),
            received_bytes: self.received_bytes.get(),
            dropped_frames: self.dropped_frames.get(),
            queued_frames: depths.iter().map(|(frames, _)| frames).sum(),
            queued_bytes: depths.iter().map(|(_, bytes)| bytes).sum(),
            last_error: link.last_error.clone(),
        }
    }
}

/// All peers, in the order of the configuration; fixed at the start. An index into it is how the rest of
/// the crate names a peer.
pub(crate) struct Peers {
    pub(crate) own: ReplicaId,
    pub(crate) settings: NetworkSettings,
    pub(crate) counters: Counters,
    all: Vec<Arc<Peer>>,
    by_id: HashMap<ReplicaId, usize>,
    by_key: HashMap<PeerId, usize>,
}

impl Peers {
    pub(crate) fn new(own: ReplicaId, settings: NetworkSettings, checked: &Checked) -> Self {
        let lane = |lane| {
            let bounds = settings.lane(lane);
            PeerLane {
                queue: SendQueue::new(bounds.queue_frames_max, bounds.queue_bytes_max),
                budget: ReceiveBudget::new(bounds),
            }
        };
        let all: Vec<Arc<Peer>> = checked
            .peers
            .iter()
            .map(|(config, key)| {
                Arc::new(Peer {
                    id: config.id,
                    key: *key,
                    address: config.address.clone(),
                    votes: lane(Lane::Votes),
                    bulk: lane(Lane::Bulk),
                    connections: AtomicU64::default(),
                    sent_frames: Count::default(),
                    sent_bytes: Count::default(),
                    received_frames: Count::default(),
                    received_bytes: Count::default(),
                    dropped_frames: Count::default(),
                    link: Mutex::default(),
                })
            })
            .collect();
        let by_id = all.iter().enumerate().map(|(index, peer)| (peer.id, index)).collect();
        let by_key = all.iter().enumerate().map(|(index, peer)| (peer.key, index)).collect();
        Self { own, settings, counters: Counters::default(), all, by_id, by_key }
    }

    pub(crate) fn all(&self) -> &[Arc<Peer>] {
        &self.all
    }

    pub(crate) fn by_id(&self, id: ReplicaId) -> Option<(usize, &Arc<Peer>)> {
        let index = *self.by_id.get(&id)?;
        Some((index, self.all.get(index)?))
    }

    pub(crate) fn by_key(&self, key: &PeerId) -> Option<(usize, &Arc<Peer>)> {
        let index = *self.by_key.get(key)?;
        Some((index, self.all.get(index)?))
    }

    pub(crate) fn status(&self) -> Vec<PeerStatus> {
        self.all.iter().map(|peer| peer.status()).collect()
    }

    pub(crate) fn counters(&self) -> NetworkCounters {
        let sum = |count: fn(&Peer) -> &Count| self.all.iter().map(|peer| count(peer).get()).sum();
        NetworkCounters {
            refused_unknown_keys: self.counters.refused_unknown_keys.get(),
            refused_connections: self.counters.refused_connections.get(),
            failed_handshakes: self.counters.failed_handshakes.get(),
            other_chains: self.counters.other_chains.get(),
            oversized_frames: self.counters.oversized_frames.get(),
            garbage_frames: self.counters.garbage_frames.get(),
            repeated_streams: self.counters.repeated_streams.get(),
            sent_frames: sum(|peer| &peer.sent_frames),
            sent_bytes: sum(|peer| &peer.sent_bytes),
            received_frames: sum(|peer| &peer.received_frames),
            received_bytes: sum(|peer| &peer.received_bytes),
        }
    }
}
