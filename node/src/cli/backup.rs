//! `daruma backup`: copies of a replica's store, and putting one in place.

use std::path::PathBuf;

use clap::Subcommand;
use daruma_node::audit::audit_folder;
use daruma_node::backup;
use daruma_rpc_api::NodeApiClient;
use daruma_rpc_client::Connection;
use daruma_store::StoreError;
use serde_json::json;

use super::error::with_causes;
use super::query::explained;
use super::{CliError, block_on, chain, output};

#[derive(Debug, Subcommand)]
pub(crate) enum Arguments {
    /// Make a backup: of a running replica with --rpc, on its own machine, or of a stopped one with --data.
    Create {
        /// The running replica: http://host:port or ws://host:port. It makes the backup under `backups` in
        /// its data folder, from where it is moved.
        #[arg(long, value_name = "URL", required_unless_present = "data")]
        rpc: Option<String>,
        /// The data folder of a stopped replica.
        #[arg(long, value_name = "DIR", conflicts_with = "rpc")]
        data: Option<PathBuf>,
        /// Where to put the backup: a folder that is not there, or empty.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Look at everything in a backup, as `daruma verify` does, and put it in the place of a replica's store.
    /// Its journal is as old as the backup: read docs/operations.md first.
    Restore {
        /// The backup.
        #[arg(long, value_name = "DIR")]
        from: PathBuf,
        /// The data folder, of which `ledger` must not be there or be empty.
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// The chain.toml of the chain.
        #[arg(long, value_name = "FILE", env = "DARUMA_CHAIN")]
        chain: PathBuf,
        /// Replace what is there; it is kept beside, as `ledger.replaced`.
        #[arg(long)]
        force: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
}

impl Arguments {
    pub(crate) fn execute(self) -> Result<(), CliError> {
        match self {
            Self::Create { rpc: Some(rpc), out, json, .. } => create_of_running(&rpc, &out, json),
            Self::Create { data, out, json, .. } => {
                let data = data.unwrap_or_default();
                let about = backup::copy_stopped(&data, "stopped replica", &out).map_err(told)?;
                show(&out, &about, json);
                Ok(())
            }
            Self::Restore { from, data, chain, force, json } => {
                let (spec, automaton) = chain::with_automaton(&chain)?;
                let about = backup::read(&from).map_err(told)?;
                let audit = audit_folder(&from, &spec, automaton, false, &mut |_| {});
                let audit = audit.map_err(|error| CliError::bad_input(with_causes(&error)))?;
                if !audit.is_clean() {
                    let count = audit.files.len() + audit.rows.findings.len();
                    return Err(CliError::failed(format!(
                        "the backup is not what it was, {count} findings: nothing was put in place; \
                         `daruma verify --data {}` says more",
                        from.display()
                    )));
                }
                backup::restore(&from, &data, force).map_err(told)?;
                show(&data, &about, json);
                Ok(())
            }
        }
    }
}

fn create_of_running(rpc: &str, out: &std::path::Path, json: bool) -> Result<(), CliError> {
    backup::must_be_free(out).map_err(told)?;
    let made = block_on(async {
        let connection = Connection::open(rpc).await.map_err(CliError::bad_input)?;
        let made = connection.backup().await;
        made.map_err(|error| CliError::failed(format!("{rpc}: {}", explained(&error))))
    })?;
    let from = PathBuf::from(&made.path);
    if !from.is_dir() {
        return Err(CliError::failed(format!(
            "the replica made its backup at {} on its own machine: fetch it from there",
            made.path
        )));
    }
    let about = backup::read(&from).map_err(told)?;
    backup::move_out(&from, out).map_err(told)?;
    show(out, &about, json);
    Ok(())
}

fn show(place: &std::path::Path, about: &backup::About, json: bool) {
    if json {
        output::json(&json!({ "path": place, "about": about }));
    } else {
        let (place, height) = (place.display(), about.height);
        output::line(format!(
            "{place}: {} at height {height}, state {}",
            about.node, about.state_root
        ));
    }
}

fn told(error: backup::BackupError) -> CliError {
    match error {
        backup::BackupError::Taken { .. }
        | backup::BackupError::None { .. }
        | backup::BackupError::Store(StoreError::Locked { .. }) => {
            CliError::bad_input(with_causes(&error))
        }
        backup::BackupError::Full { .. }
        | backup::BackupError::Io { .. }
        | backup::BackupError::Store(_)
        | backup::BackupError::Ledger(_) => CliError::failed(with_causes(&error)),
    }
}
