//! Bounds of the driver's queues and caches, each with its reason.

use std::time::Duration;

use daruma_types::limits::WINDOW_MAX;

/// Inputs that wait for the engine. Senders wait when it is full, down to the sockets.
pub const INPUTS_MAX: usize = 4096;

/// Inputs handled in one turn of the engine, before its promises are synced: enough to share one
/// sync among many votes, few enough that a vote does not wait long for it.
pub const TURN_INPUTS_MAX: usize = 256;

/// Blocks and attestations that wait for the ledger. A sound engine never has more than a window of
/// blocks out, and tells of each height's attestations twice at most, for the recent heights and a window
/// on either side; so this is full only when memory was wrong. Then the newest is dropped: the engine
/// gives a block that the ledger lacks again.
pub const EXECUTIONS_MAX: usize =
    WINDOW_MAX + 2 * (daruma_engine::RECENT_STATEMENTS_MAX + 2 * WINDOW_MAX);

/// Bulk messages that wait to be checked, for each checking thread. Beyond it the newest is dropped:
/// all can be repeated, and votes must not wait behind them.
pub const CHECKS_MAX: usize = 32;

/// Threads that check bulk messages. Peers are shared out among them, so that each peer's messages
/// stay in order.
pub const CHECK_THREADS: usize = 2;

/// Requests for committed blocks that wait for the ledger's reader. Beyond it they are dropped, and
/// asked again.
pub const SERVINGS_MAX: usize = 32;

/// Clients' transactions that wait to be checked. Beyond it whoever hands them over waits.
pub const SUBMISSIONS_MAX: usize = 8192;

/// Clients' transactions checked and handed to the engine together.
pub const SUBMISSION_BATCH_MAX: usize = 512;

/// Transactions whose signatures are remembered as checked, so that one that came from a client is
/// not checked again in a block. Two full pools; 32 bytes each.
pub const VERIFIED_MAX: usize = 32_768;

/// Clients whose last executed nonce is kept in memory, beside the ledger.
pub const NONCES_MAX: usize = 32_768;

/// Events kept for a subscriber that is slow; then it misses some, and is told so.
pub const EVENTS_MAX: usize = 1024;

/// Executed blocks whose transactions' names are kept until their attestations come.
pub const UNATTESTED_MAX: usize = 4 * WINDOW_MAX;

/// The shortest time from one published status to the next: people and health checks do not look
/// more often.
pub const STATUS_PERIOD: Duration = Duration::from_millis(10);

/// How often the engine is told where the ledger stands: what it believes otherwise is corrected within
/// this time, and one telling costs the check of one certificate.
pub const LEDGER_PERIOD: Duration = Duration::from_secs(1);

/// How often the door forgets what it looked up in the ledger and which signatures it checked, so that what was
/// never so is not believed for longer. Then a read for each client that is active, and a check for each
/// transaction that waits, are done once more.
pub const FORGET_PERIOD: Duration = Duration::from_secs(30);

/// Times that an engine is made anew at once, within [`REBUILD_WINDOW`], because it was about to
/// contradict its journal. One transient fault needs one or two; more of them mean that the memory
/// itself fails.
pub const REBUILDS_MAX: usize = 8;

/// The time over which [`REBUILDS_MAX`] counts.
pub const REBUILD_WINDOW: Duration = Duration::from_secs(60);

/// The pause before the next time then: the replica must not spend its life starting.
pub const REBUILD_PAUSE: Duration = Duration::from_secs(5);

/// How often state sync looks whether something is due; its patience is counted in these.
pub const SYNC_PERIOD: Duration = Duration::from_millis(100);

/// Blocks above a replica's head from which on a snapshot is had sooner than the blocks: a full block takes
/// some milliseconds to execute, so these are at least some seconds' work.
pub const SNAPSHOT_LEAP: u64 = 4096;

/// Bytes of the state that are read and written in a second while a snapshot is made: a fraction of what a
/// disk gives, so that execution does not wait for it.
pub const SNAPSHOT_BYTES_PER_SECOND: u64 = 32 * 1024 * 1024;

/// How long a snapshot waits for its height's attestations: they come within a round trip, or not at all
/// before a later height's.
pub const ATTESTATIONS_WAIT: Duration = Duration::from_secs(60);

/// The first pause before a disk that refused a write is asked again; it doubles each time.
pub const DISK_PAUSE_MIN: Duration = Duration::from_millis(100);

/// The longest such pause: a replica is back soon after its disk is.
pub const DISK_PAUSE_MAX: Duration = Duration::from_secs(2);

/// Notes of repairs that wait for the heal log's thread. Beyond it they are only counted.
pub const HEAL_NOTES_MAX: usize = 256;

/// Records of one kind that are written to the heal log at once; as many again come in each
/// [`HEAL_PERIOD`]. What is above is added up in the last one. A memory that fails all the time so
/// writes some hundred bytes a second, and what happened before it began stays in the log for days.
pub const HEAL_BURST: u32 = 6;

/// See [`HEAL_BURST`].
pub const HEAL_PERIOD: Duration = Duration::from_secs(300);

/// Repairs of one check of the ledger that get a record each; the others share the last one.
pub const HEALS_PER_CHECK_MAX: usize = 16;

/// How often the heal log's thread looks whether added-up repairs are to be written, or a disk that
/// refused them takes them now.
pub const HEAL_TICK: Duration = Duration::from_secs(1);

/// How long the scrubber waits for an execution to end before it looks again.
pub const SCRUB_YIELD: Duration = Duration::from_millis(5);

/// How often it does so before each step: under a load that never ends it still gets a step in a quarter of a
/// second, so that a pass ends.
pub const SCRUB_YIELDS_MAX: u32 = 50;

/// How often a scrubber that is paused, or that waits for room in a queue, looks whether it may go on.
pub const SCRUB_PAUSED_LOOK: Duration = Duration::from_millis(100);

/// Times that a thread goes on after a panic within [`RESTART_WINDOW`]. One that panics at every input does so in a
/// few seconds; the process ends then, and what runs it decides.
pub const RESTARTS_MAX: usize = 5;

/// The time over which [`RESTARTS_MAX`] counts.
pub const RESTART_WINDOW: Duration = Duration::from_secs(600);

/// The pause before a thread goes on after its first panic; it doubles with each further one.
pub const RESTART_PAUSE_MIN: Duration = Duration::from_millis(100);

/// The longest such pause.
pub const RESTART_PAUSE_MAX: Duration = Duration::from_secs(2);

/// How long one turn of the engine may take before its thread counts as stuck: many syncs of a slow disk.
pub const ENGINE_STUCK: Duration = Duration::from_secs(10);

/// How long one block, or one look at a table, may take before the executor counts as stuck. A check of the
/// whole ledger may take longer, and then it is true that nothing is executed.
pub const EXECUTOR_STUCK: Duration = Duration::from_secs(30);

/// The same of all other threads, which wait for the engine when it has no room.
pub const THREAD_STUCK: Duration = Duration::from_secs(30);
