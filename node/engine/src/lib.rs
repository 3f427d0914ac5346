//! Decides what this replica says next: the self-stabilizing BFT ordering of Daruma as a pure state
//! machine (thesis 2.6; DESIGN 4).
//!
//! No clock, no I/O, no randomness, no thread, no async: `no_std` is the fence. The engine is told
//! everything ([`Input`]) and asks nothing; what is to be done comes back as [`Effect`]s. Four
//! modules, and a resolver that passes information between them:
//!
//! - view establishment (`view`): who is primary (4.1);
//! - replication (`replication`): in which order (4.2); the safety argument is in its documentation;
//! - primary monitoring (`monitor`): whether the primary does its work (4.3), on tokens of the
//!   self-stabilizing links (`link`, 4.5);
//! - the pool of what waits (`pool`), and the attestations of what came of it (`attest`).
//!
//! Messages enter through [`admit`], which checks all that needs no state. The stale-information
//! rules run on every tick and repair whatever no execution reaches.
#![no_std]
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod admission;
mod attest;
mod config;
mod conflict;
mod engine;
#[cfg(test)]
mod fixtures;
mod held;
mod illegal;
mod io;
#[cfg(feature = "laboratory")]
pub mod laboratory;
mod link;
mod monitor;
mod outbox;
mod pool;
mod replication;
mod status;
mod sync;
mod view;

pub use admission::{AdmissionContext, Admitted, Checked, Refusal, admit};
pub use attest::RECENT_STATEMENTS_MAX;
pub use config::{ChainLimits, Context, LocalLimits};
pub use engine::Engine;
pub use held::Held;
pub use illegal::Illegal;
pub use io::{Destination, Disbelief, Effect, Input, Observation, Suspicion};
pub use pool::PoolRefusal;
pub use replication::EngineHead;
pub use status::Status;
pub use sync::{Standing, StateSync, SyncAct};
pub use view::{AutomatonState, DetectorState};
