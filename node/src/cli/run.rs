//! `daruma run`: one replica, until it is told to stop.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use daruma_host::Registry;
use daruma_node::Node;
use daruma_node::config::{LogConfig, NodeConfig};
use serde_json::json;

use super::error::with_causes;
use super::stop::Stop;
use super::{CliError, block_on, chain, output};

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
        let named = |error: &dyn std::error::Error| {
            CliError::bad_input(format!("{}: {}", self.config.display(), with_causes(error)))
        };
        let config = NodeConfig::read(&self.config).map_err(|error| named(&error))?;
        log(config.log)?;
        let spec = chain::read(&self.chain, &Registry::built_in().names().into_iter().collect())?;
        let name = config.name.clone();
        let node = Node::builder(spec, config).build().map_err(|error| named(&error))?;
        block_on(async move {
            let mut stop = Stop::new(self.exit_with_parent)?;
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
            if self.json {
                let (rpc, listen) = (format!("http://{rpc}"), listen.to_string());
                output::json(&json!({
                    "name": name, "pid": std::process::id(), "rpc": rpc, "listen": listen,
                }));
            }
            let why = tokio::select! {
                ended = running.stopped() => {
                    ended.map_err(|error| CliError::failed(with_causes(&error)))?;
                    return Err(CliError::failed("the replica stopped by itself"));
                }
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
