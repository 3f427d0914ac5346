//! `daruma snapshot`: snapshots of the state, in a replica's data folder.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use daruma_node::config::NodeConfig;
use daruma_node::{Node, snapshots};
use daruma_types::Height;
use serde_json::json;

use super::error::with_causes;
use super::{CliError, block_on, chain, node_file, output};

#[derive(Debug, Subcommand)]
pub(crate) enum Arguments {
    /// Make a snapshot of the last executed block of a replica that is not running.
    ///
    /// A running replica makes them by itself if its node.toml says so: see [snapshots] there.
    Create(Files),
    /// List the snapshots of a replica.
    List {
        /// The node.toml of the replica.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Read the snapshots of a replica and check every chunk against the chain.toml.
    Verify {
        #[command(flatten)]
        files: Files,
        /// Only the snapshot of this height.
        #[arg(long)]
        height: Option<u64>,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Files {
    /// The chain.toml that all replicas share.
    #[arg(long, value_name = "FILE", env = "DARUMA_CHAIN")]
    chain: PathBuf,
    /// The node.toml of the replica.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn failed(error: &dyn std::error::Error) -> CliError {
    CliError::failed(with_causes(error))
}

impl Arguments {
    pub(crate) fn execute(self) -> Result<(), CliError> {
        match self {
            Self::Create(files) => create(&files),
            Self::List { config: file, json } => list(&node_file::read(&file)?, json),
            Self::Verify { files, height } => verify(&files, height.map(Height)),
        }
    }
}

fn create(files: &Files) -> Result<(), CliError> {
    let config = node_file::read(&files.config)?;
    let spec = chain::read_built_in(&files.chain)?;
    let node = Node::builder(spec, config);
    let node = node.build().map_err(|error| node_file::refused(&files.config, &error))?;
    let height = block_on(async { node.create_snapshot().await.map_err(|error| failed(&error)) })?;
    if files.json {
        output::json(&json!({ "height": height.0 }));
    } else {
        output::line(format!("made a snapshot at height {height}"));
    }
    Ok(())
}

fn list(config: &NodeConfig, json: bool) -> Result<(), CliError> {
    let found = snapshots::list(&config.data_dir).map_err(|error| failed(&error))?;
    if json {
        let list: Vec<_> = found
            .iter()
            .map(|s| json!({ "height": s.height.0, "chunks": s.chunks, "bytes": s.bytes }))
            .collect();
        output::json(&list);
        return Ok(());
    }
    let mut rows = vec![["height", "chunks", "bytes"].map(str::to_owned).to_vec()];
    rows.extend(
        found.iter().map(|s| vec![s.height.to_string(), s.chunks.to_string(), s.bytes.to_string()]),
    );
    output::table(&rows);
    Ok(())
}

fn verify(files: &Files, height: Option<Height>) -> Result<(), CliError> {
    let config = node_file::read(&files.config)?;
    let spec = chain::read_built_in(&files.chain)?;
    let heights = match height {
        Some(height) => vec![height],
        None => {
            let found = snapshots::list(&config.data_dir).map_err(|error| failed(&error))?;
            found.iter().map(|snapshot| snapshot.height).collect()
        }
    };
    let mut bad = false;
    for height in heights {
        match snapshots::verify(&spec, &config.data_dir, height) {
            Ok(size) if files.json => output::json(&json!({
                "height": height.0, "sound": true, "chunks": size.chunks, "bytes": size.bytes,
                "entries": size.entries,
            })),
            Ok(size) => output::line(format!(
                "height {height}: sound; {} entries in {} chunks",
                size.entries, size.chunks
            )),
            Err(error) => {
                bad = true;
                let why = with_causes(&error);
                if files.json {
                    output::json(&json!({ "height": height.0, "sound": false, "why": why }));
                } else {
                    output::line(why);
                }
            }
        }
    }
    if bad { Err(CliError::Told) } else { Ok(()) }
}
