//! The network on real sockets of this machine.
#![expect(clippy::unwrap_used, reason = "what tests share fails the test too")]

mod cluster;
mod links;
mod pressure;
mod proxy;
mod raw;
mod refusals;
