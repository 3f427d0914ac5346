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

/// Messages that a flooding replica sends to one other replica in one tick, at most, however much
/// the link takes: a search must come to an end.
pub const FLOOD_PER_TICK_MAX: u32 = 64;

/// Contradictions that a replica signs in one tick.
pub const EVIDENCE_PER_TICK: u32 = 8;

/// Bytes of one piece of garbage.
pub const GARBAGE_BYTES_MAX: usize = 2048;

/// Messages and pieces of garbage of one tick.
pub const GARBAGE_PER_TICK: usize = 4;

/// Hashes seen, to name a block that there once was.
pub const HASHES_MAX: usize = 64;
