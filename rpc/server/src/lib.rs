//! The JSON-RPC server of a node: HTTP and WebSocket on one port, every limit set.
//!
//! The node hands over a [`Backend`] and starts a [`Server`]. The server reads the ledger by itself;
//! everything else passes through the backend's channels. It never touches the engine.
//!
//! Beside JSON-RPC (POST, or WebSocket, on any path) there are `GET /livez` and `GET /readyz`.
//! Browsers are kept out: a request with an `Origin` is refused, and so is one whose `Host` is a name
//! that was not allowed (DNS rebinding).
#![cfg_attr(not(test), deny(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing))]

mod app;
mod calls;
mod chain;
mod confirm;
mod context;
mod events;
mod http;
pub mod limits;
mod node;
mod paced;
mod pending;
mod seam;
mod server;
mod tx;
mod waiters;

pub use seam::{
    Accepted, Backend, BackupMade, BackupRefused, DetectorStatus, LedgerEvent, LinkStatus,
    NodeIdentity, PeerInfo, Refused, ScrubState, StatusSnapshot, Submission,
};
pub use server::{Config, Server, ServerError};
