//! Networks of real processes for tests: started with `daruma dev`, killed, started again, driven by
//! real clients over real sockets, and compared replica by replica.
//!
//! The tests that use this are in this package's folder `tests` and belong to `daruma-node`, because
//! Cargo tells the path of a program only to tests of the package that builds it. The program
//! `daruma-load` of this package measures.

pub mod checks;
pub mod clients;
pub mod limits;
mod network;
mod process;

pub use network::{DevNetwork, Options, Replica, with_network};
pub use process::{Usage, loopback_bytes, send_signal, usage};

use tokio::sync::{Mutex, MutexGuard};

/// Lets the networks of one test program run one after the other: together they would only measure how
/// long they wait for each other.
pub async fn one_at_a_time() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}

/// How many transactions a scenario submits: `DARUMA_SCENARIO_TRANSACTIONS`, or 1,500.
#[must_use]
pub fn transactions() -> usize {
    let set = std::env::var("DARUMA_SCENARIO_TRANSACTIONS").ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(limits::TRANSACTIONS_DEFAULT)
}

/// How many replicas a scenario kills one after the other: `DARUMA_SCENARIO_KILLS`, or 12.
#[must_use]
pub fn kills() -> usize {
    let set = std::env::var("DARUMA_SCENARIO_KILLS").ok();
    set.and_then(|text| text.parse().ok()).unwrap_or(limits::KILLS_DEFAULT)
}
