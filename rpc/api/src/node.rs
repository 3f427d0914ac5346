//! Answers about a node: its automaton, its own state, its peers and its consensus engine.

use std::collections::BTreeMap;

use daruma_types::{Hash, PublicKey};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{Hex, Number, Scrub};

/// Answer of `rpc_methods`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MethodList {
    /// Every method, sorted by name.
    pub methods: Vec<String>,
}

/// Answer of `app_info`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppInfo {
    /// The automaton's name.
    pub name: String,
    /// Raised when the same operations would give different replies, writes or encodings.
    pub version: u32,
    /// Its parameters in the chainspec.
    pub parameters: Value,
    /// The queries there are.
    pub query_paths: Vec<String>,
    /// Bytes of an operation, at most.
    pub operation_bytes_max: u32,
}

/// Answer of `app_query`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct QueryAnswer {
    /// The automaton's answer. It comes without proof: one node's word.
    pub value: Value,
    /// The height whose state was asked.
    pub height: Number,
    /// Root of that state.
    pub state_root: Hex<Hash>,
}

/// Answer of `node_status`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeStatus {
    /// The chain id.
    pub chain_id: Hex<Hash>,
    /// The chain's name.
    pub chain: String,
    /// The node's name in the chainspec.
    pub node: String,
    /// The node's replica id.
    pub node_id: u16,
    /// Version of the program.
    pub version: String,
    /// The last executed height.
    pub height: Number,
    /// The block executed there; at height 0 the chain id.
    pub block_hash: Hex<Hash>,
    /// Root of the state after it.
    pub state_root: Hex<Hash>,
    /// The view.
    pub view: Number,
    /// 0 serving, 1 changing.
    pub phase: u8,
    /// Name of the view's primary.
    pub primary: String,
    /// Heights that certificates show and that are not executed here yet.
    pub behind: Number,
    /// Replicas connected.
    pub peers_connected: usize,
    /// Transactions pending in the pool.
    pub pending: usize,
    /// Records written to the heal log so far: what was repaired or reset here, restarts included.
    #[serde(default)]
    pub heals: Number,
    /// When the last of them was written, in ms since 1970; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_heal_ms: Option<Number>,
    /// How far the scrubber is; absent from older nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scrub: Option<Scrub>,
}

/// Answer of `node_health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Health {
    /// The process answers.
    pub live: bool,
    /// The node takes transactions and expects to execute them.
    pub ready: bool,
    /// Why not; empty when ready.
    pub reasons: Vec<String>,
    /// Threads that panicked since the start and went on, and how often each: bugs to be reported.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub restarts: BTreeMap<String, Number>,
}

/// One entry of `net_peers`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Peer {
    /// Its replica id.
    pub id: u16,
    /// Its name in the chainspec.
    pub name: String,
    /// Its address in the chainspec.
    pub address: String,
    /// The key its connection is authenticated with.
    pub transport_key: Hex<PublicKey>,
    /// Whether there is a connection.
    pub connected: bool,
    /// Messages that wait for it, over all its queues.
    pub queued: usize,
    /// Repeatable messages dropped for it since the start because a queue was full.
    pub dropped: Number,
    /// Bytes sent to it since the start.
    pub sent_bytes: Number,
    /// Bytes received from it since the start.
    pub received_bytes: Number,
    /// Where it said to stand when last heard; absent if nothing was heard. Its own word.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_heard: Option<PeerStanding>,
}

/// Where a peer said to stand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PeerStanding {
    /// Its view.
    pub view: Number,
    /// 0 serving, 1 changing.
    pub phase: u8,
    /// Name of that view's primary.
    pub primary: String,
    /// Its last executed height.
    pub height: Number,
    /// Root of its state there.
    pub state_root: Hex<Hash>,
    /// Its committed head.
    pub head: Number,
    /// The hash of that.
    pub head_hash: Hex<Hash>,
}

/// Answer of `consensus_state`: the engine as it is, for people and dashboards. Its fields may grow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConsensusState {
    /// The view.
    pub view: Number,
    /// 0 serving, 1 changing.
    pub phase: u8,
    /// Name of the view's primary.
    pub primary: String,
    /// Whose reports for the view are held.
    pub reports: Vec<u16>,
    /// The ballot votes are cast in.
    pub ballot: Number,
    /// Whether the ballot's new-view was adopted.
    pub active: bool,
    /// Height of the committed head.
    pub head: Number,
    /// Hash of the committed head.
    pub head_hash: Hex<Hash>,
    /// The highest executed height.
    pub executed: Number,
    /// The highest height up to which `f+1` attestations are held for every height.
    pub attested: Number,
    /// Rank of the highest prepared certificate above the head: ballot and height.
    pub prepared: Option<(Number, Number)>,
    /// Heights in flight, ascending.
    pub slots: Vec<SlotState>,
    /// The primary monitoring.
    pub monitor: MonitorState,
    /// The failure detector.
    pub detector: DetectorState,
    /// The token channels.
    pub links: Vec<LinkState>,
    /// Times that the replica found its own state illegal and repaired it, since the start.
    pub repairs: Number,
    /// What was turned away since the start, by kind: connections of unknown keys, frames that are
    /// garbage or too large, messages that do not verify or contradict others.
    pub turned_away: BTreeMap<String, Number>,
}

/// One height in flight.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SlotState {
    /// The height.
    pub height: Number,
    /// First bytes of the accepted block's hash, in hex; absent if none was accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block: Option<String>,
    /// Whose prepares for it are held.
    pub prepares: Vec<u16>,
    /// Whose commits for it are held.
    pub commits: Vec<u16>,
}

/// The primary monitoring (DESIGN 4.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MonitorState {
    /// `ok`, `noService` or `viewChange`.
    pub status: String,
    /// Whether this replica suspects the primary.
    pub suspects: bool,
    /// Whose demands to leave the view are held.
    pub demands: Vec<u16>,
}

/// The failure detector's counters (DESIGN 4.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DetectorState {
    /// For each replica, tokens received from others since the last from it.
    pub beats: Vec<Number>,
    /// The beat above which a replica counts as unresponsive.
    pub beats_max: Number,
    /// Tokens of the primary since a watched request last progressed.
    pub stalled: Number,
    /// The count above which the primary is suspected.
    pub stalled_max: Number,
    /// Requests watched.
    pub watched: usize,
}

/// One token channel's counters (DESIGN 4.5).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkState {
    /// The other end.
    pub peer: u16,
    /// The counter being sent.
    pub sending: Number,
    /// The last counter received.
    pub receiving: Number,
}
