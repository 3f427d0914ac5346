//! `daruma`: a node, networks of nodes for development, and a client.

mod cli;

use std::io::{self, IsTerminal};
use std::process::ExitCode;

use clap::Parser;
use daruma_node::config::{LogConfig, LogFormat, LogLevel};
use tracing_subscriber::EnvFilter;

use crate::cli::{Cli, CliError};

/// Overrides the configured level, in the filter language of the `tracing-subscriber` crate.
const LOG_VARIABLE: &str = "DARUMA_LOG";

fn main() -> ExitCode {
    match Cli::parse().execute(start_logging) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.is_silent() {
                eprintln!("error: {error}");
            }
            error.exit_code()
        }
    }
}

/// Sends log messages to the standard error stream. Called once, when the command knows what to log.
fn start_logging(log: LogConfig) -> Result<(), CliError> {
    let filter = match std::env::var(LOG_VARIABLE) {
        Ok(text) => EnvFilter::try_new(&text).map_err(|error| {
            CliError::bad_input(format!("{LOG_VARIABLE}={text:?} is no log filter: {error}"))
        })?,
        // Libraries log what only their authors understand.
        Err(_) => EnvFilter::new(match log.level {
            LogLevel::Error => "error".to_owned(),
            level @ (LogLevel::Warn | LogLevel::Info | LogLevel::Debug | LogLevel::Trace) => {
                format!("warn,daruma={}", level.name())
            }
        }),
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        // It would tell of a log that cannot be written in the same place, and panic.
        .log_internal_errors(false)
        .with_ansi(io::stderr().is_terminal());
    match log.format {
        LogFormat::Text => subscriber.init(),
        LogFormat::Json => subscriber.json().init(),
    }
    Ok(())
}
