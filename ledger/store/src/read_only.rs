//! Opening a store to look at it: nothing in its folder is written, and nothing is repaired.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use rocksdb::{Cache, ColumnFamilyDescriptor, DB, DBRecoveryMode};
use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;

use crate::rocks::{Rocks, RocksStore, column_options, database_options, is_damage};
use crate::salvage::headless;
use crate::{Column, StoreError, limits};

/// A store that was opened to be looked at.
#[derive(Debug)]
pub enum ReadOnly {
    /// It can be read. Every write to it fails.
    Opened {
        /// The store. Nobody else can open it while it lives.
        store: Arc<RocksStore>,
        /// What is wrong with the log of the last writes, of which only what is before the damage is seen.
        log_damage: Option<String>,
    },
    /// Its files do not fit together: a start would salvage it.
    Damaged {
        /// What RocksDB found.
        why: String,
    },
}

impl RocksStore {
    /// Opens the store in the folder `path` without changing anything there. RocksDB writes its own log
    /// for people to `scratch`, a folder that is there.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if a node has it open; [`StoreError::Open`] if there is none, or the system
    /// does not let it be read.
    pub fn open_read_only(
        path: impl AsRef<Path>,
        scratch: impl AsRef<Path>,
    ) -> Result<ReadOnly, StoreError> {
        let path = path.as_ref();
        let failed = |why: &dyn ToString| StoreError::open(path, why.to_string());
        if !path.try_exists().map_err(|error| failed(&error))? {
            return Err(failed(&"there is no such folder"));
        }
        let lock = lock(path)?;
        if let Some(why) = headless(path).map_err(|error| failed(&error))? {
            return Ok(ReadOnly::Damaged { why });
        }
        if !path.join("CURRENT").try_exists().map_err(|error| failed(&error))? {
            return Err(failed(&"there is no store in it"));
        }
        let mut log_damage = None;
        for log in [DBRecoveryMode::TolerateCorruptedTailRecords, DBRecoveryMode::PointInTime] {
            match open(path, scratch.as_ref(), log) {
                Ok(db) => {
                    let store = Self::over(Rocks::locked(db, lock));
                    return Ok(ReadOnly::Opened { store: Arc::new(store), log_damage });
                }
                Err(error) if is_damage(&error) => log_damage = Some(error.to_string()),
                Err(error) => return Err(failed(&error)),
            }
        }
        Ok(ReadOnly::Damaged { why: log_damage.unwrap_or_default() })
    }
}

/// Takes the lock that a node takes, but shared: it does not write to the file.
fn lock(path: &Path) -> Result<Option<File>, StoreError> {
    let failed = |error: &dyn ToString| StoreError::open(path, error.to_string());
    let file = match File::open(path.join("LOCK")) {
        Ok(file) => file,
        // Nobody ever opened it there: a copy.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => return Ok(None),
        Err(error) => return Err(failed(&error)),
    };
    match fcntl_lock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(Some(file)),
        Err(Errno::AGAIN | Errno::ACCESS) => Err(StoreError::Locked { path: path.to_path_buf() }),
        // A file system without locks.
        Err(Errno::NOLCK | Errno::NOTSUP | Errno::INVAL) => Ok(None),
        Err(error) => Err(failed(&io::Error::from(error))),
    }
}

fn open(path: &Path, scratch: &Path, log: DBRecoveryMode) -> Result<DB, rocksdb::Error> {
    let mut options = database_options();
    options.create_if_missing(false);
    options.create_missing_column_families(false);
    options.set_wal_recovery_mode(log);
    options.set_db_log_dir(scratch);
    let cache = Cache::new_lru_cache(limits::BLOCK_CACHE_BYTES);
    // Tables that this store is too old for are not there.
    let there = DB::list_cf(&options, path)?;
    let columns = Column::ALL.into_iter().filter(|column| there.iter().any(|c| c == column.name()));
    let columns = columns
        .map(|column| ColumnFamilyDescriptor::new(column.name(), column_options(column, &cache)));
    DB::open_cf_descriptors_read_only(&options, path, columns, false)
}
