//! Looking through a whole ledger while it runs, some rows at a time (DESIGN 5): damage that nobody reads is
//! found before it is needed, or before the last other copy is damaged too.
//!
//! A [`Scrubber`] only reads, from a thread of its own, while the ledger executes. So what it sees may be half
//! of what a block changes, and it is no more than a [`Suspect`]: [`Ledger::settle`], on the thread that
//! writes, looks again and repairs what is really wrong. Blocks are immutable once executed, so everything that
//! follows from one can be compared at any time; state and tree change with each block, and are compared
//! within one snapshot for each step, against the root in the same snapshot.

mod results;
mod settling;
mod state;

use std::collections::HashSet;

use daruma_store::{CHAIN, Column};
use daruma_types::{ChainId, Hash, Height, codec};

use crate::opening::{Opening, found, records};
use crate::{Ledger, LedgerError, limits};

/// Something that does not look as it should.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Suspect {
    /// The record of a height, or what follows from it.
    Height(Height),
    /// The rows that name head and chain.
    Control,
    /// A row that belongs to no block, or to no page.
    Stranger(Column, Vec<u8>),
    /// A table as a whole: which rows are wrong only a check of everything tells.
    Table(Column, &'static str),
}

/// What one step of a scrubber came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scrubbed {
    /// Rows that were looked at.
    pub rows: u64,
    /// What does not look as it should.
    pub suspects: Vec<Suspect>,
    /// Whether this was the last step of a pass.
    pub pass_done: bool,
}

/// What is looked at next.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Stage {
    /// Head and chain, with which a pass begins.
    Control,
    /// Record, results and indexes of a height.
    Heights(Height),
    /// Whether a table has rows of no block, from this key on.
    Strangers(Column, Vec<u8>),
    /// The tree, from this hash of a key on.
    Leaves(Hash),
    /// The entries of the state, from this key on.
    Entries(Vec<u8>),
}

/// Looks through a ledger again and again. One step reads at most [`limits::SCRUB_ROWS_AT_ONCE`] rows, or one
/// block with what follows from it.
pub struct Scrubber {
    look: Opening,
    stage: Stage,
    /// The executed height up to which this pass looks.
    top: Height,
    /// The hash of the block below the next height, if it was sound.
    below: Option<Hash>,
    /// Rows of the index of transactions that the blocks looked at should have, and those found.
    names: (u64, u64),
    /// Whether all of those blocks and their indexes are sound, so that the numbers can be compared.
    comparable: bool,
    /// Leaves of the tree whose entry this pass has not met yet.
    unseen: HashSet<Hash>,
    /// The last of them.
    last_leaf: Hash,
    /// Where the leaves begin that a pass remembers.
    leaves_from: Hash,
    /// Whether the entries are gone through a second time, for those that were not met.
    again: bool,
}

impl std::fmt::Debug for Scrubber {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scrubber").field("at", &self.position()).finish_non_exhaustive()
    }
}

impl Scrubber {
    /// One for the store of `ledger`, at the beginning of a pass.
    #[must_use]
    pub fn new(ledger: &Ledger) -> Self {
        Self {
            look: ledger.look(),
            stage: Stage::Control,
            top: Height(0),
            below: None,
            names: (0, 0),
            comparable: true,
            unseen: HashSet::new(),
            last_leaf: Hash::default(),
            leaves_from: Hash::default(),
            again: false,
        }
    }

    /// What is looked at next, for people: a table and, of blocks, the height.
    #[must_use]
    pub fn position(&self) -> (&'static str, Height) {
        match &self.stage {
            Stage::Control => (Column::Meta.name(), Height(0)),
            Stage::Heights(height) => (Column::Blocks.name(), *height),
            Stage::Strangers(column, _) => (column.name(), self.top),
            Stage::Leaves(_) => (Column::Tree.name(), self.top),
            Stage::Entries(_) => (Column::State.name(), self.top),
        }
    }

    /// Looks at the next rows. Nothing is written.
    ///
    /// # Errors
    /// That the store failed; the same rows are looked at again next time.
    pub fn step(&mut self) -> Result<Scrubbed, LedgerError> {
        let mut scrubbed = Scrubbed { rows: 0, suspects: Vec::new(), pass_done: false };
        let next = match self.stage.clone() {
            Stage::Control => self.control(&mut scrubbed)?,
            Stage::Heights(height) => Some(self.height(height, &mut scrubbed)?),
            Stage::Strangers(column, from) => Some(self.strangers(column, &from, &mut scrubbed)?),
            Stage::Leaves(from) => self.leaves(from, &mut scrubbed)?,
            Stage::Entries(from) => self.entries(&from, &mut scrubbed)?,
        };
        scrubbed.pass_done = next.is_none();
        self.stage = next.unwrap_or(Stage::Control);
        Ok(scrubbed)
    }

    /// The executed height now; none if the row that says so is damaged.
    fn executed(&self) -> Result<Option<Height>, LedgerError> {
        Ok(found(self.look.store().head())?.ok().map(|head| head.height))
    }

    /// Reads where the kept chain begins. None while a snapshot is being restored: what is derived is half of
    /// something then.
    fn beginning(&mut self) -> Result<Option<Height>, LedgerError> {
        if self.look.noted_restoring()?.is_ok() {
            return Ok(None);
        }
        self.look.ledger.base = self.look.noted_base()?.ok();
        // One that is damaged leaves the pruned heights suspect: the ledger that runs knows better.
        Ok(Some(self.look.ledger.base()))
    }

    fn control(&mut self, scrubbed: &mut Scrubbed) -> Result<Option<Stage>, LedgerError> {
        scrubbed.rows += 2;
        self.look.ledger.restoring = None;
        let Some(base) = self.beginning()? else { return Ok(None) };
        let chain = found(self.look.store().row(Column::Meta, CHAIN))?;
        let own = self.look.ledger.chain();
        let chain_fits =
            chain.is_ok_and(|row| codec::decode_stored::<ChainId>(&row).is_ok_and(|c| c == own));
        let head_fits = match self.look.head_of_row()? {
            // What lies at its height is a finding about that height.
            Ok(head) => {
                let statement = found(self.look.store().statement(head.height))?;
                let committed = self.look.committed(head.height)?;
                statement.is_ok_and(|statement| statement == head.statement)
                    && committed.is_ok_and(|(_, timestamp_ms)| timestamp_ms == head.timestamp_ms)
            }
            Err(_) => self.look.nothing_noted()?,
        };
        if !chain_fits || !head_fits {
            scrubbed.suspects.push(Suspect::Control);
        }
        self.top = self.executed()?.unwrap_or(Height(0));
        self.below = self.look.hash_below(base.next())?;
        (self.names, self.comparable, self.again) = ((0, 0), true, false);
        self.unseen.clear();
        Ok(Some(Stage::Heights(base.next())))
    }

    /// Where the rows above the head begin: there are none but after faults.
    fn above(&mut self, scrubbed: &mut Scrubbed) -> Result<(), LedgerError> {
        let from = self.top.next();
        for column in [Column::Blocks, Column::Certificates] {
            // The one that is below all blocks, too.
            if let Ok(rows) = self.rows(column, b"", 1)?
                && let Some((key, row)) = rows.first()
                && results::is_stranger(&self.look, column, key, row, Some(self.top))?
            {
                scrubbed.suspects.push(Suspect::Stranger(column, key.clone()));
            }
            let key = crate::opening::key(from);
            let Ok(rows) = self.rows(column, &key, limits::SCRUB_LARGE_ROWS_AT_ONCE)? else {
                scrubbed.suspects.push(Suspect::Height(from));
                continue;
            };
            for (key, _) in rows {
                scrubbed.rows += 1;
                match crate::opening::height_of(&key) {
                    Some(height) => {
                        let store = self.look.store();
                        let (block, certificate) =
                            records::rows(store, &self.look.ledger.trust, height)?;
                        if !records::damaged(&block, &certificate).is_empty() {
                            scrubbed.suspects.push(Suspect::Height(height));
                        }
                    }
                    None => scrubbed.suspects.push(Suspect::Stranger(column, key)),
                }
            }
        }
        Ok(())
    }
}
