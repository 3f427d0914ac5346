//! The thesis's tests as start state, fault and desired state, on real engines in the simulator.
//!
//! This crate holds what the tests judge by. The judges know nothing of the predicates of the code
//! that they judge: they look at what a replica shows of itself from outside, and count with vote
//! counts of their own.

mod draws;
mod healing;
mod links;
mod oracles;
mod start;

pub use draws::Draws;
pub use healing::{Struck, deciding, from_any_state, heals, heals_unasked, load};
pub use links::{Link, between, neighbours, set_cut, set_weather};
pub use oracles::{
    Counts, acknowledged, all_executed, all_executed_these, all_in_view, consistent,
    executed_by_all, healthy, nothing_assigned, serving_views, two_views_decide,
};
pub use start::{
    RHYTHMS, automaton, begin, cut_off, forced, in_view, plan, rotated, six, six_of_both, subsets,
    views_with_proofs,
};

/// Asynchronous rounds from any state of the view establishment to a stable view.
pub const VIEW_ROUNDS_MAX: u32 = 32;

/// From suspicion by `n-2f` correct replicas to service by the next primary.
pub const CHANGE_ROUNDS_MAX: u32 = 32;

/// From a transaction pending at all correct replicas to its execution by all of them.
pub const REQUEST_ROUNDS_MAX: u32 = 12;

/// Until the failure detector has found a primary that does nothing, with the patience of
/// [`plan`].
pub const DETECTION_ROUNDS_MAX: u32 = 13;

/// Detection, change of view, and the transaction itself, with the catalogue's margin.
pub const REPLACED_ROUNDS_MAX: u32 =
    DETECTION_ROUNDS_MAX + CHANGE_ROUNDS_MAX + REQUEST_ROUNDS_MAX + 8;

/// Through which what must go on is seen to go on.
pub const CLOSURE_ROUNDS: u32 = 100;

/// Through which what must never happen is seen not to.
pub const NEVER_ROUNDS: u32 = 300;
