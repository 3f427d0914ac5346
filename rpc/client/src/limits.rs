//! The client's bounds, each with its reason.

use std::time::Duration;

/// Transactions of one key in flight at once. A lost one holds up those behind it, and the answer
/// with all proofs comes in one piece.
pub const WINDOW_TRANSACTIONS_MAX: usize = 64;

/// Bytes of operations in flight at once: in hex they take twice as much, which must fit one request.
pub const WINDOW_BYTES_MAX: usize = 1024 * 1024;

/// How long one node may keep an attempt waiting before the next is asked. Long enough for a view
/// change; a node that stalls on purpose costs no more than this.
pub const ATTEMPT: Duration = Duration::from_secs(5);

/// How much longer than [`ATTEMPT`] a request may take: the way there and back.
pub const TRANSPORT_GRACE: Duration = Duration::from_secs(3);

/// How long to wait for a connection.
pub const CONNECT: Duration = Duration::from_secs(5);

/// Requests in flight on one connection.
pub const REQUESTS_MAX: usize = 1024;

/// First pause after all nodes were asked in vain; it doubles up to [`PAUSE_MAX`].
pub const PAUSE_MIN: Duration = Duration::from_millis(50);

/// Longest pause between attempts, also where a node asks for a longer one.
pub const PAUSE_MAX: Duration = Duration::from_secs(2);

/// Statements whose signatures were checked, kept so that the proofs of one block cost one check.
pub const STATEMENTS_KEPT: usize = 64;

/// URLs of one client: one for each replica.
pub const URLS_MAX: usize = daruma_types::limits::REPLICAS_MAX;
