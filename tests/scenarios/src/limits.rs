//! Times and sizes of the scenarios, each with its reason.

use std::time::Duration;

/// Transactions of a scenario if nothing else is asked for: seconds on a slow machine, and enough to be
/// in the middle of when something is killed.
pub const TRANSACTIONS_DEFAULT: usize = 1_500;

/// Kills of a scenario if nothing else is asked for: half a minute on a slow machine.
pub const KILLS_DEFAULT: usize = 12;

/// How long a network may take to start: two busy cores start seven processes within it.
pub const START_MAX: Duration = Duration::from_secs(150);

/// How long one replica may take to answer after it was started.
pub const REPLICA_START_MAX: Duration = Duration::from_secs(60);

/// How long processes may take to stop.
pub const STOP_MAX: Duration = Duration::from_secs(30);

/// How long a client tries to get one window confirmed. It covers the restart of all replicas.
pub const CONFIRM_MAX: Duration = Duration::from_secs(120);

/// How long replicas may take to reach the same height once nothing is submitted any more.
pub const AGREE_MAX: Duration = Duration::from_secs(60);

/// How often something is asked for that cannot be waited for.
pub const POLL: Duration = Duration::from_millis(50);

/// Items of a list that are read at once.
pub const PAGE: u64 = 1000;
