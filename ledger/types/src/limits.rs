//! Every hard bound of what travels or is stored, in one place, each with its reason.
//! What a chainspec may set lower has its bound here as the upper end.

/// Replicas of a chain. Signer sets are 64-bit maps, and messages of a view change grow with n².
pub const REPLICAS_MAX: usize = 64;

/// Bytes of one transaction's operation; a chainspec may set less. A block must be able to hold
/// several of the largest.
pub const OPERATION_BYTES_MAX: usize = 64 * 1024;

/// Bytes of all transactions of a block, encoded; a chainspec may set less. One block must cross a
/// slow link within a view's patience.
pub const BLOCK_BYTES_MAX: usize = 1024 * 1024;

/// Transactions of a block; a chainspec may set less. Bounds receipts, proofs and the time that one
/// block's execution takes.
pub const BLOCK_TRANSACTIONS_MAX: usize = 4096;

/// Heights that may be in flight above the executed head (the paper's sigma); a chainspec may set
/// less. Bounds a replica's memory for blocks to twice this many.
pub const WINDOW_MAX: usize = 64;

/// Bytes of one frame between replicas, checked before anything is allocated: the largest message
/// is a batch of blocks or a new-view, both cut to fit.
pub const FRAME_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of one row of a store: the receipts of the largest block with the longest replies, which never
/// travel as one message.
pub const ROW_BYTES_MAX: usize = BLOCK_TRANSACTIONS_MAX * (REPLY_BYTES_MAX + 128);

/// Bytes of certified blocks in one answer to a fetch, so that it fits a frame with room to spare.
pub const FETCH_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Certified blocks in one answer to a fetch.
pub const FETCH_BLOCKS_MAX: usize = 64;

/// How far a ballot may lie above what `f+1` replicas report before it counts as garbage (DESIGN 4.2).
/// No execution gets there: a replica follows others up by half of it at most. At one ballot a
/// millisecond it is a quarter of an hour, and far from the end of the numbers.
pub const BALLOT_LEAP: u64 = 1 << 20;

/// The highest ballot there can be: what lies above is garbage, and nothing that counts up by hand gets
/// here (the paper's MAXINT). Far enough below the end of the numbers that none overflows.
pub const BALLOT_MAX: u64 = 1 << 62;

/// Block bodies that one [`crate::Want`] may name.
pub const WANT_MAX: usize = WINDOW_MAX;

/// Transactions in one message that spreads them.
pub const SPREAD_TRANSACTIONS_MAX: usize = 1024;

/// Bytes of transactions in one message that spreads them.
pub const SPREAD_BYTES_MAX: usize = 1024 * 1024;

/// Bytes of a reply or abort reason kept in a receipt; a longer one is cut. Receipts are kept for
/// ever, so an automaton must not be able to blow them up.
pub const REPLY_BYTES_MAX: usize = 4096;

/// Overhead allowed for a transaction beside its operation: key, nonce, signature and lengths.
pub const TRANSACTION_OVERHEAD_BYTES: usize = 128;

/// Bytes of one chunk of a state snapshot, encoded, without the proof of a few KiB beside it: several
/// pass a slow link within the patience of whoever waits for one, and an interruption costs no more than
/// one of them. The largest entry of a state fits many times.
pub const CHUNK_BYTES: usize = 512 * 1024;
