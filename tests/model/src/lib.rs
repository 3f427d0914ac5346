//! Model checking of Daruma's safety core: every state that small configurations reach.

pub mod automaton;
pub mod ballots;
mod committee;
mod exploration;
pub mod views;

pub use exploration::{Explored, Limits, explore};
