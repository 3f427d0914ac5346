//! What lies under the tables: rows of bytes.

use crate::{Column, StoreError};

/// A key with its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// Reading rows.
pub trait Rows {
    /// The value of a row.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] or [`StoreError::Failed`], naming column and key.
    fn get(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// The first `limit` rows, in order of the keys' bytes, whose key starts with `prefix` and is
    /// not below `from`.
    ///
    /// # Errors
    /// As [`Rows::get`]; nothing is returned of a range that cannot be read to its end.
    fn scan(
        &self,
        column: Column,
        prefix: &[u8],
        from: &[u8],
        limit: usize,
    ) -> Result<Vec<Row>, StoreError>;
}

/// Whether a write must survive the loss of power before the call returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// It must.
    Yes,
    /// It may get lost, but not torn.
    No,
}

/// Where rows are kept. A write is visible to all reads that begin after it.
pub trait Backend: Rows + Send + std::marker::Sync {
    /// Writes the whole batch or nothing of it.
    ///
    /// # Errors
    /// [`StoreError::Failed`] or [`StoreError::Damaged`].
    fn write(&self, batch: Batch, sync: Sync) -> Result<(), StoreError>;

    /// The rows as they are now, unchanging while it lives. Holding one is cheap for a short time
    /// only: old rows cannot be thrown away before it is dropped.
    fn snapshot(&self) -> Box<dyn Rows + '_>;
}

/// Writes that take effect together, in their order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Batch {
    rows: Vec<(Column, Vec<u8>, Option<Vec<u8>>)>,
}

impl Batch {
    /// Sets a row.
    pub fn put(&mut self, column: Column, key: impl Into<Vec<u8>>, value: Vec<u8>) {
        self.rows.push((column, key.into(), Some(value)));
    }

    /// Deletes a row, if it is there.
    pub fn delete(&mut self, column: Column, key: impl Into<Vec<u8>>) {
        self.rows.push((column, key.into(), None));
    }

    /// Sets the row, or deletes it where the value is `None`.
    pub fn set(&mut self, column: Column, key: Vec<u8>, value: Option<Vec<u8>>) {
        self.rows.push((column, key, value));
    }

    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The writes; `None` deletes.
    pub fn into_rows(self) -> impl Iterator<Item = (Column, Vec<u8>, Option<Vec<u8>>)> {
        self.rows.into_iter()
    }
}
