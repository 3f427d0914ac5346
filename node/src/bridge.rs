//! Between the driver and the RPC server, which know nothing of each other: small tasks that translate.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use daruma_chainspec::ChainSpec;
use daruma_driver::{Counters, DriverEvent, Refused as DriverRefused, Supervisor};
use daruma_engine::{PoolRefusal, Status};
use daruma_ledger::LedgerReader;
use daruma_network::Network;
use daruma_rpc_server::{
    Accepted, BackupMade, BackupRefused, DetectorStatus, LedgerEvent, LinkStatus, PeerInfo,
    Refused, StatusSnapshot, Submission,
};
use daruma_store::RocksStore;
use daruma_types::{Height, ReplicaId, TransactionError};
use tokio::sync::{broadcast, mpsc, watch};

use crate::NodeConfig;
use crate::backup::{self, BackupError};

/// How long a client is told to wait when there is no room, in ms: some blocks' time.
const RETRY_AFTER_MS: u64 = 50;

/// Blocks behind the peers up to which a node counts as ready: what is normally in flight.
const BEHIND_READY_MAX: u64 = 64;

/// How long the engine may be silent before the node says that it is not well: it moves at every tick,
/// and one turn with a slow disk does not take that long.
const STILL_MAX: Duration = Duration::from_secs(3);

/// The shortest time between two snapshots of the status.
const STATUS_PERIOD: Duration = Duration::from_millis(20);

/// Passes clients' transactions on to the driver, and its answers back.
pub(crate) async fn submissions(
    mut from: mpsc::Receiver<Submission>,
    to: mpsc::Sender<daruma_driver::Submission>,
    pending_per_client_max: usize,
) {
    while let Some(Submission { transaction, answer }) = from.recv().await {
        let answer: daruma_driver::Answer = Box::new(move |outcome| {
            let outcome = match outcome {
                Ok(()) => Ok(Accepted::Pending),
                Err(refused) => Err(translate(refused, pending_per_client_max)),
            };
            // Whoever asked may have gone.
            let _gone = answer.send(outcome);
        });
        if to.send(daruma_driver::Submission { transaction, answer }).await.is_err() {
            return;
        }
    }
}

fn translate(refused: DriverRefused, pending_per_client_max: usize) -> Refused {
    match refused {
        DriverRefused::Invalid(TransactionError::TooLarge { max, .. }) => Refused::TooLarge { max },
        DriverRefused::Invalid(TransactionError::Signature { .. }) => Refused::BadSignature,
        DriverRefused::Malformed { reason } => Refused::Malformed { reason },
        DriverRefused::Superseded { last }
        | DriverRefused::Pool(PoolRefusal::Superseded { last }) => Refused::StaleNonce { last },
        DriverRefused::Pool(PoolRefusal::Full { .. }) => {
            Refused::PoolFull { retry_after_ms: RETRY_AFTER_MS }
        }
        DriverRefused::Pool(PoolRefusal::ClientFull { .. }) => {
            Refused::ClientQueueFull { max: pending_per_client_max, retry_after_ms: RETRY_AFTER_MS }
        }
        DriverRefused::Pool(refusal @ PoolRefusal::SameNonce) => {
            Refused::Malformed { reason: refusal.to_string() }
        }
    }
}

/// Passes the driver's events on.
pub(crate) async fn events(
    mut from: broadcast::Receiver<DriverEvent>,
    to: broadcast::Sender<LedgerEvent>,
) {
    loop {
        let event = match from.recv().await {
            Ok(DriverEvent::Executed { header, hash, transactions }) => {
                LedgerEvent::Executed { header, hash, transactions }
            }
            Ok(DriverEvent::Truncated { from, to }) => LedgerEvent::Truncated { from, to },
            Ok(DriverEvent::Attested { certificate, transactions }) => {
                LedgerEvent::Attested { certificate, transactions }
            }
            Err(broadcast::error::RecvError::Lagged(missed)) => {
                LedgerEvent::Missed { count: missed }
            }
            Err(broadcast::error::RecvError::Closed) => return,
        };
        // Nobody may be listening.
        let _unheard = to.send(event);
    }
}

/// Turns the engine's status into the server's, as it moves.
pub(crate) async fn status(
    mut from: watch::Receiver<Arc<Status>>,
    to: watch::Sender<Arc<StatusSnapshot>>,
    view: Health,
) {
    let mut still = false;
    loop {
        let mut snapshot = view.snapshot(&from.borrow_and_update().clone());
        if still {
            // An old picture must not pass for a healthy one.
            snapshot.not_ready.push("the engine does not move".into());
        }
        to.send_replace(Arc::new(snapshot));
        tokio::time::sleep(STATUS_PERIOD).await;
        match tokio::time::timeout(STILL_MAX, from.changed()).await {
            Ok(Ok(())) => still = false,
            Err(_) => still = true,
            Ok(Err(_)) => {
                let mut snapshot = view.snapshot(&from.borrow().clone());
                snapshot.not_ready.push("the engine has stopped".into());
                to.send_replace(Arc::new(snapshot));
                return;
            }
        }
    }
}

/// What a node's health is judged by, beside the engine's status.
#[derive(Clone)]
pub(crate) struct Health {
    pub(crate) spec: Arc<ChainSpec>,
    pub(crate) network: Network,
    pub(crate) counters: Arc<Counters>,
    pub(crate) supervisor: Arc<Supervisor>,
}

impl Health {
    /// The server's picture of `status`.
    pub(crate) fn snapshot(&self, status: &Status) -> StatusSnapshot {
        // The f+1-th highest head of the peers: at least one correct replica has it.
        let mut heads: Vec<u64> = status.peers.iter().flatten().map(|peer| peer.head.0).collect();
        heads.sort_unstable_by(|a, b| b.cmp(a));
        let weak = self.spec.thresholds().weak();
        let shown = heads.get(weak.saturating_sub(1)).copied().unwrap_or(0);
        // While a snapshot is being restored nothing is executed, and the engine's head is the snapshot's.
        let restoring = self.counters.restoring.load(Ordering::Relaxed);
        let executed = if restoring { 0 } else { status.executed.height.0 };
        let behind = shown.max(status.head.0).saturating_sub(executed);
        let links = status.links.iter().enumerate();
        StatusSnapshot {
            summary: status.summary.clone(),
            behind,
            pending: status.pending,
            not_ready: self.not_ready(status, behind),
            detector: DetectorStatus {
                beats: status.beats.iter().copied().map(u64::from).collect(),
                beats_max: status.beat_limit.into(),
                stalled: status.count.into(),
                stalled_max: status.count_limit.into(),
                watched: status.pending,
            },
            links: links
                .map(|(index, (sending, receiving))| LinkStatus {
                    peer: ReplicaId(index as u16),
                    sending: *sending,
                    receiving: *receiving,
                })
                .collect(),
            repairs: self.counters.repairs(),
            peers: status
                .peers
                .iter()
                .enumerate()
                .filter_map(|(index, peer)| Some((ReplicaId(index as u16), peer.clone()?)))
                .collect(),
            turned_away: self.turned_away(),
            restarts: self.supervisor.restarted(),
        }
    }

    fn turned_away(&self) -> Vec<(&'static str, u64)> {
        let network = self.network.counters();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        vec![
            ("unknownKeys", network.refused_unknown_keys),
            ("otherChains", network.other_chains),
            ("failedHandshakes", network.failed_handshakes),
            ("oversizedFrames", network.oversized_frames),
            ("garbageFrames", network.garbage_frames),
            ("refusedMessages", count(&self.counters.refused)),
            ("disbelievedMessages", count(&self.counters.disbelieved)),
            ("contradictoryVotes", count(&self.counters.equivocations)),
            ("conflictingCertificates", count(&self.counters.forks)),
            ("droppedBulk", count(&self.counters.dropped)),
        ]
    }

    fn not_ready(&self, status: &Status, behind: u64) -> Vec<String> {
        let mut reasons = Vec::new();
        if status.phase != 0 {
            reasons.push(format!("view {} is being established", status.view));
        } else if !status.active {
            reasons.push(format!("the new-view of ballot {} is awaited", status.ballot));
        }
        if self.counters.journal_fails.load(Ordering::Relaxed) {
            reasons.push("the journal cannot be written: this replica does not vote".into());
        }
        if self.counters.ledger_fails.load(Ordering::Relaxed) {
            reasons.push("the ledger cannot be written: this replica executes nothing".into());
        }
        if self.counters.restoring.load(Ordering::Relaxed) {
            reasons
                .push("a snapshot is being restored: there is no state to read meanwhile".into());
        }
        for (thread, time) in self.supervisor.stuck() {
            let seconds = time.as_secs();
            reasons.push(format!("the {thread} thread is stuck for {seconds} s"));
        }
        let connected = self.network.peers().iter().filter(|peer| peer.connected).count();
        let needed = self.spec.thresholds().quorum().saturating_sub(1);
        if connected < needed {
            reasons.push(format!("{connected} peers are connected, {needed} are needed"));
        }
        if behind > BEHIND_READY_MAX {
            reasons.push(format!("{behind} blocks behind"));
        }
        reasons
    }
}

/// What makes backups, one at a time.
pub(crate) fn backups(
    config: &NodeConfig,
    store: Arc<RocksStore>,
    reader: LedgerReader,
) -> Arc<dyn Fn() -> Result<BackupMade, BackupRefused> + Send + Sync> {
    let (data, name) = (config.data_dir.clone(), config.name.clone());
    let turn = Mutex::new(());
    Arc::new(move || {
        let Ok(_turn) = turn.try_lock() else {
            return Err(BackupRefused::NotNow { reason: "a backup is being made".into() });
        };
        match backup::make(&data, &name, &store, &reader) {
            Ok((path, about)) => Ok(BackupMade {
                path: std::path::absolute(&path).unwrap_or(path).display().to_string(),
                height: Height(about.height),
                block_hash: about.block_hash,
                state_root: about.state_root,
                at_ms: about.at_ms,
            }),
            Err(full @ BackupError::Full { .. }) => {
                Err(BackupRefused::NotNow { reason: full.to_string() })
            }
            Err(failed) => Err(BackupRefused::Failed { reason: failed.to_string() }),
        }
    })
}

/// The peers as the network knows them.
pub(crate) fn peers(network: &Network) -> Vec<PeerInfo> {
    let peers = network.peers();
    peers
        .iter()
        .map(|peer| PeerInfo {
            replica: peer.id,
            connected: peer.connected,
            queued: peer.queued_frames,
            dropped: peer.dropped_frames,
            sent_bytes: peer.sent_bytes,
            received_bytes: peer.received_bytes,
        })
        .collect()
}
