//! A replica's situation, for people.

use alloc::vec::Vec;

use daruma_types::{
    Ballot, Hash, Height, MonitorReport, ReplicaId, SlotLine, Statement, Summary, View,
};

use crate::{AutomatonState, DetectorState};

/// Where a replica stands. Nothing in the protocol reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    /// What this replica tells its peers.
    pub summary: Summary,
    /// The view.
    pub view: View,
    /// 0 serving, 1 changing.
    pub phase: u8,
    /// The view's primary.
    pub primary: ReplicaId,
    /// The ballot votes are cast in.
    pub ballot: Ballot,
    /// Whether its new-view was adopted.
    pub active: bool,
    /// Height of the committed head.
    pub head: Height,
    /// Its hash.
    pub head_hash: Hash,
    /// What the ledger reported last.
    pub executed: Statement,
    /// All heights up to here are attested by `f+1`.
    pub attested: Height,
    /// The highest accepted height.
    pub tip: Height,
    /// Rank of the highest prepared certificate above the head.
    pub prepared: Option<(Ballot, Height)>,
    /// Heights in flight.
    pub slots: Vec<SlotLine>,
    /// Pending transactions.
    pub pending: usize,
    /// The primary monitoring.
    pub monitor: MonitorReport,
    /// For each replica, tokens of others since its last.
    pub beats: Vec<u32>,
    /// Tokens of the primary without progress.
    pub count: u32,
    /// The factor on the monitoring's thresholds.
    pub patience: u32,
    /// The beat above which the primary is suspected.
    pub beat_limit: u32,
    /// The count above which the primary is suspected.
    pub count_limit: u32,
    /// The token channels: for each replica the counters being sent and last received.
    pub links: Vec<(u64, u64)>,
    /// From whom committed blocks are being fetched.
    pub fetching_from: Option<ReplicaId>,
    /// What is known of all places in the Coordination Automaton, under that view establishment.
    pub automaton: Option<AutomatonState>,
    /// The event-driven failure detector, under the same.
    pub detector: Option<DetectorState>,
    /// Each replica's summary, as last heard; none of this replica's own.
    pub peers: Vec<Option<Summary>>,
}
