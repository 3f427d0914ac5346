//! Where a replica keeps what it must not forget: the chain, the state after it, and the journal of
//! its own promises (DESIGN 5 and 4.2).
//!
//! [`Store`] is what the ledger and the node driver see. [`Tables`] implements it once, rules
//! included, over a [`Backend`] that only knows rows: `Rocks` (feature `rocks`) keeps them on disk,
//! [`Memory`] in memory. All calls block; the caller has threads for that.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

mod backend;
mod column;
mod error;
mod heal;
mod journal;
pub mod limits;
mod memory;
mod power;
#[cfg(feature = "rocks")]
mod read_only;
#[cfg(feature = "rocks")]
mod rocks;
#[cfg(feature = "rocks")]
mod salvage;
mod store;
mod tables;
mod trust;

pub use backend::{Backend, Batch, Row, Rows, Sync};
pub use column::{Class, Column};
pub use error::StoreError;
pub use heal::{Heal, HealComponent, HealRecord, check_heals, row_digest};
pub use journal::{CleanJournal, JournalFault};
pub use memory::{Memory, MemoryStore};
pub use power::{Moment, PowerCut};
#[cfg(feature = "rocks")]
pub use read_only::ReadOnly;
#[cfg(feature = "rocks")]
pub use rocks::{Rocks, RocksStore};
#[cfg(feature = "rocks")]
pub use salvage::{Opened, Salvaged};
pub use store::{Commit, Head, Location, Recovered, Snapshot, Store};
pub use tables::{CHAIN, HEAD, RESTORED, Tables, statement_row};
pub use trust::Trust;
