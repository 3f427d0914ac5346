//! Bounds of what an adversary remembers: it runs inside searches of thousands of runs.

/// Blocks of its own that an adversary keeps in place of its engine's. More than any window of
/// heights in flight, so that a fork lives as long as a view.
pub const FORK_BLOCKS_MAX: usize = 256;

/// Old messages kept for sending again.
pub const REPLAY_MESSAGES_MAX: usize = 256;

/// Old transactions kept for proposing again.
pub const OLD_TRANSACTIONS_MAX: usize = 256;

/// Proposals held back at once by a slow primary: two windows.
pub const HELD_MAX: usize = 128;

/// Messages of its own that wait for the next tick.
pub const SAYINGS_MAX: usize = 512;
