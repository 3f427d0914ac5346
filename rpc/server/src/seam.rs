//! What the node gives to the server, and what the server gives to the node. Plain data.

use std::fmt;
use std::sync::Arc;

use daruma_automaton_api::DynAutomaton;
use daruma_chainspec::ChainSpec;
use daruma_ledger::LedgerReader;
use daruma_types::{Hash, Header, Height, ReplicaId, StateCertificate, Summary, Transaction};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// Everything that the server needs of a node.
#[derive(Clone)]
pub struct Backend {
    /// The chain.
    pub spec: Arc<ChainSpec>,
    /// The node.
    pub node: NodeIdentity,
    /// The executed chain.
    pub ledger: LedgerReader,
    /// The chain's automaton.
    pub automaton: Arc<dyn DynAutomaton>,
    /// Where clients' transactions go. Bounded by the node; when it is full, clients are refused.
    pub submissions: mpsc::Sender<Submission>,
    /// Where the node stands, replaced as it moves.
    pub status: watch::Receiver<Arc<StatusSnapshot>>,
    /// What the ledger did. A server that is too slow for it reads the ledger instead.
    pub events: broadcast::Sender<LedgerEvent>,
    /// The other replicas, asked when a client asks.
    pub peers: Arc<dyn Fn() -> Vec<PeerInfo> + Send + Sync>,
    /// Makes a backup of the store, in a place of the node's choice. May block.
    pub backup: Arc<dyn Fn() -> Result<BackupMade, BackupRefused> + Send + Sync>,
    /// How far the scrubber is; with a value it is paused or resumed before.
    pub scrub: Arc<dyn Fn(Option<bool>) -> ScrubState + Send + Sync>,
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backend").field("node", &self.node).finish_non_exhaustive()
    }
}

/// How far the scrubber is, which looks through the ledger for damage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ScrubState {
    /// Whether it stands still until it is resumed.
    pub paused: bool,
    /// The number of the pass since the start, from 1.
    pub pass: u64,
    /// The table looked at; empty between two passes.
    pub table: String,
    /// The height looked at.
    pub height: u64,
    /// Rows looked at since the start.
    pub rows: u64,
    /// Rows looked at in a second, over this pass.
    pub rows_per_second: u64,
    /// What was found and repaired since the start.
    pub findings: u64,
    /// When the last pass ended, in ms since 1970.
    pub last_pass_ms: Option<u64>,
    /// How long it took, in ms.
    pub last_pass_took_ms: u64,
}

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupMade {
    /// Its folder.
    pub path: String,
    /// The last executed height in it, or a lower one.
    pub height: Height,
    /// The block there, as text.
    pub block_hash: String,
    /// Root of the state after it, as text.
    pub state_root: String,
    /// When it was made, in ms since 1970.
    pub at_ms: u64,
}

/// Why no backup was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BackupRefused {
    /// One is being made, or there are as many as may be.
    NotNow {
        /// What to do.
        reason: String,
    },
    /// The disk refused.
    Failed {
        /// What it said.
        reason: String,
    },
}

/// Who the node is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeIdentity {
    /// Its name in the chainspec.
    pub name: String,
    /// Its id in the chainspec.
    pub replica: ReplicaId,
    /// The program's version.
    pub version: String,
}

/// A client's transaction on its way to the engine. The node verifies signature, size and operation,
/// compares the nonce with the ledger, hands it to the engine, and answers.
#[derive(Debug)]
pub struct Submission {
    /// The transaction. Its operation is not longer than the chain allows; nothing else is checked.
    pub transaction: Transaction,
    /// Where the answer goes. Nobody may be waiting any more.
    pub answer: oneshot::Sender<Result<Accepted, Refused>>,
}

/// A transaction that was taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It is new, and now pending.
    Pending,
    /// It was pending already.
    AlreadyKnown,
}

/// Why a transaction was not taken up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// The operation does not decode.
    Malformed {
        /// What is wrong with it.
        reason: String,
    },
    /// The signature does not verify.
    BadSignature,
    /// The operation is too long.
    TooLarge {
        /// Bytes allowed.
        max: usize,
    },
    /// The automaton's admission refuses the operation.
    Rejected {
        /// The automaton's code.
        code: u32,
        /// Why, for people.
        reason: String,
    },
    /// The client has executed this or a larger nonce.
    StaleNonce {
        /// Its last executed nonce.
        last: u64,
    },
    /// Too many transactions are pending.
    PoolFull {
        /// When to try again, in ms.
        retry_after_ms: u64,
    },
    /// Too many transactions of this client are pending.
    ClientQueueFull {
        /// How many may be.
        max: usize,
        /// When to try again, in ms.
        retry_after_ms: u64,
    },
    /// The node does not take transactions now.
    NotReady {
        /// Why not.
        reason: String,
    },
}

/// What the ledger did.
#[derive(Debug, Clone)]
pub enum LedgerEvent {
    /// A block was executed and is durable.
    Executed {
        /// Its header.
        header: Header,
        /// Its hash.
        hash: Hash,
        /// The names of its transactions, in order.
        transactions: Arc<[Hash]>,
    },
    /// Blocks were given up for another certified chain, which only more than `f` faulty replicas can
    /// make necessary: what comes next is executed again from there.
    Truncated {
        /// The head before.
        from: Height,
        /// The head now.
        to: Height,
    },
    /// Events were lost on the way here: the ledger knows what they told.
    Missed {
        /// How many.
        count: u64,
    },
    /// At least `f+1` verified attestations of a block were collected.
    Attested {
        /// They.
        certificate: StateCertificate,
        /// The names of the block's transactions, in order.
        transactions: Arc<[Hash]>,
    },
}

/// Where a node stands. Made by the driver from the engine's summary and counters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusSnapshot {
    /// The engine's own summary.
    pub summary: Summary,
    /// Heights that valid certificates show above the last executed one.
    pub behind: u64,
    /// Transactions in the pool.
    pub pending: usize,
    /// Why the node is not ready; empty when it is.
    pub not_ready: Vec<String>,
    /// The failure detector.
    pub detector: DetectorStatus,
    /// The token channels, by replica.
    pub links: Vec<LinkStatus>,
    /// Times that the engine found its own state illegal and repaired it, since the start.
    pub repairs: u64,
    /// The other replicas' summaries, as last heard.
    pub peers: Vec<(ReplicaId, Summary)>,
    /// What was turned away since the start, by kind.
    pub turned_away: Vec<(&'static str, u64)>,
    /// Threads that went on after a panic since the start, and how often.
    pub restarts: Vec<(&'static str, u64)>,
}

/// The failure detector's counters (DESIGN 4.3).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DetectorStatus {
    /// For each replica, tokens received from others since the last from it.
    pub beats: Vec<u64>,
    /// The beat above which a replica counts as unresponsive.
    pub beats_max: u64,
    /// Tokens of the primary since a watched request last progressed.
    pub stalled: u64,
    /// The count above which the primary is suspected.
    pub stalled_max: u64,
    /// Requests watched.
    pub watched: usize,
}

/// One token channel's counters (DESIGN 4.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkStatus {
    /// The other end.
    pub peer: ReplicaId,
    /// The counter being sent.
    pub sending: u64,
    /// The last counter received.
    pub receiving: u64,
}

/// One other replica as the network knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PeerInfo {
    /// Which.
    pub replica: ReplicaId,
    /// Whether there is a connection.
    pub connected: bool,
    /// Messages that wait for it, over all its queues.
    pub queued: usize,
    /// Repeatable messages dropped for it since the start because a queue was full.
    pub dropped: u64,
    /// Bytes sent to it since the start.
    pub sent_bytes: u64,
    /// Bytes received from it since the start.
    pub received_bytes: u64,
}
