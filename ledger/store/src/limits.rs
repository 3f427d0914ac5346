//! The bounds of a store, each with its reason. Several nodes may share one small machine, so a node
//! must be content with about 128 MiB for its store.

/// Block bodies that the journal keeps for one height: that of the latest vote, that of the highest
/// prepared certificate, and some of earlier ballots, which a new primary may still ask for. Without
/// a bound, a row of faulty primaries could fill the disk with one body each.
pub const BODIES_PER_HEIGHT_MAX: usize = 8;

/// Heights above the head at which a start believes that something was promised: a window of them at
/// most is in flight, and as many again if the head had to be lowered. More is garbage.
pub const JOURNAL_HEIGHTS_MAX: usize = 4 * daruma_types::limits::WINDOW_MAX;

/// Rows kept in quarantine: enough to see what happened, few enough that a failing disk does not fill
/// itself. Further ones are dropped.
pub const QUARANTINE_ROWS_MAX: usize = 64;

/// Votes that a certificate above the head refuses before it gives way, if its block is not had by then.
/// After each refusal the engine is made anew and asks all others for the block; fewer than the contradictions
/// after which a driver lets an engine rest, so that its pauses do not add up.
pub const LONE_REFUSALS_MAX: u32 = 4;

/// Heights whose certificates give way at once: those that may be in flight above the one at which a vote
/// was refused. Where more lie above a hole, the next ones refuse votes again when it is their turn.
pub const LONE_HEIGHTS_MAX: u64 = daruma_types::limits::WINDOW_MAX as u64;

/// Bytes kept of one row in quarantine: the largest block fits.
pub const QUARANTINE_BYTES_MAX: usize = 2 * daruma_types::limits::BLOCK_BYTES_MAX;

/// Records of the heal log that are kept: months of a healthy replica, and enough of a bad day to see how
/// it began. The oldest go first.
pub const HEAL_RECORDS_MAX: u64 = 4096;

/// Bytes of a heal record's cause, and of what was done: a line for people. With the evidence, a full log
/// takes less than 8 MiB.
pub const HEAL_TEXT_BYTES_MAX: usize = 256;

/// Bytes of a heal record's evidence.
pub const HEAL_EVIDENCE_BYTES_MAX: usize = 1024;

/// Lost records in a row that are each replaced by one that says so. A longer gap ends the log
/// downwards, as if what is below it were pruned: garbage must not be taken for a long history.
pub const HEAL_GAP_MAX: u64 = 64;

/// The highest sequence number that a start believes: nobody counts that far at the rate that the
/// driver allows, and it is a JSON number.
pub const HEAL_SEQUENCE_MAX: u64 = 1 << 53;

/// Heal records read at once: one answer to whoever asks, of some 400 KiB at most.
pub const HEAL_PAGE_MAX: usize = 256;

/// Bytes of blocks read from disk that are kept in memory, indexes and filters included; shared by
/// all columns.
pub const BLOCK_CACHE_BYTES: usize = 32 * 1024 * 1024;

/// Bytes of new rows of one column held in memory before they are written to a file.
pub const WRITE_BUFFER_BYTES: usize = 16 * 1024 * 1024;

/// The same for all columns together.
pub const WRITE_BUFFERS_BYTES: usize = 64 * 1024 * 1024;

/// Bytes of write-ahead log kept. A column that is seldom written holds its log back, and a restart
/// must read all of it.
pub const LOG_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// Files held open. Each costs a descriptor, and memory for its index.
pub const OPEN_FILES_MAX: i32 = 256;

/// Threads that write and merge files in the background; they must leave the cores to the engine.
pub const BACKGROUND_JOBS_MAX: i32 = 2;

/// Files of RocksDB's own log for people that are kept, of [`INFO_LOG_BYTES_MAX`] each.
pub const INFO_LOG_FILES_MAX: usize = 4;

/// Bytes of one such file.
pub const INFO_LOG_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of rows written at once while a damaged store is salvaged: few enough to stay small in memory.
pub const SALVAGE_BYTES_AT_ONCE: usize = 1024 * 1024;
