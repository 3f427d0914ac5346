//! What can go wrong with a store.

use std::path::PathBuf;

use daruma_types::{Ballot, Height, View, codec};

use crate::Column;

/// Why a store did not do as it was told. Nothing was written then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// A row is there but is not what was written: its checksum or its encoding is wrong.
    #[error("{}/{key} is damaged: {why}", column.name())]
    Damaged {
        /// The table.
        column: Column,
        /// The row's key in hex, or the range read.
        key: String,
        /// What was found.
        why: String,
    },
    /// The disk, the operating system or the database refused: full, read-only, gone.
    #[error("cannot {act} {}/{key}: {why}", column.name())]
    Failed {
        /// `read` or `write`.
        act: &'static str,
        /// The table.
        column: Column,
        /// The row's key in hex, or the range or batch.
        key: String,
        /// What the database says.
        why: String,
    },
    /// Another process, or another store of this one, has the folder open.
    #[error("{} is in use by another node; stop it, or give this one a folder of its own", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// The folder cannot be opened as a store.
    #[error("cannot open the store in {}: {why}", path.display())]
    Open {
        /// The folder.
        path: PathBuf,
        /// What the database says.
        why: String,
    },
    /// The promise would contradict one that is recorded (DESIGN 4.2, durability).
    #[error("refused to promise {wanted}: {recorded} is recorded")]
    Contradiction {
        /// What was to be promised.
        wanted: Promised,
        /// What was promised before.
        recorded: Promised,
    },
}

/// A promise in few words, for [`StoreError::Contradiction`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promised {
    /// No vote in a ballot below this view's.
    View(View),
    /// No vote in a ballot below this one.
    Floor(Ballot),
    /// A vote: ballot, height, first bytes of the block's hash.
    Vote(Ballot, Height, u32),
    /// The block is committed at this height: height, first bytes of its hash.
    Committed(Height, u32),
}

impl std::fmt::Display for Promised {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::View(view) => write!(f, "view {view}"),
            Self::Floor(ballot) => write!(f, "no vote below ballot {ballot}"),
            Self::Vote(ballot, height, short) => {
                write!(f, "a vote in ballot {ballot} at height {height} for {short:08x}")
            }
            Self::Committed(height, short) => {
                write!(f, "block {short:08x}, committed at height {height},")
            }
        }
    }
}

impl StoreError {
    pub(crate) fn damaged(column: Column, key: &[u8], why: impl ToString) -> Self {
        Self::Damaged { column, key: key_text(key), why: why.to_string() }
    }

    #[cfg(feature = "rocks")]
    pub(crate) fn open(path: &std::path::Path, why: impl ToString) -> Self {
        let why = why.to_string();
        // RocksDB reports a lock that is held as an I/O error about the file LOCK.
        if why.contains("LOCK") && (why.contains("lock hold") || why.contains("While lock file")) {
            return Self::Locked { path: path.to_path_buf() };
        }
        Self::Open { path: path.to_path_buf(), why }
    }
}

/// A key as people can look it up.
pub(crate) fn key_text(key: &[u8]) -> String {
    use std::fmt::Write;
    let mut text = String::from("0x");
    for byte in key {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Decodes a row.
pub(crate) fn decode_row<T: codec::Decode<()>>(
    column: Column,
    key: &[u8],
    bytes: &[u8],
) -> Result<T, StoreError> {
    codec::decode_stored(bytes).map_err(|error| StoreError::damaged(column, key, error))
}
