//! The ledger: executes certified blocks against the automaton, in order, and keeps the chain, the
//! state and its authenticated root (DESIGN 5).
//!
//! [`Ledger`] is the one writer. [`LedgerReader`] may be cloned for any number of threads, which see
//! committed blocks only, while the ledger executes the next.
//!
//! # The state
//! One key-value map with two key spaces, told apart by the first byte of the key: the automaton's
//! entries, and the last executed nonce of each client (the thesis's `lastReq`). Neither side can
//! reach the other's. [`StateKey`] says how keys are written.
//!
//! # The state tree
//! A binary Merkle tree over the hashes of the keys, in which a subtree with one entry is that
//! entry's leaf, however deep it would be: about `log2` of the number of entries deep, and a function
//! of the contents alone. Four levels at a time lie in one row of the store (a *page*), which is
//! overwritten in place: only the newest version is kept, and a snapshot of the store serves proofs
//! while the next block executes. A block costs work in proportion to the keys it changes.
//!
//! The `jmt` crate, which hashes in the same way, was measured first. Per key of a block with 1,000
//! new keys it takes 10, 20 and 40 microseconds with 1, 10,000 and 1,000,000 keys in the state and
//! all nodes in a map in memory, before anything is stored; it writes each changed node under a new
//! version and has the old one deleted later (4,200 writes and 2,800 deletes for those 1,000 keys).
//! `examples/state_cost.rs` measures ours with
//! RocksDB, the receipts and the synced write included: 9, 12 and 32 microseconds on the same machine.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

mod adopting;
mod base;
mod error;
mod execute;
mod keys;
mod ledger;
pub mod limits;
mod mending;
mod opening;
mod proof;
mod pruning;
mod reader;
mod restoring;
mod scrubbing;
mod snapshot;
mod tree;

pub use daruma_store::{HealRecord, Trust};
pub use error::LedgerError;
pub use keys::StateKey;
pub use ledger::{Executed, HeadInfo, Ledger};
pub use opening::{Audit, Audited, Depth, Finding, LedgerRepair, Remedy, audit};
pub use proof::{ProofError, TransactionProof};
pub use reader::{LedgerReader, StateAnswer, StateAt};
pub use restoring::{Restored, Restoring};
pub use scrubbing::{Scrubbed, Scrubber, Suspect};
pub use snapshot::{
    CHUNK_BYTES_MAX, ChunkFault, FolderShelf, HeldState, MemoryShelf, SnapshotShelf, SnapshotSize,
    SnapshotWriter, verify_snapshot,
};
pub use tree::{StateLeaf, StateProof, TreeHashes, empty_state_root, verify_state_proof};
