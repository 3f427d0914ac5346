//! Snapshots of a replica that is not running, for the command line.

use std::path::Path;
use std::sync::Arc;

use daruma_chainspec::ChainSpec;
use daruma_ledger::{
    FolderShelf, HeldState, LedgerError, SnapshotShelf, SnapshotSize, Trust, verify_snapshot,
};
use daruma_types::{Ed25519, Height, limits::CHUNK_BYTES};

use crate::builder::{Node, StartError};

/// The folder of a replica's snapshots, in its data folder.
pub(crate) const FOLDER: &str = "snapshots";

/// A snapshot as its files say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnapshotInfo {
    /// Its height.
    pub height: Height,
    /// Its chunks.
    pub chunks: u64,
    /// Bytes of all of them.
    pub bytes: u64,
}

/// The snapshots in a data folder, the lowest first. Nothing in them is checked.
///
/// # Errors
/// [`LedgerError::Snapshot`] if a folder cannot be read.
pub fn list(data_dir: &Path) -> Result<Vec<SnapshotInfo>, LedgerError> {
    let shelf = FolderShelf::existing(data_dir.join(FOLDER));
    let mut found = Vec::new();
    for height in shelf.heights()? {
        if let Some((chunks, bytes)) = shelf.size(height)? {
            found.push(SnapshotInfo { height, chunks, bytes });
        }
    }
    Ok(found)
}

/// Reads every chunk of a snapshot in a data folder, and checks it against the chainspec.
///
/// # Errors
/// [`LedgerError::Snapshot`] says what is wrong with it.
pub fn verify(
    spec: &ChainSpec,
    data_dir: &Path,
    height: Height,
) -> Result<SnapshotSize, LedgerError> {
    let shelf = FolderShelf::existing(data_dir.join(FOLDER));
    let trust = Trust { committee: Arc::new(spec.committee()), verifier: Arc::new(Ed25519) };
    verify_snapshot(&shelf, height, &trust)
}

impl Node {
    /// Makes a snapshot of the head of this replica, which is not started. Gives its height.
    ///
    /// # Errors
    /// [`StartError`] says what could not be opened, read or written.
    pub async fn create_snapshot(self) -> Result<Height, StartError> {
        let (store, ledger, shelf) = self.open_ledger().await?;
        let made = tokio::task::spawn_blocking(move || {
            let reader = ledger.reader();
            let state = HeldState::hold(store.as_ref(), &reader)?;
            let height = state.height();
            let Some(checkpoint) = reader.checkpoint(height)? else {
                let why = "fewer than f+1 attestations of it are here; let the replica run for a \
                           moment, or set `every` under [snapshots] in its node.toml"
                    .into();
                return Err(LedgerError::Snapshot { height, why });
            };
            state.write(shelf.as_ref(), CHUNK_BYTES, &mut |_| true)?.finish(&checkpoint)?;
            Ok(height)
        });
        Ok(made.await??)
    }
}
