//! Where the kept chain begins: a ledger that pruned its blocks, or began with a snapshot, has none at and
//! below its *base*. A checkpoint at that height takes their place.

use daruma_store::{Batch, Column, Store, statement_row};
use daruma_types::{Checkpoint, Height, codec};

use crate::{Ledger, LedgerError, limits};

/// The row of [`Column::Meta`] that holds the base.
pub(crate) const BASE: &[u8] = b"base";

/// The row of [`Column::Meta`] that says up to which height bodies were removed: all there are below the
/// base, unless the power failed meanwhile.
pub(crate) const PRUNED: &[u8] = b"pruned";

const fn key(height: Height) -> [u8; 8] {
    height.0.to_be_bytes()
}

/// Sets the base, and the rows that a block of its height would have left.
pub(crate) fn put_base(checkpoint: &Checkpoint, batch: &mut Batch) {
    batch.put(Column::Meta, BASE, codec::encode(checkpoint));
    put_rows(checkpoint, batch);
}

/// Adds the rows that a block of its height would have left.
pub(crate) fn put_rows(checkpoint: &Checkpoint, batch: &mut Batch) {
    for (column, key, row) in rows_of(checkpoint) {
        batch.put(column, key, row);
    }
}

/// What a checkpoint says, as the rows that say it.
pub(crate) fn rows_of(checkpoint: &Checkpoint) -> [(Column, Vec<u8>, Vec<u8>); 4] {
    let Checkpoint { header, certificate, state } = checkpoint;
    let height = key(header.height).to_vec();
    [
        (Column::Headers, certificate.hash.0.to_vec(), codec::encode(header)),
        (Column::Certificates, height.clone(), codec::encode(certificate)),
        (Column::Statements, height.clone(), statement_row(&state.statement)),
        (Column::Attestations, height, codec::encode(state)),
    ]
}

/// The lowest height whose block is kept; 1 where the base cannot be read, as if all were.
pub(crate) fn earliest(store: &dyn Store) -> Height {
    let row = store.row(Column::Meta, BASE).ok().flatten();
    let base = row.and_then(|row| codec::decode_stored::<Checkpoint>(&row).ok());
    base.map_or(Height(1), |base| base.height().next())
}

impl Ledger {
    /// The height below which, and at which, no blocks are kept; of a snapshot that is being restored, its.
    #[must_use]
    pub fn base(&self) -> Height {
        let restoring = self.restoring.as_ref().map(|restoring| &restoring.checkpoint);
        restoring.or(self.base.as_ref()).map_or(Height(0), Checkpoint::height)
    }

    /// What stands for the block at `height`, if that is the base.
    pub(crate) fn base_at(&self, height: Height) -> Option<&Checkpoint> {
        self.base.as_ref().filter(|base| base.height() == height)
    }

    /// Removes bodies and receipts of some heights up to the base, beginning where the last removal ended.
    /// True if there may be more.
    ///
    /// # Errors
    /// That the store failed; what was removed until then stays so.
    pub fn remove_pruned(&self) -> Result<bool, LedgerError> {
        let to = self.base();
        let row = self.store.row(Column::Meta, PRUNED).ok().flatten();
        let pruned = row.and_then(|row| codec::decode_stored::<Height>(&row).ok());
        // A row that was damaged may say anything; below the lowest block there is nothing to remove.
        let lowest = match self.store.rows(Column::Blocks, b"", 1) {
            Ok(first) => {
                first.first().and_then(|(key, _)| <[u8; 8]>::try_from(key.as_slice()).ok())
            }
            Err(daruma_store::StoreError::Damaged { .. }) => None,
            Err(failed) => return Err(failed.into()),
        };
        let Some(lowest) = lowest.map(u64::from_be_bytes) else { return Ok(false) };
        let pruned = pruned.map_or(lowest, |pruned| pruned.0.saturating_add(1));
        let first = pruned.min(lowest).max(1);
        let last = to.0.min(first.saturating_add(limits::PRUNE_AT_ONCE - 1));
        if first > last {
            return Ok(false);
        }
        let mut batch = Batch::default();
        for height in (first..=last).map(Height) {
            batch.delete(Column::Blocks, key(height));
            batch.delete(Column::Receipts, key(height));
        }
        batch.put(Column::Meta, PRUNED, codec::encode(&Height(last)));
        self.store.mend(batch)?;
        Ok(last < to.0)
    }
}
