//! `daruma run`: one replica, until it is told to stop. It begins again by itself where only that helps.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use daruma_node::Node;
use daruma_node::config::LogConfig;
use rustix::process::Signal;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::begin_again::{Lives, begin_again};
use super::error::with_causes;
use super::stop::Stop;
use super::{CliError, block_on, chain, node_file, output};

/// How long a replica may take to stop before the process ends without it. What it promised is on
/// disk already.
const SHUTDOWN_MAX: Duration = Duration::from_secs(10);

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The chain.toml that all replicas share.
    #[arg(long, value_name = "FILE", env = "DARUMA_CHAIN")]
    chain: PathBuf,
    /// The node.toml of this replica.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print one JSON object when the replica has started.
    #[arg(long)]
    json: bool,
    /// Stop when the standard input ends.
    #[arg(long, hide = true)]
    exit_with_parent: bool,
}

impl Arguments {
    pub(crate) fn execute(
        self,
        log: impl Fn(LogConfig) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let config = node_file::read(&self.config)?;
        log(config.log)?;
        let spec = chain::read_built_in(&self.chain)?;
        let name = config.name.clone();
        let lives = Lives::told();
        let mut node = Node::builder(spec, config);
        if let Some(lives) = &lives {
            node = node.began_again(lives.why.clone());
        }
        let node = node.build().map_err(|error| node_file::refused(&self.config, &error))?;
        let begun = Instant::now();
        block_on(async move {
            let mut stop = Stop::new(self.exit_with_parent)?;
            // A file that may not grow is an error of the disk like any other, and no reason to be ended.
            let _handled = signal(SignalKind::from_raw(Signal::XFSZ.as_raw()))
                .map_err(|error| CliError::failed(format!("signals: {error}")))?;
            let starting = node.start();
            let started = tokio::select! {
                started = starting => started,
                why = stop.requested() => {
                    tracing::info!(why, "stopped while starting");
                    return Ok(());
                }
            };
            let mut running = started.map_err(|error| CliError::failed(with_causes(&error)))?;
            let (rpc, listen) = (running.rpc(), running.listen());
            if self.json && lives.is_none() {
                let (rpc, listen) = (format!("http://{rpc}"), listen.to_string());
                output::json(&json!({
                    "name": name, "pid": std::process::id(), "rpc": rpc, "listen": listen,
                }));
            }
            let why = tokio::select! {
                ended = running.stopped() => match ended {
                    Ok(()) => return Err(CliError::failed("the replica stopped by itself")),
                    Err(error) if error.begins_again() => {
                        let why = with_causes(&error);
                        // What still can is closed; what cannot ends with the process's threads.
                        let _left = tokio::time::timeout(SHUTDOWN_MAX, running.shutdown()).await;
                        return Err(tokio::select! {
                            failed = begin_again(begun, &why) => failed,
                            _ = stop.requested() => CliError::failed(why),
                        });
                    }
                    Err(error) => return Err(CliError::failed(with_causes(&error))),
                },
                why = stop.requested() => why,
            };
            tracing::info!(why, "stopping");
            tokio::select! {
                _ = tokio::time::timeout(SHUTDOWN_MAX, running.shutdown()) => {}
                _ = stop.requested() => {}
            }
            Ok(())
        })
    }
}
