//! Drives a replica: gives the engine its inputs and performs its effects on a real disk and a real
//! network (DESIGN 7).
//!
//! ```text
//! network ─► intake (check) ─┐
//! clients ─► intake (check) ─┼─► engine's thread ─► journal, synced ─► network
//! ledger, clock ─────────────┘         └─► executor (ledger) ─► events
//! ```
//!
//! Each arrow is a bounded queue ([`limits`]). The engine's thread alone touches the engine; the
//! executor alone writes the ledger; neither waits for a signature to be checked.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod door;
mod event;
mod executor;
mod healing;
mod intake;
pub mod limits;
mod rebuilding;
mod scrubbing;
mod snapshots;
mod start;
mod supervision;
mod syncing;
mod turn;

pub use door::Refused;
pub use event::{Counters, DriverEvent};
pub use executor::tell_repairs;
pub use healing::{heals_of_ledger, now_ms};
pub use scrubbing::{ScrubControl, ScrubProgress, ScrubSettings};
pub use snapshots::Snapshots;
pub use start::{Driver, DriverParts};
pub use supervision::Supervisor;

use daruma_ledger::LedgerError;
use daruma_store::StoreError;
use daruma_types::Transaction;

/// Called once with what became of a submission: taken into the pool (or in it already), or why not.
pub type Answer = Box<dyn FnOnce(Result<(), Refused>) + Send>;

/// A client's transaction on its way in.
pub struct Submission {
    /// The transaction; nothing of it is checked yet.
    pub transaction: Transaction,
    /// Called on one of the driver's threads; must not block.
    pub answer: Answer,
}

/// Why a driver stopped. It says nothing any more from then on.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The store could not be read at the start.
    #[error("the store could not be read: {0}")]
    Store(#[from] StoreError),
    /// The ledger could not be read at the start.
    #[error("the ledger could not be read: {0}")]
    Ledger(#[from] LedgerError),
    /// A thread could not be started.
    #[error("a thread could not be started: {0}")]
    Thread(#[from] std::io::Error),
    /// Another part of the driver stopped first.
    #[error("another part of the driver stopped")]
    Stopped,
    /// A thread panicked, again and again: a bug.
    #[error(
        "the {0} thread panicked too often: start the node again, and report what the log says"
    )]
    Panicked(&'static str),
}
