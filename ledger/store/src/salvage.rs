//! Opening a store whose files may be missing, damaged or another's (DESIGN 5: "a start on damaged files
//! never needs a human").
//!
//! RocksDB opens a folder only if its files fit together: one missing table file, or a flipped bit in
//! the list of files, and it refuses. Rows are what a replica needs, not files: so the folder is put
//! aside, the rows that can still be read are copied to a new store, and it is left to the ledger to
//! tell which of them are true, and to fetch the rest. RocksDB's repair, which drops what it does not
//! understand, is tried only where the folder lies aside. A damaged log alone is no reason for any of this:
//! it is read up to its damage in its place. Each step can be repeated after a loss of power:
//!
//! 1. `ledger` is renamed to `ledger.damaged`, which replaces an earlier one: one is kept, for study.
//! 2. What can be read there is written to `ledger.salvaged`.
//! 3. `ledger.salvaged` is renamed to `ledger`.
//!
//! A folder that is missing while `ledger.damaged` lies beside an unfinished `ledger.salvaged` goes on at
//! step 2.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rocksdb::{DB, DBRecoveryMode, Direction, IteratorMode, Options, WriteBatch, WriteOptions};

use crate::rocks::{Rocks, RocksStore, database_options, is_damage, open_database};
use crate::{Column, StoreError, limits};

/// How a store was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// Its files fit together. What its rows say is for the ledger to check.
    Whole,
    /// The log of the last writes was damaged before its end: what came after the damage is lost,
    /// promises among it.
    LogCut {
        /// What RocksDB found.
        why: String,
    },
    /// Its files did not make a store any more: see [`Salvaged`].
    Salvaged(Salvaged),
}

/// What was done about files that did not make a store any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Salvaged {
    /// What RocksDB found.
    pub why: String,
    /// Where the damaged folder lies now; the next one will replace it.
    pub aside: PathBuf,
    /// Rows that could still be read, by table.
    pub rows: BTreeMap<&'static str, u64>,
    /// Tables of which some rows could not be read, or that were not there.
    pub incomplete: Vec<&'static str>,
}

impl RocksStore {
    /// Opens the store in the folder `path`, or makes one there, whatever its files are like. What could
    /// not be kept is told; the ledger should then be checked as a whole.
    ///
    /// # Errors
    /// [`StoreError::Locked`] if it is open already; [`StoreError::Open`] if the disk or the operating
    /// system refuse: full, read-only, not permitted, too many files.
    pub fn open_any(path: impl AsRef<Path>) -> Result<(Self, Opened), StoreError> {
        let path = path.as_ref();
        let places = Places::of(path);
        let failed = |error: &dyn ToString| StoreError::open(path, error.to_string());
        if let Some(why) = places.why_unfinished().map_err(|e| failed(&e))? {
            return places.salvage(why).map_err(|error| failed(&error));
        }
        let why = match headless(path).map_err(|e| failed(&e))? {
            Some(why) => why,
            None => match open_database(path, DBRecoveryMode::TolerateCorruptedTailRecords) {
                Ok(db) => return Ok((Self::over(Rocks::of(db)), Opened::Whole)),
                Err(error) if !is_damage(&error) => return Err(failed(&error)),
                Err(error) => {
                    // Up to its damage, a log can be trusted.
                    if let Ok(db) = open_database(path, DBRecoveryMode::PointInTime) {
                        let why = error.to_string();
                        return Ok((Self::over(Rocks::of(db)), Opened::LogCut { why }));
                    }
                    error.to_string()
                }
            },
        };
        Self::salvage(path, why)
    }

    /// Puts the folder `path` aside, whatever is in it, and opens a new store there with the rows that
    /// can still be read: for a store whose [`Self::file_damage`] says why, and which was closed since.
    ///
    /// # Errors
    /// As [`Self::open_any`].
    pub fn salvage(path: impl AsRef<Path>, why: String) -> Result<(Self, Opened), StoreError> {
        let path = path.as_ref();
        let places = Places::of(path);
        let salvaged = places.put_aside().map_err(Into::into).and_then(|()| places.salvage(why));
        salvaged.map_err(|error| StoreError::open(path, error))
    }
}

/// Why a folder with files of a database in it is not one: RocksDB would begin a new one there, and
/// delete them.
pub(crate) fn headless(path: &Path) -> io::Result<Option<String>> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
            return Ok(Some("it is a file and no folder".to_owned()));
        }
        Err(error) => return Err(error),
    };
    let mut others = false;
    for entry in entries {
        let name = entry?.file_name();
        let name = name.to_string_lossy();
        if name == "CURRENT" {
            return Ok(None);
        }
        others |= name.starts_with("MANIFEST-") || name.ends_with(".sst") || name.ends_with(".log");
    }
    Ok(others.then(|| "the file CURRENT is missing".to_owned()))
}

/// The folder, and those beside it.
struct Places {
    store: PathBuf,
    aside: PathBuf,
    fresh: PathBuf,
}

impl Places {
    fn of(path: &Path) -> Self {
        let beside = |end: &str| {
            let mut name = OsString::from(path.as_os_str());
            name.push(end);
            PathBuf::from(name)
        };
        Self { store: path.to_path_buf(), aside: beside(".damaged"), fresh: beside(".salvaged") }
    }

    /// Whether an earlier salvage was interrupted.
    fn why_unfinished(&self) -> io::Result<Option<String>> {
        let unfinished = self.fresh.try_exists()? && self.aside.try_exists()?;
        Ok((unfinished && is_empty(&self.store)?)
            .then(|| "an earlier salvage was interrupted".to_owned()))
    }

    fn put_aside(&self) -> io::Result<()> {
        remove(&self.aside)?;
        // Its being there says that what lies aside is yet to be salvaged.
        remove(&self.fresh)?;
        fs::create_dir_all(&self.fresh)?;
        fs::rename(&self.store, &self.aside)?;
        sync_parent(&self.store)
    }

    fn salvage(&self, why: String) -> Result<(RocksStore, Opened), Box<dyn std::error::Error>> {
        remove(&self.fresh)?;
        let fresh = open_database(&self.fresh, DBRecoveryMode::PointInTime)?;
        let mut salvaged = Salvaged {
            why,
            aside: self.aside.clone(),
            rows: BTreeMap::new(),
            incomplete: Vec::new(),
        };
        match readable(&self.aside) {
            Some(damaged) => copy(&damaged, &fresh, &mut salvaged)?,
            None => salvaged.incomplete = Column::ALL.map(Column::name).to_vec(),
        }
        fresh.flush_wal(true)?;
        drop(fresh);
        if self.store.try_exists()? {
            // Empty, or the salvage would not have begun.
            fs::remove_dir_all(&self.store)?;
        }
        fs::rename(&self.fresh, &self.store)?;
        sync_parent(&self.store)?;
        let db = open_database(&self.store, DBRecoveryMode::PointInTime)?;
        Ok((RocksStore::over(Rocks::of(db)), Opened::Salvaged(salvaged)))
    }
}

/// Whether there is no such folder, or nothing in it.
fn is_empty(folder: &Path) -> io::Result<bool> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(false),
        Err(error) => Err(error),
    }
}

/// Removes a folder with all that is in it, or a file, if it is there.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if parent != Path::new("") => fs::File::open(parent)?.sync_all(),
        Some(_) | None => Ok(()),
    }
}

/// The damaged folder as a database that can be read, after RocksDB's own repair if need be.
fn readable(aside: &Path) -> Option<DB> {
    let mut options = Options::default();
    options.set_paranoid_checks(false);
    let open = || {
        let columns = DB::list_cf(&options, aside).ok()?;
        DB::open_cf_for_read_only(&options, aside, columns, false).ok()
    };
    if headless(aside).ok()?.is_none()
        && let Some(db) = open()
    {
        return Some(db);
    }
    DB::repair(&database_options(), aside).ok()?;
    open()
}

/// Copies each table from its first row to the first that cannot be read, and from its last row down to
/// the last such one. What lies between them is had from the other replicas.
fn copy(from: &DB, to: &DB, salvaged: &mut Salvaged) -> Result<(), rocksdb::Error> {
    for column in Column::ALL {
        let (Some(source), Some(target)) =
            (from.cf_handle(column.name()), to.cf_handle(column.name()))
        else {
            salvaged.incomplete.push(column.name());
            continue;
        };
        let mut copied = 0;
        let mut last = None;
        for (direction, mode) in
            [(Direction::Forward, IteratorMode::Start), (Direction::Reverse, IteratorMode::End)]
        {
            let mut batch = WriteBatch::default();
            let mut broken = false;
            for row in from.iterator_cf_opt(source, Rocks::read_options(), mode) {
                let Ok((key, value)) = row else {
                    broken = true;
                    break;
                };
                if matches!(direction, Direction::Reverse) && last.as_ref() >= Some(&key) {
                    break;
                }
                batch.put_cf(target, &key, value);
                copied += 1;
                if matches!(direction, Direction::Forward) {
                    last = Some(key);
                }
                if batch.size_in_bytes() > limits::SALVAGE_BYTES_AT_ONCE {
                    write(to, std::mem::take(&mut batch))?;
                }
            }
            write(to, batch)?;
            if !broken {
                break;
            }
            if matches!(direction, Direction::Forward) {
                salvaged.incomplete.push(column.name());
            }
        }
        salvaged.rows.insert(column.name(), copied);
    }
    Ok(())
}

fn write(to: &DB, batch: WriteBatch) -> Result<(), rocksdb::Error> {
    to.write_opt(batch, &WriteOptions::default())
}
