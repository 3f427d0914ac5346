//! Bounds and fixed times of a simulated run, each with its reason.

use std::time::Duration;

/// Replicas of a simulated chain: the runs of a search must stay cheap, and `n = 16` has every
/// relation between the vote counts that larger ones have.
pub const REPLICAS_MAX: usize = 16;

/// Signatures remembered as good: those of the window's votes and attestations and of what clients
/// sent lately, in half a megabyte. A power of two, so that a remainder is cheap.
pub const VERIFIED_MAX: usize = 2048;

/// Reports of views remembered as valid: those of some views of the largest committee, each of a kilobyte
/// with its certificates. A power of two.
pub const REPORTS_MAX: usize = 128;

/// Blocks that wait for execution at one replica before the run counts as out of bounds: two
/// windows of the largest size.
pub const EXECUTION_QUEUE_MAX: usize = 2 * daruma_types::limits::WINDOW_MAX;

/// Effects that wait for the disk at one replica before the run counts as out of bounds. A slow disk
/// takes 0.25 s; this is what a busy replica says in some seconds.
pub const OUTBOX_MAX: usize = 65_536;

/// From the moment a block is durable to the moment the engine is told.
pub const TOLD_AFTER_US: u64 = 50;

/// Times that an engine is made anew at once because of a contradiction, as in a driver, within
/// [`REBUILD_WINDOW_US`].
pub const REBUILDS_MAX: usize = 8;

/// The time over which [`REBUILDS_MAX`] counts.
pub const REBUILD_WINDOW_US: u64 = 60_000_000;

/// The pause before the next time then.
pub const REBUILD_PAUSE_US: u64 = 5_000_000;

/// How often it is looked whether the run has reached its end.
pub const END_CHECK_US: u64 = 100_000;

/// For how long clients go on asking for new operations after the faults have stopped, so that
/// service after the faults is seen.
pub const CALM_CLIENTS_US: u64 = 1_000_000;

/// Every so many messages one is encoded, decoded and compared.
pub const ROUND_TRIP_EVERY: u64 = 64;

/// Milliseconds since 1970 at which every run starts: 2026-01-01.
pub const EPOCH_MS: u64 = 1_767_225_600_000;

/// Messages that wait for a link, as in a node's queue for one peer.
pub const LINK_QUEUE_MAX: u64 = 1024;

/// A message that arrives twice does so within this time, if nothing else is set.
pub const DUPLICATE_US: u64 = 1_000_000;

/// Bits of a message that change at once.
pub const CORRUPT_BITS_MAX: u32 = 64;

/// Unsynced writes that survive a loss of power in the middle of a write, at most: the attestations of
/// some blocks.
pub const UNSYNCED_KEPT_MAX: usize = 4;

/// Messages that wait for a process that stands still: what a socket's buffer holds. More are lost.
pub const PAUSED_MESSAGES_MAX: usize = 256;

/// Votes watched at once by the scheduler that holds quorums back. Past it all are forgotten.
pub const WATCHED_MAX: usize = 4_096;

/// Rounds over the kinds of faults in which a schedule looks for room for more.
pub const SCHEDULE_ROUNDS_MAX: usize = 64;

/// Virtual time with faults, at most: a day. A run of it takes about an hour of computing; what comes
/// back to service only later does not.
pub const FAULT_PHASE_MS_MAX: u64 = 24 * 3_600_000;

/// Rounds that can be asked for: at 100 ms a tick about a day.
pub const ROUNDS_MAX: u32 = 864_000;

/// Failing plans that a search makes smaller: one usually has the cause of all, and each takes up to
/// [`SHRINK_TIME_MAX`].
pub const SHRUNKEN_MAX: usize = 3;

/// Runs that making one plan smaller may take. A few hundred are usually enough: tens of faults, and
/// tens of fields, each halved away or tried alone, some times over.
pub const SHRINK_ATTEMPTS_MAX: usize = 4_000;

/// Time for making one plan smaller. What was reached by then fails as well, and is given.
pub const SHRINK_TIME_MAX: Duration = Duration::from_secs(60);
