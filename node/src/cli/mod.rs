//! The commands, one file for each.

mod backup;
mod begin_again;
mod chain;
mod dev;
mod doctor;
mod error;
mod heal_log;
mod keys;
mod node_file;
mod operations;
mod output;
mod query;
mod run;
#[cfg(feature = "simulate")]
mod simulate;
mod snapshot;
mod status;
mod stop;
mod tx;
mod verify;

use clap::{Parser, Subcommand};
use daruma_node::config::{LogConfig, LogLevel};

pub(crate) use error::CliError;

/// A ledger that a fixed group of replicas keeps together, and that rights itself.
///
/// Exit codes: 0 done, 1 failed, 2 bad input.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a network on this machine, each replica in a process of its own.
    Dev(dev::Arguments),
    /// Run one replica.
    Run(run::Arguments),
    /// Make or check a chain.toml, which all replicas and clients of a chain share.
    #[command(subcommand)]
    Chain(chain::Arguments),
    /// Make key files, or show their public keys.
    #[command(subcommand)]
    Keys(keys::Arguments),
    /// Submit transactions.
    #[command(subcommand)]
    Tx(tx::Arguments),
    /// Ask the automaton a question: one replica's word.
    Query(query::Arguments),
    /// Show where the replicas stand.
    Status(status::Arguments),
    /// Show what a replica repaired by itself.
    HealLog(heal_log::Arguments),
    /// Look at everything in a stopped replica's data folder, and change nothing.
    Verify(verify::Arguments),
    /// Look for what keeps a replica from running well, and say what to do. Changes nothing.
    Doctor(doctor::Arguments),
    /// Make a backup of a replica's store, or put one in place.
    #[command(subcommand)]
    Backup(backup::Arguments),
    /// Make, list or check snapshots of a replica's state.
    #[command(subcommand)]
    Snapshot(snapshot::Arguments),
    /// Search for a fault in simulated networks.
    #[cfg(feature = "simulate")]
    Simulate(simulate::Arguments),
}

impl Cli {
    /// Does what was asked for. `log` starts the logging and is called once.
    pub(crate) fn execute(
        self,
        log: impl Fn(LogConfig) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        // Of what a command prints, the log is no part; but `run` has a file that says what to log.
        let quiet = || log(LogConfig { level: LogLevel::Error, ..LogConfig::default() });
        match self.command {
            Command::Run(arguments) => arguments.execute(log),
            Command::Dev(arguments) => quiet().and_then(|()| arguments.execute()),
            Command::Chain(arguments) => quiet().and_then(|()| arguments.execute()),
            Command::Keys(arguments) => quiet().and_then(|()| arguments.execute()),
            Command::Tx(arguments) => quiet().and_then(|()| arguments.execute()),
            Command::Query(arguments) => quiet().and_then(|()| arguments.execute()),
            Command::Status(arguments) => quiet().and_then(|()| arguments.execute()),
            Command::HealLog(arguments) => quiet().and_then(|()| arguments.execute()),
            Command::Verify(arguments) => quiet().and_then(|()| arguments.execute()),
            Command::Doctor(arguments) => quiet().and_then(|()| arguments.execute()),
            Command::Backup(arguments) => quiet().and_then(|()| arguments.execute()),
            Command::Snapshot(arguments) => quiet().and_then(|()| arguments.execute()),
            #[cfg(feature = "simulate")]
            Command::Simulate(arguments) => quiet().and_then(|()| simulate::execute(&arguments)),
        }
    }
}

/// Runs the asynchronous part of a command.
fn block_on<T>(work: impl Future<Output = Result<T, CliError>>) -> Result<T, CliError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::failed(format!("cannot start threads: {error}")))?;
    let result = runtime.block_on(work);
    // What is still running was given its time already.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    result
}
