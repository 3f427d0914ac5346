//! Where the kept chain begins, and standing on a snapshot of the own shelf.

use daruma_store::{Batch, Column};
use daruma_types::{Checkpoint, Hash, Height, codec};

use super::{Concerned, Found, MISSING, Opening, Remedy, clear_from, found, key};
use crate::LedgerError;
use crate::base::{BASE, rows_of};
use crate::restoring::{RESTORING, Restoring, head_info, put_piece};
use crate::snapshot::each_chunk;
use crate::tree::StateTree;

impl Opening {
    /// Whether a snapshot is being restored here. Then its checkpoint is the head, and what the row of it was
    /// to be followed by is done.
    pub(super) fn goes_on_restoring(&mut self) -> Result<bool, LedgerError> {
        match self.noted_restoring()? {
            Ok(restoring) => {
                let (cleared, done) = (restoring.cleared, restoring.next.is_none());
                self.ledger.head = head_info(&restoring.checkpoint);
                self.ledger.restoring = Some(restoring);
                if !cleared {
                    self.ledger.clear_for_restoring()?;
                } else if done {
                    let repairs = self.ledger.finish_restoring()?;
                    self.repairs.extend(repairs);
                }
                Ok(true)
            }
            Err(why) => {
                if why != MISSING {
                    self.drop_meta(RESTORING, why)?;
                }
                Ok(false)
            }
        }
    }

    /// Reads the base, and writes the rows again that its block would have left.
    pub(super) fn find_base(&mut self) -> Result<(), LedgerError> {
        let base = match self.noted_base()? {
            Ok(base) => base,
            Err(why) if why == MISSING => return Ok(()),
            Err(why) => return self.drop_meta(BASE, why),
        };
        let mut batch = Batch::default();
        let rows = rows_of(&base);
        for (column, key, why) in self.wrong_at_base(&base)? {
            self.repaired(base.height(), column, Concerned::Row(&key), why, Remedy::Rebuilt);
            if let Some((.., row)) = rows.iter().find(|(of, ..)| *of == column) {
                batch.put(column, key, row.clone());
            }
        }
        self.store().mend(batch)?;
        self.ledger.base = Some(base);
        Ok(())
    }

    /// The snapshot that is being restored, as the store says.
    pub(crate) fn noted_restoring(&self) -> Result<Found<Restoring>, LedgerError> {
        let noted = found(self.store().row(Column::Meta, RESTORING))?;
        let noted = noted
            .and_then(|row| codec::decode_stored::<Restoring>(&row).map_err(|why| why.to_string()));
        Ok(noted.and_then(|noted| match self.is_true(&noted.checkpoint) {
            true => Ok(noted),
            false => Err("its checkpoint does not verify".into()),
        }))
    }

    /// The base, as the store says.
    pub(crate) fn noted_base(&self) -> Result<Found<Checkpoint>, LedgerError> {
        let noted = found(self.store().row(Column::Meta, BASE))?;
        let noted = noted.and_then(|row| {
            codec::decode_stored::<Checkpoint>(&row).map_err(|why| why.to_string())
        });
        Ok(noted.and_then(|base| match self.is_true(&base) {
            true => Ok(base),
            false => Err("does not verify".into()),
        }))
    }

    /// Which rows are not those that the base's block would have left, and why. Any certificate for it will
    /// do; attestations may be those of more replicas by now, and are checked like any others.
    pub(super) fn wrong_at_base(
        &self,
        base: &Checkpoint,
    ) -> Result<Vec<(Column, Vec<u8>, String)>, LedgerError> {
        let mut wrong = Vec::new();
        for (column, key, row) in rows_of(base) {
            let sound = if column == Column::Certificates {
                self.is_certified(base.height(), &base.certificate.hash)?
            } else {
                column == Column::Attestations
                    || found(self.store().row(column, &key))?.as_ref() == Ok(&row)
            };
            if !sound {
                wrong.push((column, key, "is not what the base says".to_owned()));
            }
        }
        Ok(wrong)
    }

    fn is_true(&self, checkpoint: &Checkpoint) -> bool {
        let trust = &self.ledger.trust;
        checkpoint.verify(&trust.committee, trust.verifier.as_ref()).is_ok()
    }

    fn drop_meta(&mut self, key: &[u8], why: impl Into<String>) -> Result<(), LedgerError> {
        self.repaired(Height(0), Column::Meta, Concerned::Row(key), why, Remedy::Removed);
        let mut batch = Batch::default();
        batch.delete(Column::Meta, key);
        Ok(self.store().mend(batch)?)
    }

    /// Hash and timestamp of the block at `height`, or of what stands for it.
    pub(crate) fn committed(&self, height: Height) -> Result<Found<(Hash, u64)>, LedgerError> {
        if let Some(Checkpoint { header, certificate, .. }) = self.ledger.base_at(height) {
            return Ok(Ok((certificate.hash, header.timestamp_ms)));
        }
        let certified = self.certified(height)?;
        Ok(certified.map(|c| (c.certificate.hash, c.block.header.timestamp_ms)))
    }

    /// The blocks above the base are of no use without its state.
    pub(super) fn forget_base(&mut self) -> Result<(), LedgerError> {
        let Some(base) = self.ledger.base.take() else { return Ok(()) };
        let found = "the state above it is lost, and no snapshot serves: one is to be fetched";
        let row = Concerned::Row(BASE);
        self.repaired(base.height(), Column::Meta, row, found, Remedy::Removed);
        let mut batch = Batch::default();
        batch.delete(Column::Meta, BASE);
        Ok(self.store().mend(batch)?)
    }

    /// Stands on the highest snapshot of the own shelf and chain, up to `trusted`. A snapshot that is
    /// damaged is removed. False if none serves.
    pub(super) fn stand_on_snapshot(&mut self, trusted: Height) -> Result<bool, LedgerError> {
        let Some(shelf) = self.ledger.shelf.clone() else { return Ok(false) };
        // A shelf that cannot be read is an empty one.
        for height in shelf.heights().unwrap_or_default().into_iter().rev() {
            if height > trusted || height < self.ledger.base() {
                continue;
            }
            let checkpoint = match shelf.checkpoint(height) {
                Ok(Some(checkpoint)) => checkpoint,
                Ok(None) | Err(_) => continue,
            };
            if !self.is_certified(height, &checkpoint.certificate.hash)? {
                continue;
            }
            self.forget_results_above(height)?;
            self.clear(Column::State)?;
            self.clear(Column::Tree)?;
            let ledger = &self.ledger;
            let kept = each_chunk(shelf.as_ref(), height, &ledger.trust, |piece, _| {
                let mut batch = Batch::default();
                put_piece(piece, &mut batch);
                Ok(ledger.store.mend(batch)?)
            });
            match kept {
                Ok(_) => {}
                Err(LedgerError::Snapshot { why, .. }) => {
                    let row = Concerned::Table;
                    self.repaired(height, Column::State, row, why, Remedy::Removed);
                    // What cannot be removed is refused the next time as well.
                    let _kept = shelf.remove(height);
                    continue;
                }
                Err(failed) => return Err(failed),
            }
            self.ledger.stand_at(&checkpoint)?;
            self.ledger.tree = StateTree::new();
            if let Some(head) = self.store().head()? {
                self.stand_on(&head)?;
            }
            let what = "was restored from a snapshot";
            self.repaired(height, Column::State, Concerned::Table, what, Remedy::Rebuilt);
            return Ok(true);
        }
        Ok(false)
    }

    /// Removes what is derived of the blocks above `height`, but for state and tree.
    fn forget_results_above(&self, height: Height) -> Result<(), LedgerError> {
        self.forget_index_above(height)?;
        for column in [Column::Receipts, Column::Statements] {
            clear_from(self.store(), column, key(height.next()).to_vec())?;
        }
        Ok(())
    }
}
