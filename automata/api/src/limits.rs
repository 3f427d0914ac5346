//! The bounds that an automaton lives in, each with its reason. [`crate::check()`] holds automata to
//! them; a host may set less.

/// Bytes of one encoded operation. A transaction carries one, and a block must hold several of the
/// largest.
pub const OPERATION_BYTES_MAX: usize = 64 * 1024;

/// Bytes of one encoded reply. Replies stay in receipts for ever; a host cuts a longer one, and what
/// is cut no longer decodes.
pub const REPLY_BYTES_MAX: usize = 4096;

/// Bytes of an abort's reason, which stays in a receipt just like a reply.
pub const REASON_BYTES_MAX: usize = 1024;

/// Bytes of one key in an automaton's key space. Keys travel in proofs and sit in the index of the
/// store.
pub const KEY_BYTES_MAX: usize = 1024;

/// Bytes of one value in an automaton's key space. Values travel in snapshot chunks.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;

/// Entries that one [`crate::StateView::scan`] returns at most, whatever it is asked for, so that a
/// query cannot make a host load its whole state.
pub const SCAN_ENTRIES_MAX: usize = 1000;

/// Bytes of keys and values that one answer should list. An automaton's listing queries stop here and
/// say where to go on; JSON may make it up to six times as long.
pub const LISTING_BYTES_MAX: usize = 1024 * 1024;

/// The lowest [`crate::Abort`] code that an automaton uses; those below are the host's.
pub const ABORT_CODE_MIN: u32 = 100;
