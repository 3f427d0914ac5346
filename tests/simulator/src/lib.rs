//! Deterministic simulation of a whole Daruma chain: real engines and real ledgers over a simulated
//! network, simulated disks and a virtual clock, with clients, faults and Byzantine replicas, all
//! decided by one seed (DESIGN 8). One seed gives one run; a failing one can be replayed with every
//! message shown.
//!
//! ```
//! use daruma_adversary::Behaviour;
//! use daruma_simulator::Plan;
//! use daruma_types::ReplicaId;
//!
//! let outcome = Plan::calm(1, 4)
//!     .byzantine(&[(ReplicaId(0), Behaviour::Equivocating)])
//!     .heal_after_ms(1_000)
//!     .run();
//! assert!(outcome.holds(), "{:?}", outcome.violations);
//! ```
//!
//! What is checked after every event is in [`Invariant`]: agreement, validity, durability,
//! determinism, no two contradicting votes, and, once the faults have stopped, progress (DESIGN 9).

mod arbitrary;
mod chaos;
mod checkers;
mod clients;
pub mod command;
mod cpu_time;
mod describe;
mod disk_faults;
mod door;
mod fault;
mod fault_kinds;
pub mod limits;
mod network;
mod outcome;
mod parcel;
mod plan;
mod queue;
mod random;
mod remembering;
mod replica;
mod scenario;
mod schedule;
mod scheme;
mod search;
mod seeded;
mod shrink;
mod small_scope;
mod spread;
mod text;
mod trace;
mod twin_phases;
mod world;

pub use arbitrary::{
    ArbitraryStart, Rhythm, Start, VIEW_ROUNDS_MAX, convergence_rounds_max, view_rounds_max,
};
pub use daruma_adversary::{self as adversary, Adversary, Behaviour, Window};
pub use daruma_engine::laboratory::{Scope, Standing, Values};
pub use daruma_store::{Class, Column, MemoryStore, Moment};
pub use disk_faults::DiskFaults;
pub use fault::{Fault, Pairs, Scheduled};
pub use fault_kinds::{FaultKind, FaultKinds};
pub use network::{LinkSettings, Weather};
pub use outcome::{Invariant, Outcome, Stats, Violation};
pub use plan::{ClientSettings, Plan};
pub use scenario::Scenario;
pub use scheme::{Keys, Role, Scheme};
pub use search::{Failure, Group, SearchSettings, Summary, search};
pub use shrink::{ShrinkSettings, Shrunken, shrink};
pub use spread::Spread;
pub use text::PlanTextError;
pub use trace::Sink;
pub use world::{Accusation, Refused, Rig, SnapshotSettings};
