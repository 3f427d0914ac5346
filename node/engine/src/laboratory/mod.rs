//! Access to the engine's state for experiments: every variable of every module can be set to an
//! arbitrary value of its type, as a transient fault does (DESIGN 8). Behind the cargo feature
//! `laboratory`; a node is built without it.
//!
//! Each module's part is written with exhaustive destructuring, in a child module of that module, so
//! that a new field which no experiment sets does not compile.

use daruma_types::{Height, Statement, View};

mod dictionary;
mod garbage;
mod records;
#[cfg(test)]
mod tests;
mod values;

pub use dictionary::Dictionary;
pub use garbage::{Garbage, Scope, Values};

/// Rounds of the detector after which a replica that serves a view apart from the rest resets: part of what
/// convergence may take under the paper's views.
pub const APART_ROUNDS: u32 = crate::view::APART_ROUNDS;

/// Rounds of the detector after which a primary takes a higher ballot for a single replica: another part.
pub const LONE_ROUNDS: u32 = crate::view::LONE_ROUNDS;

/// Where a replica stands: what the health of a cluster is judged by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Its view.
    pub view: View,
    /// 0 serving, 1 changing.
    pub phase: u8,
    /// Whether it serves the view, settled: under the paper's, `n-2f` are known to be in it.
    pub settled: bool,
    /// Whether its ballot's new-view was adopted.
    pub active: bool,
    /// Whether it serves the primary: fewer demand a change than would make it join them.
    pub serves: bool,
    /// Its committed head.
    pub head: Height,
    /// What it executed last.
    pub executed: Statement,
}

/// How many entries a collection of an engine holds, and how many it may hold at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// The collection, by module and name.
    pub name: &'static str,
    /// Entries held.
    pub held: usize,
    /// Its bound.
    pub bound: usize,
}

impl Size {
    pub(crate) const fn new(name: &'static str, held: usize, bound: usize) -> Self {
        Self { name, held, bound }
    }
}
