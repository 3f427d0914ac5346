//! Rows on disk, in RocksDB.

use std::fs::File;
use std::path::Path;
use std::sync::OnceLock;

use rocksdb::checkpoint::Checkpoint;
use rocksdb::{
    BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB, DBCompressionType,
    DBRecoveryMode, Direction, ErrorKind, IteratorMode, LogLevel, Options, ReadOptions, WriteBatch,
    WriteOptions,
};

use crate::error::key_text;
use crate::{Backend, Batch, Column, Row, Rows, StoreError, Sync, Tables, limits};

/// Bits of the filters that spare a read for a key that is not there: about 1 in 100 is read in vain.
const FILTER_BITS_PER_KEY: f64 = 10.0;

/// The store of a node, in a folder of its own, which is locked while it is open. Dropping it closes
/// it; whatever was written with [`Sync::Yes`] is there when it is opened again, closed or not.
pub type RocksStore = Tables<Rocks>;

/// The [`Backend`] of [`RocksStore`].
#[derive(Debug)]
pub struct Rocks {
    db: DB,
    /// The first damage that a read met in a file.
    damage: OnceLock<String>,
    /// Keeps others from opening a store that is only read.
    _lock: Option<File>,
}

impl RocksStore {
    /// Opens the store in the folder `path`, or makes one there.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if it is open already, else [`StoreError::Open`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let db = open_database(path, DBRecoveryMode::PointInTime)
            .map_err(|error| StoreError::open(path, error))?;
        Ok(Self::over(Rocks::of(db)))
    }

    /// Makes a store of its own in the folder `path`, which must not be there, with all rows as they are now.
    /// Table files are shared with it where both are on one disk.
    ///
    /// # Errors
    /// [`StoreError::Open`] that names the folder.
    pub fn checkpoint(&self, path: impl AsRef<Path>) -> Result<(), StoreError> {
        let path = path.as_ref();
        let made = Checkpoint::new(&self.backend().db).and_then(|c| c.create_checkpoint(path));
        made.map_err(|error| StoreError::open(path, error))
    }

    /// The first damage in a file that was met since the store was opened. Rows that are written anew hide
    /// the damaged ones, but the file stays, and RocksDB stops writing when it comes to merge it with
    /// others: see [`Self::salvage`].
    #[must_use]
    pub fn file_damage(&self) -> Option<&str> {
        self.backend().damage.get().map(String::as_str)
    }
}

/// Opens the database in a folder, or makes one there.
pub(crate) fn open_database(path: &Path, log: DBRecoveryMode) -> Result<DB, rocksdb::Error> {
    let mut options = database_options();
    options.set_wal_recovery_mode(log);
    // One cache for all columns, so that the bound is one number.
    let cache = Cache::new_lru_cache(limits::BLOCK_CACHE_BYTES);
    let columns = Column::ALL
        .map(|column| ColumnFamilyDescriptor::new(column.name(), column_options(column, &cache)));
    DB::open_cf_descriptors(&options, path, columns)
}

pub(crate) fn database_options() -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_db_write_buffer_size(limits::WRITE_BUFFERS_BYTES);
    options.set_max_total_wal_size(limits::LOG_BYTES_MAX);
    options.set_max_background_jobs(limits::BACKGROUND_JOBS_MAX);
    options.set_max_open_files(limits::OPEN_FILES_MAX);
    options.set_keep_log_file_num(limits::INFO_LOG_FILES_MAX);
    options.set_max_log_file_size(limits::INFO_LOG_BYTES_MAX);
    options.set_log_level(LogLevel::Warn);
    options.set_stats_dump_period_sec(0);
    options.set_stats_persist_period_sec(0);
    options.set_paranoid_checks(true);
    options
}

pub(crate) fn column_options(column: Column, cache: &Cache) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_cache_index_and_filter_blocks(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    table.set_bloom_filter(FILTER_BITS_PER_KEY, false);
    let mut options = Options::default();
    options.set_block_based_table_factory(&table);
    options.set_write_buffer_size(limits::WRITE_BUFFER_BYTES);
    // Nodes of the tree are made of hashes, which no compression makes smaller.
    options.set_compression_type(match column {
        Column::Tree => DBCompressionType::None,
        Column::Blocks
        | Column::Certificates
        | Column::Headers
        | Column::Transactions
        | Column::Receipts
        | Column::Statements
        | Column::State
        | Column::Journal
        | Column::Attestations
        | Column::Meta
        | Column::Quarantine
        | Column::HealLog => DBCompressionType::Lz4,
    });
    options
}

impl Rocks {
    pub(crate) const fn of(db: DB) -> Self {
        Self::locked(db, None)
    }

    pub(crate) const fn locked(db: DB, lock: Option<File>) -> Self {
        Self { db, damage: OnceLock::new(), _lock: lock }
    }

    fn family(&self, column: Column, act: &'static str) -> Result<&ColumnFamily, StoreError> {
        self.db.cf_handle(column.name()).ok_or_else(|| StoreError::Failed {
            act,
            column,
            key: String::new(),
            why: "the column family is missing".into(),
        })
    }

    pub(crate) fn read_options() -> ReadOptions {
        let mut options = ReadOptions::default();
        options.set_verify_checksums(true);
        options
    }

    fn get(
        &self,
        column: Column,
        key: &[u8],
        options: &ReadOptions,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let family = self.family(column, "read")?;
        self.db.get_cf_opt(family, key, options).map_err(|e| self.read_error(column, key, &e))
    }

    fn scan(
        &self,
        column: Column,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
        options: ReadOptions,
    ) -> Result<Vec<Row>, StoreError> {
        let family = self.family(column, "read")?;
        let start = from.max(prefix);
        let mode = IteratorMode::From(start, Direction::Forward);
        let mut rows = Vec::new();
        for row in self.db.iterator_cf_opt(family, options, mode).take(limit) {
            let (key, value) = row.map_err(|e| self.read_error(column, start, &e))?;
            if !key.starts_with(prefix) {
                break;
            }
            rows.push((key.into_vec(), value.into_vec()));
        }
        Ok(rows)
    }

    fn read_error(&self, column: Column, key: &[u8], error: &rocksdb::Error) -> StoreError {
        if is_damage(error) {
            self.damage.get_or_init(|| error.to_string());
            StoreError::damaged(column, key, error)
        } else {
            let (key, why) = (key_text(key), error.to_string());
            StoreError::Failed { act: "read", column, key, why }
        }
    }
}

/// Whether the files are to blame, and not the disk's owner: a disk that is full or must not be written
/// is asked again later.
pub(crate) fn is_damage(error: &rocksdb::Error) -> bool {
    let why = error.to_string();
    let refusals = [
        "No space left",
        "Read-only file system",
        "Permission denied",
        "Too many open files",
        "Cannot allocate memory",
        "lock hold",
        "While lock file",
    ];
    let passes = matches!(error.kind(), ErrorKind::Busy | ErrorKind::TimedOut | ErrorKind::Aborted);
    !passes && !refusals.iter().any(|refusal| why.contains(refusal))
}

impl Rows for Rocks {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Self::get(self, column, key, &Self::read_options())
    }

    fn scan(
        &self,
        column: Column,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        Self::scan(self, column, prefix, from, limit, Self::read_options())
    }
}

impl Backend for Rocks {
    fn write(&self, batch: Batch, sync: Sync) -> Result<(), StoreError> {
        let mut writes = WriteBatch::default();
        let mut first = None;
        for (column, key, value) in batch.into_rows() {
            first.get_or_insert_with(|| (column, key.clone()));
            let family = self.family(column, "write")?;
            match value {
                Some(value) => writes.put_cf(family, key, value),
                None => writes.delete_cf(family, key),
            }
        }
        let Some((column, key)) = first else {
            return Ok(());
        };
        let mut options = WriteOptions::default();
        options.set_sync(sync == Sync::Yes);
        self.db.write_opt(writes, &options).map_err(|error| {
            let (key, why) = (key_text(&key), error.to_string());
            StoreError::Failed { act: "write a batch that begins with", column, key, why }
        })
    }

    fn snapshot(&self) -> Box<dyn Rows + '_> {
        Box::new(Frozen { rocks: self, snapshot: self.db.snapshot() })
    }
}

struct Frozen<'a> {
    rocks: &'a Rocks,
    snapshot: rocksdb::Snapshot<'a>,
}

impl Frozen<'_> {
    fn read_options(&self) -> ReadOptions {
        let mut options = Rocks::read_options();
        options.set_snapshot(&self.snapshot);
        options
    }
}

impl Rows for Frozen<'_> {
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Rocks::get(self.rocks, column, key, &self.read_options())
    }

    fn scan(
        &self,
        column: Column,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        Rocks::scan(self.rocks, column, prefix, from, limit, self.read_options())
    }
}
