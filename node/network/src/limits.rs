//! Every hard bound of this crate in one place, each with its reason (DESIGN 2: all memory is bounded).
//!
//! What one peer can make a replica hold, at most and with the default settings: its two sending queues
//! (20 MiB, only what this replica itself queued), frames waiting for the consumer (10 MiB), one frame
//! being read per lane (4.5 MiB), and what lies in the multiplexer's receive windows
//! ([`CONNECTION_WINDOW_BYTES_MAX`] for each of [`CONNECTIONS_PER_PEER_MAX`] connections).

use std::time::Duration;

pub use daruma_types::limits::{FRAME_BYTES_MAX, REPLICAS_MAX};

/// Bytes of one frame on the votes lane. Votes, tokens, summaries and certificates are far smaller;
/// a peer must not be able to delay them by frames of the bulk size.
pub const VOTES_FRAME_BYTES_MAX: usize = 512 * 1024;

/// Bytes of the little-endian length before each frame.
pub const FRAME_HEADER_BYTES: usize = 4;

/// Frames of the votes lane that [`crate::Events`] hands out before a waiting bulk frame gets its turn,
/// so that a flood of votes delays bulk but cannot stop it.
pub const VOTES_IN_A_ROW_MAX: u32 = 32;

/// Established connections to one peer: the one in use, and a newer one that is replacing it.
pub const CONNECTIONS_PER_PEER_MAX: usize = 2;

/// Inbound connections that have not finished their handshake, from anywhere. Twice the largest chain,
/// so that all replicas may arrive at once.
pub const PENDING_INBOUND_MAX: usize = 2 * REPLICAS_MAX;

/// Inbound connections that have not finished their handshake, from one IP address, so that one host
/// cannot take every slot. A whole chain on one host still fits.
pub const PENDING_INBOUND_PER_ADDRESS_MAX: usize = REPLICAS_MAX;

/// Streams of one connection: two of each side's, and as many again for those being negotiated.
pub const STREAMS_PER_CONNECTION_MAX: usize = 8;

/// Bytes that the receive windows of one connection's streams may add up to. The library's default is
/// 1 GiB, which a peer can reach by delaying its answers to round-trip probes. 4 MiB in flight are
/// 40 MB/s over a 100 ms link. (A peer that sends it as one-byte pieces makes the library spend tens
/// of bytes on each.)
pub const CONNECTION_WINDOW_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes of one write to a stream: small frames that wait together go out together.
pub const WRITE_BATCH_BYTES: usize = 64 * 1024;

/// Bytes of a multiplexer frame. Larger ones cost fewer steps per byte, smaller ones let votes slip in
/// between the pieces of a large frame sooner.
pub const MULTIPLEXER_FRAME_BYTES: usize = 32 * 1024;

/// Bytes of the buffer that each stream is read into.
pub const READ_BUFFER_BYTES: usize = 64 * 1024;

/// Addresses tried of those that a peer's host name resolves to.
pub const RESOLVED_ADDRESSES_MAX: usize = 4;

/// Bytes of an error text kept for a peer's status; a longer one is cut.
pub const ERROR_TEXT_BYTES_MAX: usize = 256;

/// Commands from handles to the network's task. Reports of garbage beyond this are dropped: the peer is
/// about to be disconnected for the first one.
pub const COMMANDS_MAX: usize = 64;

/// How long a peer that broke the protocol is refused: longer than the slowest honest redial, so that a
/// liar cannot make this replica do handshakes back to back.
pub const PENALTY: Duration = Duration::from_secs(1);

/// A connection that lasted this long was a good one: the next dial starts over at the shortest delay.
/// Two processes with one key, each pushing the other out, never get there, so they slow down.
pub const STABLE_AFTER: Duration = Duration::from_secs(2);

/// Least time between two log lines about refused connections, so that a flood cannot flood the log.
pub const REFUSAL_LOG_INTERVAL: Duration = Duration::from_secs(1);

/// Least time between two log lines that say that one peer is connected, and between two that say that it
/// is not any more.
pub const LINK_LOG_INTERVAL: Duration = Duration::from_secs(1);

/// How long to wait for the operating system to report the port that it chose.
pub const LISTEN_WAIT: Duration = Duration::from_secs(5);
