//! Bounds that server and client must agree on, each with its reason.

/// Calls of one JSON-RPC batch: one client's window of transactions with room to spare, while the
/// largest answer of a batch stays below [`RESPONSE_BYTES_MAX`].
pub const BATCH_CALLS_MAX: u32 = 256;

/// Bytes of one request: a batch of transactions of common size, or several of the largest. A
/// transaction's operation takes two hex digits for each byte.
pub const REQUEST_BYTES_MAX: u32 = 4 * 1024 * 1024;

/// Bytes of one response: a full block with all of its transactions in hex fits.
pub const RESPONSE_BYTES_MAX: u32 = 16 * 1024 * 1024;

/// Records that `consensus_healLog` gives when it is not told how many.
pub const HEAL_RECORDS_DEFAULT: u32 = 50;

/// The most records that it gives at once: some 400 KiB.
pub const HEAL_RECORDS_MAX: u32 = 256;

/// How long `tx_submitAndWait` waits when it is not told, in ms.
pub const WAIT_MS_DEFAULT: u64 = 10_000;

/// The longest that `tx_submitAndWait` waits, in ms: a waiter costs memory, and the call can be
/// repeated.
pub const WAIT_MS_MAX: u64 = 60_000;
