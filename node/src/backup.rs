//! Backups of a replica's store: made of a running node as a checkpoint, of a stopped one as a copy, and put
//! in the place of a lost one.
//!
//! ```text
//! data/backups/1234-1735689600000/backup.json    which chain, which block, when
//!                                /ledger/        a store
//! ```

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use daruma_driver::now_ms;
use daruma_ledger::{HeadInfo, LedgerError, LedgerReader};
use daruma_store::{Batch, Column, Heal, HealComponent, RESTORED, RocksStore, Store, StoreError};
use daruma_types::{Height, codec};
use serde::{Deserialize, Serialize};

use crate::audit::LEDGER;

/// Name of the folder, within a data folder, that a running node writes backups to.
pub const BACKUPS: &str = "backups";

/// Backups that a node keeps in its data folder. It never removes one; when there are so many it makes no
/// more, so that whoever can call it cannot fill the disk.
pub const BACKUPS_MAX: usize = 4;

/// Name of the file that says what a backup is of.
const ABOUT: &str = "backup.json";

/// What a backup is of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct About {
    /// The chain's id.
    pub chain_id: String,
    /// The replica's name.
    pub node: String,
    /// Its last executed height.
    pub height: u64,
    /// The block there.
    pub block_hash: String,
    /// The state after it.
    pub state_root: String,
    /// When it was made, in ms since 1970, by the replica's clock.
    pub at_ms: u64,
}

/// Why there is no backup, or none was put in place.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The node keeps as many as it may.
    #[error(
        "{count} backups are in {path} already, the most that are kept there: move one away first",
        path = path.display()
    )]
    Full {
        /// How many there are.
        count: usize,
        /// Where.
        path: PathBuf,
    },
    /// The place is taken.
    #[error("{path} is not empty: name another folder, or use --force", path = path.display())]
    Taken {
        /// The place.
        path: PathBuf,
    },
    /// The folder does not hold a backup.
    #[error("{path} holds no backup: {why}", path = path.display())]
    None {
        /// The folder.
        path: PathBuf,
        /// What is missing.
        why: String,
    },
    /// The disk or the system refused.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger's head cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> BackupError + '_ {
    move |source| BackupError::Io { path: path.to_owned(), source }
}

/// Makes a backup of an open store under `data`, and gives where it lies.
///
/// # Errors
/// [`BackupError::Full`], or that disk or store refused.
pub fn make(
    data: &Path,
    node: &str,
    store: &RocksStore,
    reader: &LedgerReader,
) -> Result<(PathBuf, About), BackupError> {
    let backups = data.join(BACKUPS);
    fs::create_dir_all(&backups).map_err(failed(&backups))?;
    let making = backups.join(".making");
    remove(&making)?;
    let count = fs::read_dir(&backups).map_err(failed(&backups))?.count();
    if count >= BACKUPS_MAX {
        return Err(BackupError::Full { count, path: backups });
    }
    fs::create_dir(&making).map_err(failed(&making))?;
    // The head is read before: the checkpoint has that block or a later one, and a start tells which.
    let about = about(reader.chain().to_string(), node, &reader.head()?);
    store.checkpoint(making.join(LEDGER))?;
    write_about(&making, &about)?;
    let place = backups.join(format!("{}-{}", about.height, about.at_ms));
    fs::rename(&making, &place).map_err(failed(&place))?;
    sync(&backups)?;
    Ok((place, about))
}

fn about(chain_id: String, node: &str, head: &HeadInfo) -> About {
    About {
        chain_id,
        node: node.to_owned(),
        height: head.statement.height.0,
        block_hash: head.statement.block.to_hex(),
        state_root: head.statement.state_root.to_hex(),
        at_ms: now_ms(),
    }
}

/// Makes a backup of a stopped node's data folder at `out`, which must not be there or be empty.
///
/// # Errors
/// [`StoreError::Locked`] if a node runs on it, [`BackupError::Taken`], or that the disk refused.
pub fn copy_stopped(data: &Path, node: &str, out: &Path) -> Result<About, BackupError> {
    must_be_free(out)?;
    let folder = data.join(LEDGER);
    let scratch = tempfile::tempdir().map_err(failed(out))?;
    let found = RocksStore::open_read_only(&folder, scratch.path())?;
    let daruma_store::ReadOnly::Opened { store, .. } = found else {
        let why =
            "its files do not fit together; start the replica, which salvages them, first".into();
        return Err(BackupError::None { path: folder, why });
    };
    let store: std::sync::Arc<dyn Store> = store;
    let chain = daruma_types::ChainId(
        store
            .row(Column::Meta, daruma_store::CHAIN)?
            .and_then(|row| codec::decode_stored(&row).ok())
            .unwrap_or_default(),
    );
    let reader = LedgerReader::new(store, chain);
    let about = about(chain.to_string(), node, &reader.head()?);
    // The store stays open, and so locked, until everything is copied.
    copy_files(&folder, &out.join(LEDGER))?;
    write_about(out, &about)?;
    drop(reader);
    Ok(about)
}

/// Moves a backup that a node made out of its data folder, to `out`, which must not be there or be empty.
///
/// # Errors
/// [`BackupError::Taken`], or that the disk refused; the backup is where it was then.
pub fn move_out(from: &Path, out: &Path) -> Result<(), BackupError> {
    must_be_free(out)?;
    copy_files(&from.join(LEDGER), &out.join(LEDGER))?;
    write_about(out, &read(from)?)?;
    remove(from)
}

/// What the backup at `from` is of.
///
/// # Errors
/// [`BackupError::None`] if there is none.
pub fn read(from: &Path) -> Result<About, BackupError> {
    let none = |why: String| BackupError::None { path: from.to_owned(), why };
    if !from.join(LEDGER).is_dir() {
        return Err(none(format!("the folder {LEDGER} is missing")));
    }
    let text = fs::read_to_string(from.join(ABOUT)).map_err(|e| none(format!("{ABOUT}: {e}")))?;
    serde_json::from_str(&text).map_err(|error| none(format!("{ABOUT}: {error}")))
}

/// Puts the backup at `from` in the place of the store in `data`. What is there stays beside it, as
/// `ledger.replaced`, and only with `force`. The store is marked as restored: its journal is as old as the
/// backup. Look at the backup first, see [`crate::audit::audit_folder`].
///
/// # Errors
/// [`BackupError::Taken`] without `force`; [`StoreError::Locked`] if a node runs there.
pub fn restore(from: &Path, data: &Path, force: bool) -> Result<(), BackupError> {
    let about = read(from)?;
    let (place, fresh) = (data.join(LEDGER), data.join("ledger.restoring"));
    let replaced = data.join("ledger.replaced");
    if !is_free(&place)? {
        if !force {
            return Err(BackupError::Taken { path: place });
        }
        let scratch = tempfile::tempdir().map_err(failed(data))?;
        // Whatever its files are like, no node may have it open.
        if let Err(locked @ StoreError::Locked { .. }) =
            RocksStore::open_read_only(&place, scratch.path())
        {
            return Err(locked.into());
        }
    }
    remove(&fresh)?;
    copy_files(&from.join(LEDGER), &fresh)?;
    let store = RocksStore::open(&fresh)?;
    let at_ms = now_ms();
    let mut batch = Batch::default();
    batch.put(Column::Meta, RESTORED, codec::encode(&(Height(about.height), at_ms)));
    store.mend(batch)?;
    let cause = "the store was restored from a backup";
    let done = "marked as restored: votes cast since the backup may be forgotten";
    let evidence = format!("backup of {} at height {}", about.node, about.height);
    let heal = Heal::new(at_ms, HealComponent::Journal, cause, done).with_evidence(evidence);
    store.note_heals(&[heal])?;
    drop(store);
    if !is_free(&place)? {
        remove(&replaced)?;
        fs::rename(&place, &replaced).map_err(failed(&replaced))?;
    } else if place.exists() {
        remove(&place)?;
    }
    fs::rename(&fresh, &place).map_err(failed(&place))?;
    sync(data)
}

/// Whether there is nothing at `path`, or an empty folder.
fn is_free(path: &Path) -> Result<bool, BackupError> {
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(false),
        Err(error) => Err(failed(path)(error)),
    }
}

/// Whether a backup may be put at `path`.
///
/// # Errors
/// [`BackupError::Taken`] if something is there.
pub fn must_be_free(path: &Path) -> Result<(), BackupError> {
    match is_free(path)? {
        true => Ok(()),
        false => Err(BackupError::Taken { path: path.to_owned() }),
    }
}

/// Copies the files of a store, and waits until they are on the disk.
fn copy_files(from: &Path, to: &Path) -> Result<(), BackupError> {
    fs::create_dir_all(to).map_err(failed(to))?;
    for entry in fs::read_dir(from).map_err(failed(from))? {
        let entry = entry.map_err(failed(from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        // The lock belongs to a place, and the log for people to a process.
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name == "LOCK" || name == "LOG" || name.starts_with("LOG.old") || source.is_dir() {
            continue;
        }
        fs::copy(&source, &target).map_err(failed(&source))?;
        File::open(&target).and_then(|file| file.sync_all()).map_err(failed(&target))?;
    }
    sync(to)
}

fn write_about(folder: &Path, about: &About) -> Result<(), BackupError> {
    let path = folder.join(ABOUT);
    let text = serde_json::to_string_pretty(about).unwrap_or_default();
    fs::write(&path, text).map_err(failed(&path))?;
    File::open(&path).and_then(|file| file.sync_all()).map_err(failed(&path))?;
    sync(folder)
}

fn sync(folder: &Path) -> Result<(), BackupError> {
    File::open(folder).and_then(|file| file.sync_all()).map_err(failed(folder))
}

fn remove(path: &Path) -> Result<(), BackupError> {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(path)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}
