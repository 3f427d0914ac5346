//! What the writer of a ledger does about what does not look as it should.

use daruma_store::{Batch, CHAIN, Column, HEAD, Head, Location};
use daruma_types::{Block, HeadClaim, Height, Outcome, codec};

use super::Suspect;
use super::results::is_stranger;
use crate::base::BASE;
use crate::opening::{Concerned, Opening, Remedy, found};
use crate::{Depth, HeadInfo, Ledger, LedgerError, LedgerRepair};

impl Ledger {
    /// Looks again at what a [`super::Scrubber`] found, and repairs what is wrong, while the head stays where
    /// it is: a record is missed until it is had from another replica, and rows that follow from sound
    /// records are made again from them. Only where that takes execution, or where state and tree differ, is
    /// the whole ledger checked as an opening does; and that not as long as records are missed, which are
    /// to be had first. What is sound is not written.
    ///
    /// # Errors
    /// As [`Self::open`]; the ledger is to be opened again then.
    pub fn settle(&mut self, suspect: &Suspect) -> Result<Vec<LedgerRepair>, LedgerError> {
        // Until a snapshot is restored what is derived is half of something, and each chunk of it was checked.
        if self.restoring.is_some() {
            return Ok(Vec::new());
        }
        match suspect {
            Suspect::Height(height) => self.settle_height(*height),
            Suspect::Control => self.settle_control(),
            Suspect::Stranger(column, key) => self.settle_stranger(*column, key),
            Suspect::Table(..) => self.settle_all(),
        }
    }

    fn settle_all(&mut self) -> Result<Vec<LedgerRepair>, LedgerError> {
        match self.missing() {
            Some(_) => Ok(Vec::new()),
            None => self.check_again(Depth::Whole),
        }
    }

    fn settle_height(&mut self, height: Height) -> Result<Vec<LedgerRepair>, LedgerError> {
        if height > Height(0) && height <= self.base() {
            // Pruned, or never here: the row that says so may be damaged.
            return self.settle_control();
        }
        let repairs = self.check_height(height)?;
        let executed = height > Height(0) && height <= self.head.claim.height;
        if !repairs.is_empty() || !executed || self.missing.contains(&height) {
            return Ok(repairs);
        }
        let mut look = self.look();
        let Ok(block) = look.block(height)? else { return Ok(repairs) };
        if look.results(&block)?.is_err() || !look.mend_index(&block)? {
            return self.settle_all();
        }
        look.check_state_certificate(height)?;
        look.see_what_is_there_now();
        Ok(look.repairs)
    }

    /// The rows that name chain, head and base: this ledger knows what they must say.
    fn settle_control(&mut self) -> Result<Vec<LedgerRepair>, LedgerError> {
        let HeadInfo { claim: HeadClaim { height, hash, .. }, timestamp_ms, statement } = self.head;
        let head = Head { height, hash, timestamp_ms, statement };
        let head = (height > Height(0)).then(|| codec::encode(&head));
        let chain = Some(codec::encode(&self.chain()));
        let (mut look, mut batch) = (self.look(), Batch::default());
        let base = self.base.as_ref().map(codec::encode);
        for (key, row) in [(HEAD, head), (CHAIN, chain), (BASE, base)] {
            let there = found(look.store().row(Column::Meta, key))?.ok();
            if there != row {
                let what = "is not what the ledger that runs knows";
                look.repaired(height, Column::Meta, Concerned::Row(key), what, Remedy::Rebuilt);
                batch.set(Column::Meta, key.to_vec(), row);
            }
        }
        look.store().mend(batch)?;
        look.see_what_is_there_now();
        Ok(look.repairs)
    }

    fn settle_stranger(
        &mut self,
        column: Column,
        key: &[u8],
    ) -> Result<Vec<LedgerRepair>, LedgerError> {
        let (mut look, mut batch) = (self.look(), Batch::default());
        let height = self.head.claim.height;
        if let Ok(row) = found(look.store().row(column, key))?
            && is_stranger(&look, column, key, &row, Some(height))?
        {
            let what = "has a row of no block";
            look.repaired(height, column, Concerned::Row(key), what, Remedy::Removed);
            batch.delete(column, key);
        }
        look.store().mend(batch)?;
        look.see_what_is_there_now();
        Ok(look.repairs)
    }
}

impl Opening {
    /// Makes the rows again by which a sound block, whose results are sound, and its transactions are found.
    /// False, and nothing is done, if it takes other blocks to say what they must be.
    fn mend_index(&mut self, block: &Block) -> Result<bool, LedgerError> {
        let (height, chain) = (block.header.height, self.ledger.chain());
        let (_, wrong) = self.index(block)?;
        let Ok(receipts) = found(self.store().receipts(height))? else { return Ok(false) };
        let mut batch = Batch::default();
        for (column, name, _) in &wrong {
            if *column == Column::Headers {
                batch.put(*column, name.0, codec::encode(&block.header));
                continue;
            }
            let mut placed = (0_u32..).zip(&block.transactions).zip(&receipts);
            let Some(((index, _), receipt)) = placed.find(|((_, t), _)| t.hash(chain) == *name)
            else {
                return Ok(false);
            };
            // One that used up its nonce here stood nowhere before; any other may have.
            if matches!(receipt.outcome, Outcome::Superseded { .. }) {
                return Ok(false);
            }
            batch.put(*column, name.0, codec::encode(&Location { height, index }));
        }
        for (column, name, why) in wrong {
            self.repaired(height, column, Concerned::Row(&name.0), why, Remedy::Rebuilt);
        }
        self.store().mend(batch)?;
        Ok(true)
    }
}
