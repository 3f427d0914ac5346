//! The server over real sockets, with a real ledger in memory; only the replicas are played by the
//! tests.
#![expect(clippy::unwrap_used, reason = "a test's helpers fail the test")]

mod client;
mod errors;
mod gate;
mod harness;
mod heads;
mod methods;
mod waiting;
