//! Whether what follows from the certified records is what it should be.

use std::cmp::Ordering;

use daruma_store::{Batch, Column, HEAD, Head, Location};
use daruma_types::{Block, Hash, Header, Height, Receipt, Statement, codec, merkle_root};

use super::{
    Concerned, Depth, Found, Opening, ROWS_AT_ONCE, Remedy, WrongNames, found, height_of, key,
};
use crate::LedgerError;

impl Opening {
    /// Checks everything derived from `lowest` up to the head, and repairs what can be repaired without
    /// execution. If it must be derived again, up to which height that is not so.
    pub(super) fn check_derived(&mut self, lowest: Height) -> Result<Option<Height>, LedgerError> {
        let head = self.ledger.head().statement.height;
        let (mut indexed, mut names) = (true, 0);
        for height in (lowest.0..=head.0).map(Height) {
            // Checked before.
            let Ok(block) = self.block(height)? else { return Ok(Some(height.previous())) };
            if let Err((column, why)) = self.results(&block)? {
                let key = key(height);
                self.repaired(height, column, Concerned::Row(&key), why, Remedy::Rebuilt);
                return Ok(Some(height.previous()));
            }
            let (first, wrong) = self.index(&block)?;
            match wrong.into_iter().next() {
                None => names += first,
                Some((column, name, why)) => {
                    self.repaired(height, column, Concerned::Row(&name.0), why, Remedy::Rebuilt);
                    indexed = false;
                }
            }
            self.check_state_certificate(height)?;
        }
        if let Err(why) = self.head_row()? {
            self.repaired(head, Column::Meta, Concerned::Row(HEAD), why, Remedy::Rebuilt);
            self.write_head()?;
        }
        if indexed && self.depth == Depth::Whole && !self.no_strangers(head, names)? {
            indexed = false;
        }
        if !indexed {
            self.index_again(head)?;
        }
        Ok((!self.check_state()?).then_some(head))
    }

    /// Statement and receipts of a block, checked against each other and, where `f+1` replicas attest
    /// the statement, against them.
    pub(crate) fn results(
        &self,
        block: &Block,
    ) -> Result<Result<(), (Column, String)>, LedgerError> {
        let height = block.header.height;
        let statement = match found(self.store().statement(height))? {
            Ok(statement) => statement,
            Err(why) => return Ok(Err((Column::Statements, why))),
        };
        if statement.height != height || statement.block != block.hash() {
            return Ok(Err((Column::Statements, "is about another block".into())));
        }
        if self.attested(height)?.is_some_and(|attested| attested != statement) {
            return Ok(Err((Column::Statements, "is not what f+1 replicas attest".into())));
        }
        let receipts = match found(self.store().receipts(height))? {
            Ok(receipts) => receipts,
            Err(why) => return Ok(Err((Column::Receipts, why))),
        };
        let leaves: Vec<Hash> = receipts.iter().map(Receipt::leaf).collect();
        if merkle_root(&leaves) != statement.receipts_root {
            return Ok(Err((Column::Receipts, "are not those of the statement".into())));
        }
        Ok(Ok(()))
    }

    /// What `f+1` replicas attest of this height, as far as it is kept.
    pub(crate) fn attested(&self, height: Height) -> Result<Option<Statement>, LedgerError> {
        let Ok(certificate) = found(self.store().state_certificate(height))? else {
            return Ok(None);
        };
        let (committee, verifier) = (&self.ledger.trust.committee, &self.ledger.trust.verifier);
        let weak = committee.thresholds().weak();
        let valid = certificate.statement.height == height
            && self.is_certified(height, &certificate.statement.block)?
            && certificate.verify(weak, committee, verifier.as_ref()).is_ok();
        Ok(valid.then_some(certificate.statement))
    }

    /// Attestations that do not verify are removed: they can be had again.
    pub(crate) fn check_state_certificate(&mut self, height: Height) -> Result<(), LedgerError> {
        let held = self.store().row(Column::Attestations, &key(height));
        if found(held)?.is_err() || self.attested(height)?.is_some() {
            return Ok(());
        }
        let (key, what) = (key(height), "do not verify");
        self.repaired(height, Column::Attestations, Concerned::Row(&key), what, Remedy::Removed);
        let mut batch = Batch::default();
        batch.delete(Column::Attestations, key);
        Ok(self.store().mend(batch)?)
    }

    /// The head row must be what statement and block say.
    pub(super) fn head_row(&self) -> Result<Found<()>, LedgerError> {
        let head = self.ledger.head();
        let height = head.claim.height;
        let Ok((hash, timestamp_ms)) = self.committed(height)? else {
            return Ok(Err("is about another block".into()));
        };
        let Ok(statement) = found(self.store().statement(height))? else {
            return Ok(Err("has no statement".into()));
        };
        let fits = head.claim.hash == hash
            && head.timestamp_ms == timestamp_ms
            && head.statement == statement;
        Ok(if fits { Ok(()) } else { Err("is not what block and statement say".into()) })
    }

    fn write_head(&mut self) -> Result<(), LedgerError> {
        let height = self.ledger.head().claim.height;
        let (Ok((hash, timestamp_ms)), Ok(statement)) =
            (self.committed(height)?, found(self.store().statement(height))?)
        else {
            return Ok(());
        };
        let head = Head { height, hash, timestamp_ms, statement };
        let mut batch = Batch::default();
        batch.put(Column::Meta, HEAD, codec::encode(&head));
        self.store().mend(batch)?;
        self.stand_on(&head)
    }

    /// How many of a block's transactions stand in it first, and what is wrong with the rows by which it
    /// and they are found by their names.
    pub(crate) fn index(&self, block: &Block) -> Result<(u64, WrongNames), LedgerError> {
        let mut wrong = Vec::new();
        let hash = block.hash();
        match found(self.store().header(&hash))? {
            Ok(header) if header == block.header => {}
            Ok(_) => wrong.push((Column::Headers, hash, "is another block's".into())),
            Err(why) => wrong.push((Column::Headers, hash, why)),
        }
        let chain = self.ledger.chain();
        let mut first = 0;
        for (index, transaction) in (0..).zip(&block.transactions) {
            let name = transaction.hash(chain);
            match found(self.store().transaction(&name))? {
                Ok(location) if !self.stands(&name, location, block)? => {
                    let why = "is not where the index says".into();
                    wrong.push((Column::Transactions, name, why));
                }
                Ok(location) => {
                    first += u64::from(location == Location { height: block.header.height, index });
                }
                Err(why) => wrong.push((Column::Transactions, name, why)),
            }
        }
        Ok((first, wrong))
    }

    /// Whether a transaction of this name stands at `location`, in a block up to `block`.
    pub(crate) fn stands(
        &self,
        name: &Hash,
        location: Location,
        block: &Block,
    ) -> Result<bool, LedgerError> {
        let Location { height, index } = location;
        let is = |block: &Block| {
            let transaction = block.transactions.get(index as usize);
            transaction.is_some_and(|t| t.hash(self.ledger.chain()) == *name)
        };
        match block.header.height.cmp(&height) {
            Ordering::Equal => Ok(is(block)),
            Ordering::Less => Ok(false),
            // What stood in a pruned block cannot be looked up there.
            Ordering::Greater if height <= self.ledger.base() => Ok(height > Height(0)),
            Ordering::Greater => Ok(self.block(height)?.is_ok_and(|block| is(&block))),
        }
    }

    /// Whether the indexes hold nothing but what was found in the blocks from the base up to `head`: each
    /// name was found, so their number tells. Rows of heights that have no block are removed; those of the
    /// base and below stay, for want of something to check them against.
    fn no_strangers(&mut self, head: Height, names: u64) -> Result<bool, LedgerError> {
        let strangers = self.strangers(head)?;
        let mut batch = Batch::default();
        for (column, key) in strangers {
            let what = "has a row of no block";
            self.repaired(head, column, Concerned::Row(&key), what, Remedy::Removed);
            batch.delete(column, key);
        }
        self.store().mend(batch)?;
        let blocks = head.0.saturating_sub(self.ledger.base().0);
        for (column, expected) in [(Column::Headers, blocks), (Column::Transactions, names)] {
            let found = self.count(column)?;
            if found != expected {
                let what = "has a row of no block";
                self.repaired(head, column, Concerned::Table, what, Remedy::Rebuilt);
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Keys of results that are of no block up to `head`.
    pub(super) fn strangers(&self, head: Height) -> Result<Vec<(Column, Vec<u8>)>, LedgerError> {
        let mut strangers = Vec::new();
        for column in [Column::Receipts, Column::Statements] {
            self.each_row(column, |key, _| {
                if height_of(key).is_none_or(|height| height == Height(0) || height > head) {
                    strangers.push((column, key.to_vec()));
                }
                Ok(())
            })?;
        }
        Ok(strangers)
    }

    /// How many rows a table has; of the indexes, those that name a height above the base, or none.
    pub(super) fn count(&self, column: Column) -> Result<u64, LedgerError> {
        let base = self.ledger.base();
        let index = matches!(column, Column::Headers | Column::Transactions);
        let mut found = 0;
        self.each_row(column, |_, row| {
            let below = index && indexed_height(column, row).is_some_and(|height| height <= base);
            found += u64::from(!below);
            Ok(())
        })?;
        Ok(found)
    }

    /// Removes from the indexes what does not stand at `height` or below.
    pub(super) fn forget_index_above(&self, height: Height) -> Result<(), LedgerError> {
        for column in [Column::Headers, Column::Transactions] {
            if height == Height(0) {
                self.clear(column)?;
                continue;
            }
            let mut above = Vec::new();
            self.each_row(column, |key, row| {
                if indexed_height(column, row).is_none_or(|at| at > height) {
                    above.push(key.to_vec());
                }
                if above.len() >= ROWS_AT_ONCE {
                    self.remove(column, std::mem::take(&mut above))?;
                }
                Ok(())
            })?;
            self.remove(column, above)?;
        }
        Ok(())
    }

    fn remove(&self, column: Column, keys: Vec<Vec<u8>>) -> Result<(), LedgerError> {
        let mut batch = Batch::default();
        keys.into_iter().for_each(|key| batch.delete(column, key));
        Ok(self.store().mend(batch)?)
    }

    /// Makes the indexes again from the blocks.
    fn index_again(&mut self, head: Height) -> Result<(), LedgerError> {
        let base = self.ledger.base();
        self.forget_index_above(base)?;
        let chain = self.ledger.chain();
        for height in (base.next().0..=head.0).map(Height) {
            // A block below what is checked may be missing: whoever looks for it is told so.
            if let Ok(block) = self.block(height)? {
                let mut batch = Batch::default();
                batch.put(Column::Headers, block.hash().0, codec::encode(&block.header));
                let numbered: Vec<_> = (0..).zip(&block.transactions).collect();
                // From the last to the first, so that the first place of a name is the one that stays.
                for (index, transaction) in numbered.into_iter().rev() {
                    let name = transaction.hash(chain);
                    if found(self.store().transaction(&name))?.is_err() {
                        let location = codec::encode(&Location { height, index });
                        batch.put(Column::Transactions, name.0, location);
                    }
                }
                self.store().mend(batch)?;
            }
        }
        Ok(())
    }
}

/// The height that a row of an index names.
fn indexed_height(column: Column, row: &[u8]) -> Option<Height> {
    if column == Column::Headers {
        Some(codec::decode_stored::<Header>(row).ok()?.height)
    } else {
        Some(codec::decode_stored::<Location>(row).ok()?.height)
    }
}
