//! Model checking of Daruma's safety core: every state that small configurations reach.
//!
//! - [`ballots`]: replication's ballots, a model of the rules of voting; agreement, and a
//!   counterexample for each rule that is left out;
//! - [`views`]: view establishment (a), whose steps are asked of real engines; and whole engines from
//!   every combination of proofs on their disks;
//! - [`automaton`]: view establishment (b), a model of the text of DESIGN 10.
//!
//! What was explored, with figures: `docs/model-checking.md`.

pub mod automaton;
pub mod ballots;
mod committee;
mod exploration;
pub mod views;

pub use exploration::{Explored, Limits, explore};
