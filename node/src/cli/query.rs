//! `daruma query`: a question to the automaton.

use clap::Args;
use daruma_rpc_api::{AppApiClient, RpcFailure};
use daruma_rpc_client::Connection;
use jsonrpsee::core::ClientError;
use serde_json::Value;

use super::{CliError, block_on, output};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The replica to ask: http://host:port or ws://host:port.
    #[arg(long, value_name = "URL")]
    rpc: String,
    /// The query, such as `range` of append-list.
    path: String,
    /// The query's data, in JSON.
    data: Option<String>,
    /// Print the whole answer in one line, with the height and the state root that it is for.
    #[arg(long)]
    json: bool,
}

impl Arguments {
    pub(crate) fn execute(self) -> Result<(), CliError> {
        let data = match &self.data {
            None => None,
            Some(text) => Some(serde_json::from_str::<Value>(text).map_err(|error| {
                CliError::bad_input(format!("the query's data is not JSON: {error}"))
            })?),
        };
        let answer = block_on(async {
            let connection = Connection::open(&self.rpc).await.map_err(CliError::bad_input)?;
            let answer = AppApiClient::query(&connection, self.path, data).await;
            answer.map_err(|error| CliError::failed(format!("{}: {}", self.rpc, explained(&error))))
        })?;
        if self.json {
            output::json(&answer);
        } else {
            output::line(serde_json::to_string_pretty(&answer.value).unwrap_or_default());
        }
        Ok(())
    }
}

/// What a node refuses, in its own words.
pub(crate) fn explained(error: &ClientError) -> String {
    if let ClientError::Call(object) = error
        && let Some(failure) = RpcFailure::read(object)
    {
        return failure.to_string();
    }
    error.to_string()
}
