//! Every bound of the server, each with its reason. Sizes of requests, responses and batches are in
//! [`daruma_rpc_api::limits`], since clients must know them.

use std::time::Duration;

/// Connections at once. Each costs a task, its buffers and a file descriptor.
pub const CONNECTIONS_MAX: usize = 512;

/// Calls being answered at once, over all connections; the next is refused with 4029. Most of them
/// wait for a block, at a few KiB each.
pub const CALLS_MAX: usize = 16_384;

/// Calls being answered at once on one WebSocket, so that one client cannot take all of
/// [`CALLS_MAX`].
pub const CALLS_PER_CONNECTION_MAX: usize = 4096;

/// Calls of `tx_submitAndWait` that wait at once.
pub const WAITERS_MAX: usize = 16_384;

/// Names of accepted transactions kept to answer `tx_status` with "pending" instead of "unknown":
/// above what a node's pool holds.
pub const PENDING_KEPT: usize = 65_536;

/// State certificates kept in memory: a client asks about a transaction within seconds of its block,
/// and the ledger has the older ones.
pub const CERTIFICATES_KEPT: usize = 256;

/// Reads of the ledger at once, each on a thread of its own.
pub const READS_MAX: usize = 16;

/// Queries of the automaton at once, each on a thread of its own. They may cost a whole core, and
/// consensus needs one.
pub const QUERIES_MAX: usize = 2;

/// How long a read or a query waits for its turn before it is refused with 4029.
pub const TURN_WAIT_MAX: Duration = Duration::from_secs(2);

/// Subscriptions of one connection.
pub const SUBSCRIPTIONS_PER_CONNECTION_MAX: u32 = 16;

/// Messages that wait to be sent on one WebSocket before those who send them have to wait.
pub const MESSAGES_PER_CONNECTION_MAX: u32 = 256;

/// Heads that a live subscriber may be behind before they are left out, and announced as `lagged`.
pub const HEADS_BEHIND_MAX: u64 = 1024;

/// Heads read at once for a subscriber.
pub const HEADS_PER_READ: u64 = 64;

/// Bytes of a request's head, of a name for a header up to all of its cookies.
pub const HEAD_BYTES_MAX: usize = 16 * 1024;

/// Header lines of a request.
pub const HEADERS_MAX: usize = 64;

/// How long a request's head may take to arrive, and how long a connection may be idle between two
/// requests.
pub const HEAD_WAIT_MAX: Duration = Duration::from_secs(30);

/// How long a request's body may take to arrive.
pub const BODY_WAIT_MAX: Duration = Duration::from_secs(20);

/// How long a peer may take no byte of what is sent to it.
pub const WRITE_WAIT_MAX: Duration = Duration::from_secs(30);

/// How often a WebSocket is pinged.
pub const PING_INTERVAL: Duration = Duration::from_secs(30);

/// How long a WebSocket may be silent, pongs included.
pub const SILENCE_MAX: Duration = Duration::from_secs(90);

/// How long to wait after the system refused to accept a connection, for instance because the process
/// has no file descriptor left.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// When a client is told to come back after the submission queue was full: a few turns of the engine.
pub const RETRY_AFTER_MS: u64 = 100;
