//! Records that are found damaged while a ledger runs.
//!
//! A record that proves itself, a block with its certificate, can be had again from any other replica. So a
//! damaged one below the head needs neither a lower head nor the state made again: it is *missed* until
//! whoever runs the ledger brings the true one, and only then, in the write that puts this in its place, it
//! goes to quarantine. A loss of power before that leaves the disk as it was. What is known to be missed is
//! kept in memory only: it is found again by whoever reads it next, and by an opening that looks so far down.
//!
//! What lies above the head and does not prove itself is moved to quarantine at once: the height comes
//! by execution.

use daruma_store::{Batch, Column, row_digest};
use daruma_types::{CertifiedBlock, Hash, Height, codec};

use crate::opening::{self, LedgerRepair, Remedy, records};
use crate::{Ledger, LedgerError, limits};

impl Ledger {
    /// Looks at the record of a height that somebody could not read, and tells what was found and not known
    /// before. Nothing else is read.
    ///
    /// # Errors
    /// That the store failed.
    pub fn check_height(&mut self, height: Height) -> Result<Vec<LedgerRepair>, LedgerError> {
        let mut repairs = Vec::new();
        // What was pruned is not damaged.
        if height <= self.base() {
            return Ok(repairs);
        }
        if height > self.head().claim.height {
            let (block, certificate) = records::rows(self.store.as_ref(), &self.trust, height)?;
            let mut batch = Batch::default();
            let mut room = opening::quarantine_room(self.store.as_ref())?;
            for (column, found) in records::damaged(&block, &certificate) {
                self.set_aside((column, height), None, &mut batch, &mut room)?;
                batch.delete(column, opening::key(height));
                repairs.push(self.found(height, column, found, Remedy::Quarantined));
            }
            if !batch.is_empty() {
                self.store.mend(batch)?;
            }
            return Ok(repairs);
        }
        let found = match records::certified(self.store.as_ref(), &self.trust, height)? {
            Ok(own) if self.own_hash(height)?.is_none_or(|hash| hash == own.certificate.hash) => {
                self.missing.remove(&height);
                return Ok(repairs);
            }
            Ok(_) => "is not the block that the one above lies on".into(),
            Err(why) => why,
        };
        if self.miss(height) {
            repairs.push(self.found(height, Column::Blocks, found, Remedy::Missed));
        }
        Ok(repairs)
    }

    /// The highest height of those whose record is known to be damaged: [`Self::mend`] takes the block of no
    /// other, since the one above proves it.
    #[must_use]
    pub fn missing(&self) -> Option<Height> {
        self.missing.last().copied()
    }

    /// Puts a block in the place of the damaged one of its height. False, and nothing is done, unless it is
    /// missed, whole and certified, and the one that the block above lies on.
    ///
    /// # Errors
    /// That the store failed; the record is missed as before.
    pub fn mend(&mut self, block: &CertifiedBlock) -> Result<bool, LedgerError> {
        let CertifiedBlock { block: body, certificate } = block;
        let height = certificate.height;
        if !self.missing.contains(&height) || !self.is_certified(block) {
            return Ok(false);
        }
        let own = self.own_hash(height)?;
        if own.is_none() {
            // The one above is damaged as well, and is to be had first.
            self.miss(height.next());
        }
        if own != Some(certificate.hash) {
            return Ok(false);
        }
        let mut batch = Batch::default();
        let mut room = opening::quarantine_room(self.store.as_ref())?;
        for (column, row) in [
            (Column::Blocks, codec::encode(body.as_ref())),
            (Column::Certificates, codec::encode(certificate)),
        ] {
            self.set_aside((column, height), Some(&row), &mut batch, &mut room)?;
            batch.put(column, opening::key(height), row);
        }
        self.store.mend(batch)?;
        self.missing.remove(&height);
        Ok(true)
    }

    /// What was found of a record that lies there still.
    fn found(&self, height: Height, column: Column, found: String, remedy: Remedy) -> LedgerRepair {
        let row = opening::key(height).to_vec();
        let before = self.store.row(column, &row).ok().flatten().map(|bytes| row_digest(&bytes));
        let after = before.filter(|_| remedy == Remedy::Missed);
        LedgerRepair { height, column, found, remedy, row: Some(row), before, after }
    }

    /// Notes that a height is missed. False if it was known, or there is no room for it: the highest stay, which
    /// are the first that can be proven, and whoever reads another one finds it again.
    fn miss(&mut self, height: Height) -> bool {
        let executed = height > Height(0) && height <= self.head().claim.height;
        let new = executed && self.missing.insert(height);
        if self.missing.len() > limits::MISSING_MAX {
            return self.missing.pop_first() != Some(height);
        }
        new
    }

    /// The hash of the own block of an executed height, by what lies above it.
    fn own_hash(&self, height: Height) -> Result<Option<Hash>, LedgerError> {
        if height == self.head().claim.height {
            return Ok(Some(self.head().claim.hash));
        }
        let above = records::certified(self.store.as_ref(), &self.trust, height.next())?;
        Ok(above.ok().map(|above| above.block.header.parent))
    }

    /// Adds to the quarantine the row that `replacement` takes the place of, if there is one and room for it.
    fn set_aside(
        &self,
        (column, height): (Column, Height),
        replacement: Option<&[u8]>,
        batch: &mut Batch,
        room: &mut usize,
    ) -> Result<(), LedgerError> {
        let key = opening::key(height);
        if let Ok(row) = opening::found(self.store.row(column, &key))?
            && Some(row.as_slice()) != replacement
            && opening::may_be_kept(&row)
            && *room > 0
        {
            batch.put(Column::Quarantine, column.quarantine_key(&key), row);
            *room -= 1;
        }
        Ok(())
    }
}
