//! What an automaton is: the trait that its author implements, the state it works on, and the suite
//! that checks it (DESIGN 6).
//!
//! The crate is `no_std`: an automaton that is `no_std` too cannot reach a clock, a thread or a
//! socket.
#![no_std]
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod automaton;
mod blob;
mod check;
mod errors;
mod face;
pub mod limits;
mod memory;
mod overlay;
mod parameters;
mod state;
pub mod wire;

pub use automaton::{At, Automaton, query_data};
pub use blob::Blob;
pub use check::{Case, Failure, check};
pub use errors::{Abort, Malformed, QueryError};
pub use face::DynAutomaton;
pub use memory::MemoryState;
pub use overlay::{Overlay, Writes};
pub use parameters::{BadParameters, Parameters};
/// The JSON that this crate's signatures speak of.
pub use serde_json;
pub use state::{Entry, State, StateRead, StateView};
