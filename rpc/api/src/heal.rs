//! What a replica repaired, the heal log, and backups of it.

use daruma_types::Hash;
use serde::{Deserialize, Serialize};

use crate::{Hex, Number};

/// Answer of `consensus_healLog`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealLog {
    /// The records, the newest first.
    pub records: Vec<HealRecordJson>,
    /// Number of the oldest record that is kept. Older ones are pruned.
    pub earliest: Number,
    /// Number of the record that is written next: so many were written in all.
    pub next: Number,
}

/// One record of the heal log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HealRecordJson {
    /// Its number; they ascend by one.
    pub sequence: Number,
    /// When it was done, in ms since 1970, by the node's clock; of several alike, the last.
    pub at_ms: Number,
    /// What was wrong: `files`, `ledger`, `journal`, `engine`, `disk`, `chain` or `healLog`.
    pub component: String,
    /// What was found.
    pub cause: String,
    /// What was done about it.
    pub done: String,
    /// Digest of what was there before; absent if there was nothing, or nothing that could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Hex<Hash>>,
    /// Digest of what is there now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Hex<Hash>>,
    /// What shows it: table and key, heights, a message of the system.
    pub evidence: String,
    /// How long it took, in ms.
    pub took_ms: Number,
    /// How many alike this stands for, itself included.
    pub count: Number,
    /// Hash of the record before it; zeros in the first.
    pub previous: Hex<Hash>,
    /// Hash of this record.
    pub hash: Hex<Hash>,
}

/// Answer of `node_scrub`: how far the scrubber is. Numbers count since the node's start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Scrub {
    /// Whether it stands still until it is resumed.
    pub paused: bool,
    /// The number of the pass, from 1; of the last one between two.
    pub pass: Number,
    /// The table looked at; empty between two passes.
    pub table: String,
    /// The height looked at; of other tables than blocks, the height up to which the pass looks.
    pub height: Number,
    /// Rows looked at.
    pub rows: Number,
    /// Rows looked at in a second, over this pass.
    pub rows_per_second: Number,
    /// What was found and repaired.
    pub findings: Number,
    /// When the last pass ended, in ms since 1970; absent if none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_pass_ms: Option<Number>,
    /// How long it took, in ms.
    pub last_pass_took_ms: Number,
}

/// Answer of `node_backup`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Backup {
    /// The folder of the backup, on the node's machine.
    pub path: String,
    /// The last executed height in it, or a lower one.
    pub height: Number,
    /// The block there; at height 0 the chain id.
    pub block_hash: String,
    /// Root of the state after it.
    pub state_root: String,
    /// When it was made, in ms since 1970, by the node's clock.
    pub at_ms: Number,
}
