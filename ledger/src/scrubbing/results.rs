//! Records and what follows from them, height by height; then rows that belong to no block.

use daruma_store::{Column, Location, Row, StoreError};
use daruma_types::{Hash, Header, Height, codec};

use super::{Scrubbed, Scrubber, Stage, Suspect};
use crate::opening::{self, Opening, found};
use crate::{LedgerError, limits};

/// The tables whose rows are gone through for those of no block, in this order.
const TABLES: [Column; 5] =
    [Column::Transactions, Column::Headers, Column::Receipts, Column::Statements, Column::Tree];

impl Scrubber {
    /// Rows of a table from a key on; an error says that they cannot be read.
    pub(super) fn rows(
        &self,
        column: Column,
        from: &[u8],
        count: usize,
    ) -> Result<Result<Vec<Row>, ()>, LedgerError> {
        match self.look.store().rows(column, from, count) {
            Ok(rows) => Ok(Ok(rows)),
            Err(StoreError::Damaged { .. }) => Ok(Err(())),
            Err(failed) => Err(failed.into()),
        }
    }

    /// The record of a height, and what follows from it.
    pub(super) fn height(
        &mut self,
        height: Height,
        scrubbed: &mut Scrubbed,
    ) -> Result<Stage, LedgerError> {
        // The head may be lower than it was: blocks can be given up for another chain.
        let executed = self.executed()?.unwrap_or(self.top);
        if executed < self.top {
            (self.top, self.comparable) = (executed, false);
        }
        // Blocks may have been pruned meanwhile.
        if crate::base::earliest(self.look.store()) != self.look.ledger.base().next() {
            let Some(base) = self.beginning()? else { return Ok(Stage::Control) };
            self.comparable = false;
            if height <= base {
                self.below = self.look.hash_below(base.next())?;
                return Ok(Stage::Heights(base.next()));
            }
        }
        if height > self.top {
            self.above(scrubbed)?;
            let [first, ..] = TABLES;
            return Ok(Stage::Strangers(first, Vec::new()));
        }
        scrubbed.rows += 5;
        let own = match self.look.certified(height)? {
            Ok(certified) => certified,
            Err(_) => {
                scrubbed.suspects.push(Suspect::Height(height));
                (self.below, self.comparable) = (None, false);
                return Ok(Stage::Heights(height.next()));
            }
        };
        let block = own.block.as_ref();
        scrubbed.rows += block.transactions.len() as u64;
        let mut sound = true;
        if self.below.is_some_and(|below| below != block.header.parent) {
            // Which of the two is another chain's, the one above them tells.
            scrubbed.suspects.push(Suspect::Height(height.previous()));
            sound = false;
        }
        self.below = Some(own.certificate.hash);
        let (first, wrong) = self.look.index(block)?;
        self.names.0 += first;
        self.comparable &= wrong.is_empty();
        sound &= wrong.is_empty() && self.look.results(block)?.is_ok();
        let attestations =
            found(self.look.store().row(Column::Attestations, &opening::key(height)))?;
        sound &= attestations.is_err() || self.look.attested(height)?.is_some();
        if !sound {
            scrubbed.suspects.push(Suspect::Height(height));
        }
        Ok(Stage::Heights(height.next()))
    }

    /// Whether rows belong to a block of the chain, or to a page of the tree.
    pub(super) fn strangers(
        &mut self,
        column: Column,
        from: &[u8],
        scrubbed: &mut Scrubbed,
    ) -> Result<Stage, LedgerError> {
        let large = column == Column::Receipts;
        let count =
            if large { limits::SCRUB_LARGE_ROWS_AT_ONCE } else { limits::SCRUB_ROWS_AT_ONCE };
        let Ok(rows) = self.rows(column, from, count)? else {
            scrubbed.suspects.push(Suspect::Table(column, "cannot be read to its end"));
            return Ok(self.after_table(column, scrubbed));
        };
        scrubbed.rows += rows.len() as u64;
        // Read after the rows: one that was written meanwhile is of a height up to it.
        let executed = self.executed()?;
        let base = self.look.ledger.base();
        for (key, row) in &rows {
            if column == Column::Transactions
                && codec::decode_stored(row)
                    .is_ok_and(|l: Location| l.height > base && l.height <= self.top)
            {
                self.names.1 += 1;
            }
            if is_stranger(&self.look, column, key, row, executed)? {
                self.comparable &= column != Column::Transactions;
                scrubbed.suspects.push(Suspect::Stranger(column, key.clone()));
            }
        }
        Ok(match rows.last() {
            Some((last, _)) if rows.len() == count => {
                Stage::Strangers(column, opening::after(last))
            }
            Some(_) | None => self.after_table(column, scrubbed),
        })
    }

    fn after_table(&self, column: Column, scrubbed: &mut Scrubbed) -> Stage {
        if column == Column::Transactions && self.comparable && self.names.0 != self.names.1 {
            scrubbed.suspects.push(Suspect::Table(column, "has rows of no transaction"));
        }
        let next = TABLES.into_iter().skip_while(|table| *table != column).nth(1);
        match next {
            Some(table) => Stage::Strangers(table, Vec::new()),
            None => Stage::Leaves(Hash::default()),
        }
    }
}

/// Whether a row belongs to nothing that the chain up to `executed` has, as far as the row itself tells.
pub(super) fn is_stranger(
    look: &Opening,
    column: Column,
    key: &[u8],
    row: &[u8],
    executed: Option<Height>,
) -> Result<bool, LedgerError> {
    let Some(executed) = executed else { return Ok(false) };
    let of_no_block = |height: Height| height == Height(0) || height > executed;
    Ok(match column {
        Column::Receipts | Column::Statements => opening::height_of(key).is_none_or(of_no_block),
        Column::Transactions => {
            codec::decode_stored(row).map_or(true, |l: Location| of_no_block(l.height))
        }
        Column::Headers => {
            let Ok(header) = codec::decode_stored::<Header>(row) else { return Ok(true) };
            let hash = header.hash();
            // A damaged certificate is a finding of its own.
            let certified = found(look.store().certificate(header.height))?;
            hash.0.as_slice() != key
                || of_no_block(header.height)
                || certified.is_ok_and(|certificate| certificate.hash != hash)
        }
        Column::Tree => !is_named(look, key)?,
        Column::Blocks | Column::Certificates => {
            opening::height_of(key).is_none_or(|height| height == Height(0))
        }
        Column::State
        | Column::Journal
        | Column::Attestations
        | Column::Meta
        | Column::Quarantine
        | Column::HealLog => false,
    })
}

/// Whether the row of a page is there no more, or some page above it names it.
fn is_named(look: &Opening, key: &[u8]) -> Result<bool, LedgerError> {
    let snapshot = look.store().snapshot();
    if found(snapshot.tree_node(key))?.is_err() {
        return Ok(true);
    }
    super::state::names(snapshot.as_ref(), key)
}

/// The hash that the digits in the key of a page's row begin; none if it is the key of no page.
pub(super) fn digits(key: &[u8]) -> Option<(usize, Hash)> {
    let (digits, prefix) = key.split_first()?;
    let mut hash = Hash::default();
    if prefix.len() != usize::from(*digits).div_ceil(2) {
        return None;
    }
    hash.0.get_mut(..prefix.len())?.copy_from_slice(prefix);
    Some((usize::from(*digits), hash))
}
