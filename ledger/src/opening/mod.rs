//! Opening a ledger on a store that may hold anything (DESIGN 5: "a start on damaged files never needs a
//! human: the node keeps what verifies and fetches the rest").
//!
//! Rows are of three classes ([`daruma_store::Class`]). *Certified* records, blocks and commit
//! certificates, prove themselves. Everything *derived* follows from them by execution. *Control* rows
//! are this replica's notes. So whatever a disk holds, what is true of it can be told from what is not:
//!
//! 1. The head is the highest executed height below which no certified record was found damaged: as
//!    far down as was asked ([`Depth`]), each block is certified by a quorum and lies upon the one
//!    below. Damaged certified rows go to quarantine; those above them stay, and count again once the
//!    hole is filled. The heights missing are fetched from the other replicas as by any replica that
//!    was away.
//! 2. Derived rows must be what the certified ones say. Indexes are made again from the blocks, the
//!    state tree from the state; if that does not give the head's statement, or the head had to be
//!    lowered, everything derived is made again: from the highest snapshot on the own shelf that serves,
//!    or else by execution from the genesis. Where blocks were pruned and there is no such snapshot, the
//!    ledger stands at the genesis until a snapshot is fetched.
//! 3. Blocks that lie certified above what is executed are executed.
//!
//! A store on which a snapshot is being restored is left as it is: the chunks that are there were checked.
//!
//! Each step leaves a store on which the next opening goes on, also if the power fails in between:
//! while derived rows are made again, the head row says how far they reach.

mod audit;
mod base;
mod chain_row;
mod derived;
pub(crate) mod records;
mod state;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use daruma_automaton_api::DynAutomaton;
use daruma_store::{
    Batch, Class, Column, HEAD, Head, Store, StoreError, Trust,
    limits::{QUARANTINE_BYTES_MAX, QUARANTINE_ROWS_MAX},
    row_digest,
};
use daruma_types::{Hash, HeadClaim, Height, Statement, codec};

use crate::ledger::{HeadInfo, Ledger};
use crate::tree::StateTree;
use crate::{LedgerError, SnapshotShelf, limits};

/// How much of a ledger is checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// The last [`limits::RECENT_BLOCKS`] blocks with what follows from them, and as many entries of
    /// the state as can be read in a moment: for every start.
    Recent,
    /// Everything: for a start after damage is suspected.
    Whole,
}

pub use audit::{Audit, Audited, Finding, audit};

/// What was done about a row that was not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remedy {
    /// Moved to [`Column::Quarantine`]; the height is fetched from the other replicas.
    Quarantined,
    /// Made again from what certifies it.
    Rebuilt,
    /// Removed: nothing depends on it, or it can be had again.
    Removed,
    /// Left where it is until the true one is had from another replica.
    Missed,
    /// The head is lower than it was, because of a hole below it.
    Lowered,
}

/// One thing that opening a ledger repaired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRepair {
    /// The height concerned; of the state, the head's.
    pub height: Height,
    /// The table.
    pub column: Column,
    /// What was found there.
    pub found: String,
    /// What was done.
    pub remedy: Remedy,
    /// The row's key, where one row is concerned.
    pub row: Option<Vec<u8>>,
    /// Digest of the row as it was found ([`daruma_store::row_digest`]); none if it was missing or could
    /// not be read.
    pub before: Option<Hash>,
    /// The same of the row that was there when the opening was done. Where the whole state is concerned,
    /// its root.
    pub after: Option<Hash>,
}

/// Which row a repair is about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Concerned<'a> {
    /// The one of this key.
    Row(&'a [u8]),
    /// The table as a whole.
    Table,
}

/// Rows read at once while a table is checked or cleared.
const ROWS_AT_ONCE: usize = 1024;

/// The same of tables whose rows may be as large as a block.
const LARGE_ROWS_AT_ONCE: usize = 16;

/// An opening under way.
pub(crate) struct Opening {
    pub(crate) ledger: Ledger,
    depth: Depth,
    pub(crate) repairs: Vec<LedgerRepair>,
}

/// A row as it was found: what it says, or what is wrong with it.
pub(crate) type Found<T> = Result<T, String>;

/// The tables in which something is wrong with the rows of one height, and what.
pub(crate) type Wrong = Vec<(Column, String)>;

/// The same of rows by name.
pub(crate) type WrongNames = Vec<(Column, Hash, String)>;

/// What is found where there is no row.
const MISSING: &str = "is missing";

/// Tells damage, which is a finding, from a store that does not answer, which is an error.
pub(crate) fn found<T>(read: Result<Option<T>, StoreError>) -> Result<Found<T>, StoreError> {
    match read {
        Ok(Some(value)) => Ok(Ok(value)),
        Ok(None) => Ok(Err(MISSING.into())),
        Err(StoreError::Damaged { why, .. }) => Ok(Err(why)),
        Err(failed) => Err(failed),
    }
}

pub(crate) const fn key(height: Height) -> [u8; 8] {
    height.0.to_be_bytes()
}

pub(crate) fn height_of(key: &[u8]) -> Option<Height> {
    Some(Height(u64::from_be_bytes(key.try_into().ok()?)))
}

/// Opens the ledger; see [`Ledger::open`].
pub(crate) fn open(
    store: Arc<dyn Store>,
    automaton: Arc<dyn DynAutomaton>,
    trust: Trust,
    depth: Depth,
    shelf: Option<Arc<dyn SnapshotShelf>>,
) -> Result<(Ledger, Vec<LedgerRepair>), LedgerError> {
    let head = HeadInfo::genesis(trust.chain());
    let mut opening = Opening::at(head, store, automaton, trust, depth);
    opening.ledger.shelf = shelf;
    opening.check_chain()?;
    if !opening.goes_on_restoring()? {
        opening.find_base()?;
        opening.check()?;
    }
    let recent = opening.ledger.reader().recent_statements(limits::RECENT_STATEMENTS)?;
    opening.ledger.recent = recent.into();
    opening.see_what_is_there_now();
    Ok((opening.ledger, opening.repairs))
}

impl Ledger {
    /// Something to look at this ledger's store with.
    pub(crate) fn look(&self) -> Opening {
        let (store, automaton) = (Arc::clone(&self.store), Arc::clone(&self.automaton));
        let mut opening =
            Opening::at(self.head.clone(), store, automaton, self.trust.clone(), Depth::Recent);
        opening.ledger.base = self.base.clone();
        opening.ledger.restoring = self.restoring.clone();
        opening
    }
}

impl Opening {
    /// One of a ledger that stands at `head`, as far as is known before anything is looked at.
    fn at(
        head: HeadInfo,
        store: Arc<dyn Store>,
        automaton: Arc<dyn DynAutomaton>,
        trust: Trust,
        depth: Depth,
    ) -> Self {
        let (recent, missing, tree) = (VecDeque::new(), BTreeSet::new(), StateTree::new());
        let (shelf, base, restoring) = (None, None, None);
        let ledger =
            Ledger { store, automaton, trust, head, recent, missing, tree, shelf, base, restoring };
        Self { ledger, depth, repairs: Vec::new() }
    }

    pub(crate) fn store(&self) -> &dyn Store {
        self.ledger.store.as_ref()
    }

    /// Notes a repair that is about to be made.
    pub(crate) fn repaired(
        &mut self,
        height: Height,
        column: Column,
        row: Concerned<'_>,
        found: impl Into<String>,
        remedy: Remedy,
    ) {
        // A disk that is damaged all over needs no list of every row.
        if self.repairs.len() < limits::REPAIRS_TOLD_MAX {
            let (found, after) = (found.into(), None);
            let (row, before) = match row {
                Concerned::Row(key) => (Some(key.to_vec()), self.digest(column, key)),
                Concerned::Table => (None, None),
            };
            self.repairs.push(LedgerRepair { height, column, found, remedy, row, before, after });
        }
    }

    fn digest(&self, column: Column, key: &[u8]) -> Option<Hash> {
        self.store().row(column, key).ok().flatten().map(|row| row_digest(&row))
    }

    /// Says of each repair what it came to.
    pub(crate) fn see_what_is_there_now(&mut self) {
        let root = self.ledger.head().statement.state_root;
        for mut repair in std::mem::take(&mut self.repairs) {
            repair.after = match (&repair.row, repair.column) {
                (Some(key), column) => self.digest(column, key),
                (None, Column::State | Column::Tree) => Some(root),
                (None, _) => None,
            };
            self.repairs.push(repair);
        }
    }

    fn check(&mut self) -> Result<(), LedgerError> {
        let noted = self.noted_head()?;
        let executed = noted.map_or(Height(0), |head| head.height);
        let base = self.ledger.base();
        let lowest = match self.depth {
            Depth::Recent => executed.0.saturating_sub(limits::RECENT_BLOCKS - 1),
            Depth::Whole => 1,
        };
        let lowest = lowest.max(base.next().0);
        let sound = self.check_records(Height(lowest), executed)?;
        match noted {
            Some(head) if sound == executed && executed >= base => {
                self.stand_on(&head)?;
                if let Some(trusted) = self.check_derived(Height(lowest))? {
                    self.start_again(trusted)?;
                }
            }
            Some(_) => {
                let found = format!("said {executed}; the chain is sound up to {sound}");
                self.repaired(sound, Column::Meta, Concerned::Row(HEAD), found, Remedy::Lowered);
                self.start_again(sound)?;
            }
            None if self.nothing_noted()? && base == Height(0) => {}
            None => self.start_again(self.ledger.base())?,
        }
        self.execute_what_is_certified()
    }

    /// The head row, if it names a certified block.
    pub(crate) fn head_of_row(&self) -> Result<Found<Head>, LedgerError> {
        Ok(match found(self.store().head())? {
            Ok(head) if self.is_certified(head.height, &head.hash)? => Ok(head),
            Ok(head) => Err(format!("names a block at {} that nobody certified", head.height)),
            Err(why) => Err(why),
        })
    }

    /// The head row, or what it must have been: then it is written again.
    fn noted_head(&mut self) -> Result<Option<Head>, LedgerError> {
        let why = match self.head_of_row()? {
            Ok(head) => return Ok(Some(head)),
            Err(why) => why,
        };
        let Some(head) = self.last_statement()? else {
            if why != MISSING {
                let row = Concerned::Row(HEAD);
                self.repaired(Height(0), Column::Meta, row, why, Remedy::Removed);
            }
            return Ok(None);
        };
        self.repaired(head.height, Column::Meta, Concerned::Row(HEAD), why, Remedy::Rebuilt);
        let mut batch = Batch::default();
        batch.put(Column::Meta, HEAD, codec::encode(&head));
        self.store().mend(batch)?;
        Ok(Some(head))
    }

    fn is_certified(&self, height: Height, hash: &Hash) -> Result<bool, LedgerError> {
        Ok(height > Height(0) && self.certificate(height)?.is_ok_and(|c| c.hash == *hash))
    }

    /// The head that the last statement with its block gives.
    fn last_statement(&self) -> Result<Option<Head>, LedgerError> {
        let mut last: Option<Statement> = None;
        self.each_row(Column::Statements, |key, _| {
            if let Some(height) = height_of(key)
                && let Ok(statement) = found(self.store().statement(height))?
                && statement.height == height
            {
                last = Some(statement);
            }
            Ok(())
        })?;
        let Some(statement) = last else { return Ok(None) };
        let Ok((hash, timestamp_ms)) = self.committed(statement.height)? else { return Ok(None) };
        let height = statement.height;
        let fits = statement.block == hash;
        Ok(fits.then_some(Head { height, hash, timestamp_ms, statement }))
    }

    /// Goes through a table, some rows at a time; a stretch that cannot be read ends it.
    fn each_row(
        &self,
        column: Column,
        mut see: impl FnMut(&[u8], &[u8]) -> Result<(), LedgerError>,
    ) -> Result<(), LedgerError> {
        let mut from = Vec::new();
        loop {
            let rows = match self.store().rows(column, &from, ROWS_AT_ONCE) {
                Ok(rows) => rows,
                Err(StoreError::Damaged { .. }) => return Ok(()),
                Err(failed) => return Err(failed.into()),
            };
            for (key, value) in &rows {
                see(key, value)?;
            }
            match rows.last() {
                Some((last, _)) if rows.len() == ROWS_AT_ONCE => from = after(last),
                Some(_) | None => return Ok(()),
            }
        }
    }

    /// Makes the ledger stand on this head, whose block and certificate were found sound.
    fn stand_on(&mut self, head: &Head) -> Result<(), LedgerError> {
        let Head { height, hash, timestamp_ms, statement } = *head;
        let certificate = self.store().certificate(height)?;
        let claim = HeadClaim { height, hash, certificate };
        self.ledger.head = HeadInfo { claim, timestamp_ms, statement };
        Ok(())
    }

    /// Whether there is neither a head row nor anything derived, as in a new store.
    pub(crate) fn nothing_noted(&self) -> Result<bool, LedgerError> {
        if found(self.store().row(Column::Meta, HEAD))? != Err(MISSING.into()) {
            return Ok(false);
        }
        for column in Column::ALL.into_iter().filter(|column| column.class() == Class::Derived) {
            match self.store().rows(column, b"", 1) {
                Ok(rows) if rows.is_empty() => {}
                Ok(_) | Err(StoreError::Damaged { .. }) => return Ok(false),
                Err(failed) => return Err(failed.into()),
            }
        }
        Ok(true)
    }

    /// Throws away what is derived, and stands on the highest snapshot up to `trusted` that serves: what is
    /// derived of the heights up to there is not in doubt. Without one the ledger is at the genesis, and if
    /// blocks were pruned it stays there until a snapshot is fetched. The head row goes first, so that an
    /// opening after a loss of power begins here again.
    fn start_again(&mut self, trusted: Height) -> Result<(), LedgerError> {
        let mut batch = Batch::default();
        batch.delete(Column::Meta, HEAD);
        self.store().mend(batch)?;
        if self.stand_on_snapshot(trusted)? {
            return Ok(());
        }
        self.forget_base()?;
        for column in Column::ALL.into_iter().filter(|column| column.class() == Class::Derived) {
            self.clear(column)?;
        }
        self.ledger.head = HeadInfo::genesis(self.ledger.chain());
        self.ledger.tree = StateTree::new();
        Ok(())
    }

    fn clear(&self, column: Column) -> Result<(), LedgerError> {
        clear(self.store(), column)
    }

    /// Executes the certified blocks that lie above the head, up to the first that is missing or not
    /// sound. After a normal end there is none.
    fn execute_what_is_certified(&mut self) -> Result<(), LedgerError> {
        let before = self.ledger.head().claim.height;
        loop {
            let next = self.ledger.head().claim.height.next();
            match self.certified(next)? {
                Ok(block) if block.block.header.parent == self.ledger.head().claim.hash => {
                    self.ledger.execute_verified(&block)?;
                    // Attestations are not made again: those kept for the height may be damaged too.
                    self.check_state_certificate(next)?;
                }
                Ok(_) | Err(_) => break,
            }
        }
        let (after, next) = (self.ledger.head().claim.height, before.next());
        if after > before {
            let found = format!("nothing executed from {next} up to {after}");
            self.repaired(after, Column::State, Concerned::Table, found, Remedy::Rebuilt);
        }
        // What lies there and is not sound must not be served or believed.
        self.check_records(after.next(), after.next())?;
        Ok(())
    }

    /// Adds to `batch` the move of a row to quarantine, if there is room.
    fn quarantine(&self, column: Column, key: &[u8], batch: &mut Batch) -> Result<(), LedgerError> {
        batch.delete(column, key);
        let Ok(value) = found(self.store().row(column, key))? else { return Ok(()) };
        if quarantine_room(self.store())? > 0 && may_be_kept(&value) {
            batch.put(Column::Quarantine, column.quarantine_key(key), value);
        }
        Ok(())
    }
}

/// Whether a row is small enough for the quarantine.
pub(crate) const fn may_be_kept(row: &[u8]) -> bool {
    row.len() <= QUARANTINE_BYTES_MAX
}

/// Removes all rows of a table.
pub(crate) fn clear(store: &dyn Store, column: Column) -> Result<(), LedgerError> {
    clear_from(store, column, Vec::new())
}

/// Removes the rows of a table whose keys are `from` or above.
fn clear_from(store: &dyn Store, column: Column, mut from: Vec<u8>) -> Result<(), LedgerError> {
    // Not from the first key each time: a store on disk passes over what was deleted one by one.
    loop {
        let rows = store.rows(column, &from, ROWS_AT_ONCE)?;
        let Some((last, _)) = rows.last() else { return Ok(()) };
        from = after(last);
        let mut batch = Batch::default();
        rows.into_iter().for_each(|(key, _)| batch.delete(column, key));
        store.mend(batch)?;
    }
}

/// How many more rows the quarantine takes.
pub(crate) fn quarantine_room(store: &dyn Store) -> Result<usize, LedgerError> {
    match store.rows(Column::Quarantine, b"", QUARANTINE_ROWS_MAX) {
        Ok(kept) => Ok(QUARANTINE_ROWS_MAX.saturating_sub(kept.len())),
        Err(StoreError::Damaged { .. }) => Ok(0),
        Err(failed) => Err(failed.into()),
    }
}

/// The first key after this one.
pub(crate) fn after(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}
