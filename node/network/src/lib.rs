//! Moves frames between the replicas of one chain (DESIGN 7 and 11).
//!
//! A frame is a run of bytes that this crate does not look into. It goes to one replica on one of two
//! lanes, votes or bulk, each a stream of its own, and is delivered with the identity that the
//! connection was authenticated with. Nothing is promised about delivery: what waits too long is
//! dropped for what is newer, and the protocol above repeats what matters (DESIGN 1).
//!
//! # Connections
//! TCP, noise and yamux of libp2p, and no other protocol but our own streams. Only transport keys of the
//! configuration are let in; any other is refused after the handshake, before a stream exists. The lower
//! id of each pair dials, for ever; the higher id helps out when that brings nothing for a while. Each
//! side writes to the two streams that it opened and reads the two that the other opened.
//!
//! # Bounds
//! All are in [`limits`] and [`NetworkSettings`]. A consumer that does not take frames stops the reading
//! of that peer's stream, and so in the end the peer's writing; it never costs memory beyond the bounds
//! and never delays other peers.
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::panic))]

mod behaviour;
mod config;
mod dialler;
mod events;
mod frames;
mod handler;
#[cfg(feature = "laboratory")]
pub mod laboratory;
pub mod limits;
mod log_gate;
mod muxer;
mod network;
mod peers;
mod queue;
mod streams;
mod task;
mod transport;

pub use config::{
    LaneSettings, NetworkConfig, NetworkError, NetworkSettings, PeerConfig, frame_bytes_max,
    transport_public_key,
};
pub use daruma_types::Lane;
pub use events::{Event, Events};
pub use network::Network;
pub use peers::{NetworkCounters, PeerStatus};
