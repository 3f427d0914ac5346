//! The bounds of a ledger, each with its reason.

/// Pages of the state tree kept in memory, of about 2 KiB each. Enough for all pages but the lowest
/// two levels of a state of a million entries; the rest is in the store's own cache.
pub const TREE_CACHE_PAGES: usize = 8192;

/// The receipt code of a transaction during which the automaton panicked. Codes below
/// [`daruma_automaton_api::limits::ABORT_CODE_MIN`] are the ledger's.
pub const ABORT_PANICKED: u32 = 2;

/// The receipt code of a transaction that wrote a key or a value over the automaton's bounds.
pub const ABORT_OVER_BOUND: u32 = 3;

/// Replaced pages kept as room for new ones: what a small block replaces. Past it they are given back.
pub const TREE_SPARE_PAGES: usize = 32;

/// Hashes that a [`crate::TreeHashes`] remembers, in about 100 KiB: those of the last blocks, since
/// the ledgers that share it execute a block within a short time. A power of two.
pub const TREE_HASHES: usize = 1024;

/// Blocks that every start checks with all that follows from them: more than are in flight when the
/// power fails, and what this replica attests again.
pub const RECENT_BLOCKS: u64 = 256;

/// Statements of the last blocks that a ledger keeps in memory, 13 KiB, to tell where it stands: two of the
/// largest windows, which is what an engine remembers of its chain.
pub const RECENT_STATEMENTS: usize = 2 * daruma_types::limits::WINDOW_MAX;

/// Heights whose record was found damaged while the ledger runs, and that wait for the true one. They are had
/// one after the other; a disk that is damaged all over is for an opening to repair.
pub const MISSING_MAX: usize = 64;

/// Entries of the state, and pages of its tree, that every start checks: less than a second's work.
pub const RECENT_ENTRIES: u64 = 65_536;

/// Findings that an audit tells one by one: more than anybody reads, and a damaged disk fills no memory.
pub const AUDIT_FINDINGS_MAX: usize = 1000;

/// Rows of the state read at once while a snapshot is made, of at most 65 KiB each.
pub const SNAPSHOT_ROWS_AT_ONCE: usize = 256;

/// Bytes of a state's entries that are put in order in memory; more are dealt out to files first. About
/// twice as much is held, with the hashes beside the entries.
pub const SORT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Heights searched downwards for one whose state `f+1` replicas attest, when blocks are pruned: normally
/// the first has it.
pub const PRUNE_SEARCH: u64 = 64;

/// Heights pruned in one write.
pub const PRUNE_AT_ONCE: u64 = 1024;

/// Repairs that an opening tells one by one.
pub const REPAIRS_TOLD_MAX: usize = 256;

/// Rows that a scrubber reads in one step, and so the longest that it holds a snapshot: some milliseconds.
pub const SCRUB_ROWS_AT_ONCE: usize = 256;

/// The same of tables whose rows may be as large as a block.
pub const SCRUB_LARGE_ROWS_AT_ONCE: usize = 16;

/// Leaves of the state tree for which one pass of a scrubber waits for an entry, in about 6 MiB. A larger state is
/// gone through in several passes for entries that are *missing*; all else is found in each.
pub const SCRUB_LEAVES_MAX: usize = 131_072;
