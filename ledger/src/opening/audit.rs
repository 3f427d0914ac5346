//! Looking at a ledger without repairing it: the checks of an opening, each row that fails one told, and the
//! store left as it is.

mod beginning;

use std::collections::BTreeMap;
use std::sync::Arc;

use daruma_automaton_api::DynAutomaton;
use daruma_store::{CHAIN, Column, HEAD, Head, MemoryStore, Row, Store, StoreError, Trust};
use daruma_types::{Hash, HeadClaim, Height, Statement};

use super::state::Seen;
use super::{
    Depth, LARGE_ROWS_AT_ONCE, MISSING, Opening, ROWS_AT_ONCE, after, found, height_of, key,
};
use crate::ledger::{HeadInfo, Ledger};
use crate::{LedgerError, limits};

/// One thing that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The table.
    pub column: Column,
    /// The row's key; none where a stretch of rows or the table as a whole is meant.
    pub row: Option<Vec<u8>>,
    /// The height concerned, where there is one.
    pub height: Option<Height>,
    /// What was found there.
    pub found: String,
}

/// What is being looked at, for people who wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Audited {
    /// In a few words.
    pub what: &'static str,
    /// How much of it is done.
    pub done: u64,
    /// How much there is; 0 if that is not known before.
    pub total: u64,
}

/// What an audit came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Audit {
    /// What is not what it should be, the first [`limits::AUDIT_FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    /// How many more there were.
    pub more: u64,
    /// What is no fault, but good to know.
    pub notes: Vec<String>,
    /// The executed head that everything was compared with; the genesis has height 0.
    pub head: Option<Statement>,
    /// How many of each were looked at.
    pub looked_at: BTreeMap<&'static str, u64>,
}

impl Audit {
    /// Whether nothing was found.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }
}

/// Looks at everything in `store` and changes nothing. With `execute`, the chain is executed anew from the
/// genesis as well, in memory, and what each block comes to is compared.
///
/// # Errors
/// [`LedgerError::OtherChain`] for the store of another chain; [`LedgerError::Store`] if the disk does not
/// answer.
pub fn audit(
    store: Arc<dyn Store>,
    automaton: Arc<dyn DynAutomaton>,
    trust: Trust,
    execute: bool,
    progress: &mut dyn FnMut(Audited),
) -> Result<Audit, LedgerError> {
    let head = HeadInfo::genesis(trust.chain());
    let opening = Opening::at(head, store, automaton, trust, Depth::Whole);
    let mut auditor = Auditor { opening, audit: Audit::default(), progress };
    auditor.chain()?;
    auditor.begins()?;
    if auditor.opening.ledger.restoring.is_some() {
        // What is derived is half of something, and each chunk of it was checked when it was written.
        auditor.journal()?;
        auditor.heal_log()?;
        auditor.readable()?;
        auditor.audit.head = Some(auditor.opening.ledger.head().statement);
        return Ok(auditor.audit);
    }
    let head = auditor.head()?;
    auditor.records(head)?;
    auditor.derived(head)?;
    auditor.attestations(head)?;
    auditor.state(head)?;
    auditor.journal()?;
    auditor.heal_log()?;
    auditor.readable()?;
    if execute {
        auditor.execute(head)?;
    }
    auditor.audit.head = Some(auditor.opening.ledger.head().statement);
    Ok(auditor.audit)
}

struct Auditor<'a> {
    opening: Opening,
    audit: Audit,
    progress: &'a mut dyn FnMut(Audited),
}

/// Adds a finding, if there is room.
fn note(audit: &mut Audit, finding: Finding) {
    if audit.findings.len() < limits::AUDIT_FINDINGS_MAX {
        audit.findings.push(finding);
    } else {
        audit.more = audit.more.saturating_add(1);
    }
}

impl Auditor<'_> {
    fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.opening.ledger.store)
    }

    fn find(
        &mut self,
        column: Column,
        row: Option<&[u8]>,
        height: Option<Height>,
        found: impl Into<String>,
    ) {
        let (row, found) = (row.map(<[u8]>::to_vec), found.into());
        note(&mut self.audit, Finding { column, row, height, found });
    }

    /// The next rows of a table; none where they cannot be read, which is told.
    fn page(
        &mut self,
        column: Column,
        from: &[u8],
        count: usize,
    ) -> Result<Option<Vec<Row>>, LedgerError> {
        match self.opening.store().rows(column, from, count) {
            Ok(rows) => Ok(Some(rows)),
            Err(StoreError::Damaged { why, .. }) => {
                self.find(column, None, None, format!("cannot be read to its end: {why}"));
                Ok(None)
            }
            // A table that an older store does not have.
            Err(StoreError::Failed { .. }) if column == Column::HealLog && from.is_empty() => {
                Ok(None)
            }
            Err(failed) => Err(failed.into()),
        }
    }

    fn looked_at(&mut self, what: &'static str, count: u64) {
        let counted = self.audit.looked_at.entry(what).or_default();
        *counted = counted.saturating_add(count);
    }

    fn show(&mut self, what: &'static str, done: u64, total: u64) {
        (self.progress)(Audited { what, done, total });
    }

    fn chain(&mut self) -> Result<(), LedgerError> {
        if let Some((why, false)) = self.opening.chain_row()? {
            self.find(Column::Meta, Some(CHAIN), None, why);
        }
        Ok(())
    }

    /// The executed head, on which everything else is looked at from then on.
    fn head(&mut self) -> Result<Height, LedgerError> {
        let why = match self.opening.head_of_row()? {
            Ok(head) => return self.stand_on(&head),
            Err(why) => why,
        };
        // Where only the certificate is damaged, which is told later, the row is right.
        if let Ok(head) = found(self.store().head())?
            && found(self.store().statement(head.height))? == Ok(head.statement)
        {
            return self.stand_on(&head);
        }
        let last = self.opening.last_statement()?;
        if why != MISSING || last.is_some() || !self.opening.nothing_noted()? {
            self.find(Column::Meta, Some(HEAD), last.map(|head| head.height), why);
        }
        match last {
            Some(head) => self.stand_on(&head),
            None => Ok(Height(0)),
        }
    }

    fn stand_on(&mut self, head: &Head) -> Result<Height, LedgerError> {
        let Head { height, hash, timestamp_ms, statement } = *head;
        let certificate = self.opening.certificate(height)?.ok();
        let claim = HeadClaim { height, hash, certificate };
        self.opening.ledger.head = HeadInfo { claim, timestamp_ms, statement };
        Ok(height)
    }

    /// Blocks and certificates.
    fn records(&mut self, head: Height) -> Result<(), LedgerError> {
        let lowest = self.opening.ledger.base().next();
        let mut below = self.opening.hash_below(lowest)?;
        for height in (lowest.0..=head.0).map(Height) {
            self.show("blocks and certificates", height.0, head.0);
            let (wrong, hash) = self.opening.look_at_record(height, below)?;
            if wrong.is_empty() && hash.is_none() {
                let why = "does not lie on the block below it";
                self.find(Column::Blocks, Some(&key(height)), Some(height), why);
            }
            for (column, why) in wrong {
                self.find(column, Some(&key(height)), Some(height), why);
            }
            below = hash;
        }
        let blocks = head.0.saturating_sub(self.opening.ledger.base().0);
        self.looked_at("blocks", blocks);
        self.looked_at("certificates", blocks);
        for column in [Column::Blocks, Column::Certificates] {
            self.outside(column, head)?;
        }
        Ok(())
    }

    /// Rows of blocks or certificates that are not from height 1 to the head.
    fn outside(&mut self, column: Column, head: Height) -> Result<(), LedgerError> {
        let mut above = 0_u64;
        for (mut from, end) in [(Vec::new(), Some(key(Height(1)))), (after(&key(head)), None)] {
            while let Some(rows) = self.page(column, &from, LARGE_ROWS_AT_ONCE)? {
                for (row, _) in &rows {
                    if end.is_some_and(|end| row.as_slice() >= end.as_slice()) {
                        break;
                    }
                    match height_of(row) {
                        Some(height) if height > head => {
                            let (wrong, _) = self.opening.look_at_record(height, None)?;
                            let of_this = wrong.into_iter().find(|(table, _)| *table == column);
                            above = above.saturating_add(1);
                            if let Some((_, why)) = of_this {
                                self.find(column, Some(row), Some(height), why);
                            }
                        }
                        Some(_) => self.find(column, Some(row), None, "is of no height of a block"),
                        None => self.find(column, Some(row), None, "its key is no height"),
                    }
                }
                match rows.last() {
                    Some((last, _)) if rows.len() == LARGE_ROWS_AT_ONCE && end.is_none() => {
                        from = after(last);
                    }
                    Some(_) | None => break,
                }
            }
        }
        if above > 0 {
            let name = column.name();
            self.audit.notes.push(format!(
                "{above} {name} lie above the executed head {head}: a start executes or fetches what joins them"
            ));
        }
        Ok(())
    }

    /// Everything that follows from the blocks, but the state.
    fn derived(&mut self, head: Height) -> Result<(), LedgerError> {
        let (mut names, mut complete, mut transactions) = (0, true, 0);
        let base = self.opening.ledger.base();
        for height in (base.next().0..=head.0).map(Height) {
            self.show("results and indexes", height.0, head.0);
            // A block that is not what it should be was told already.
            let Ok(block) = self.opening.block(height)? else {
                complete = false;
                continue;
            };
            transactions += block.transactions.len() as u64;
            if let Err((column, why)) = self.opening.results(&block)? {
                self.find(column, Some(&key(height)), Some(height), why);
            }
            let (first, wrong) = self.opening.index(&block)?;
            names += first;
            complete &= wrong.is_empty();
            for (column, name, why) in wrong {
                self.find(column, Some(&name.0), Some(height), why);
            }
        }
        self.looked_at("transactions", transactions);
        let known =
            self.opening.committed(head)?.is_ok() && found(self.store().statement(head))?.is_ok();
        if known && let Err(why) = self.opening.head_row()? {
            self.find(Column::Meta, Some(HEAD), Some(head), why);
        }
        for (column, row) in self.opening.strangers(head)? {
            self.find(column, Some(&row), None, "is a row of no block");
        }
        let blocks = head.0.saturating_sub(base.0);
        for (column, expected) in [(Column::Headers, blocks), (Column::Transactions, names)] {
            let found = self.opening.count(column)?;
            if complete && found != expected {
                let why = format!("has {found} rows; the blocks make {expected} of them");
                self.find(column, None, None, why);
            }
        }
        Ok(())
    }

    fn attestations(&mut self, head: Height) -> Result<(), LedgerError> {
        let store = self.store();
        let trust = self.opening.ledger.trust.clone();
        let weak = trust.committee.thresholds().weak();
        let (mut from, mut count) = (Vec::new(), 0_u64);
        while let Some(rows) = self.page(Column::Attestations, &from, ROWS_AT_ONCE)? {
            for (row, _) in &rows {
                count += 1;
                self.show("attestations", count, 0);
                let Some(height) = height_of(row) else {
                    self.find(Column::Attestations, Some(row), None, "its key is no height");
                    continue;
                };
                let holds = if height <= head {
                    self.opening.attested(height)?.is_some()
                } else {
                    // Nothing here says yet which block it is about.
                    found(store.state_certificate(height))?.is_ok_and(|certificate| {
                        certificate.statement.height == height
                            && certificate
                                .verify(weak, &trust.committee, trust.verifier.as_ref())
                                .is_ok()
                    })
                };
                if !holds {
                    self.find(Column::Attestations, Some(row), Some(height), "do not verify");
                }
            }
            match rows.last() {
                Some((last, _)) if rows.len() == ROWS_AT_ONCE => from = after(last),
                Some(_) | None => break,
            }
        }
        self.looked_at("attestations", count);
        Ok(())
    }

    fn state(&mut self, head: Height) -> Result<(), LedgerError> {
        let Self { opening, audit, progress } = self;
        let (mut pages, mut entries) = (0, 0);
        let mut wrong = 0_u64;
        let root = opening.ledger.head().statement.state_root;
        let tree = opening.walk_tree(
            root,
            &mut |path, why| {
                let (row, height) = (Some(path.row_key()), Some(head));
                note(audit, Finding { column: Column::Tree, row, height, found: why.into() });
                wrong += 1;
                true
            },
            &mut |seen| {
                pages = seen;
                progress(Audited { what: "state tree", done: seen, total: 0 });
            },
        )?;
        let state = opening.walk_entries(
            &mut |key, why| {
                let (row, height) = (key.map(<[u8]>::to_vec), Some(head));
                note(audit, Finding { column: Column::State, row, height, found: why.into() });
                wrong += 1;
                true
            },
            &mut |seen| {
                entries = seen;
                progress(Audited { what: "state", done: seen, total: 0 });
            },
        )?;
        self.looked_at("pages of the state tree", pages);
        self.looked_at("entries of the state", entries);
        match (tree, state) {
            (Seen::Wrong(why), _) if wrong == 0 => self.find(Column::Tree, None, Some(head), why),
            (Seen::All(leaves), Seen::All(entries)) if leaves != entries => {
                let why = format!("has {entries} entries, the tree {leaves}");
                self.find(Column::State, None, Some(head), why);
            }
            (Seen::All(_) | Seen::Part | Seen::Wrong(_), _) => {}
        }
        Ok(())
    }

    fn journal(&mut self) -> Result<(), LedgerError> {
        self.show("journal", 0, 0);
        let store = self.store();
        for (row, fault) in store.journal_faults(&self.opening.ledger.trust) {
            let row = (!row.is_empty()).then_some(row);
            self.find(Column::Journal, row.as_deref(), None, format!("holds {}", fault.name()));
        }
        let count = self.opening.count(Column::Journal)?;
        self.looked_at("rows of the journal", count);
        let kept = self.opening.count(Column::Quarantine)?;
        if kept > 0 {
            self.audit.notes.push(format!("{kept} rows are kept in quarantine, for study"));
        }
        Ok(())
    }

    fn heal_log(&mut self) -> Result<(), LedgerError> {
        let store = self.store();
        for (row, why) in store.heal_faults() {
            self.find(Column::HealLog, Some(&row), None, why);
        }
        let (first, next) = store.heal_bounds();
        self.looked_at("records of the heal log", next.saturating_sub(first));
        Ok(())
    }

    /// Whether the tables whose rows nobody looks for one by one can be read from one end to the other.
    fn readable(&mut self) -> Result<(), LedgerError> {
        for column in [
            Column::Headers,
            Column::Transactions,
            Column::Tree,
            Column::Meta,
            Column::Quarantine,
            Column::HealLog,
        ] {
            let (mut from, mut count) = (Vec::new(), 0_u64);
            while let Some(rows) = self.page(column, &from, LARGE_ROWS_AT_ONCE)? {
                count = count.saturating_add(rows.len() as u64);
                self.show("whether all tables can be read", count, 0);
                match rows.last() {
                    Some((last, _)) if rows.len() == LARGE_ROWS_AT_ONCE => from = after(last),
                    Some(_) | None => break,
                }
            }
        }
        Ok(())
    }

    /// Executes the chain in memory, up to the first block that cannot be, or comes to something else.
    fn execute(&mut self, head: Height) -> Result<(), LedgerError> {
        let base = self.opening.ledger.base();
        if base > Height(0) {
            let why = format!("nothing is executed anew: blocks up to {base} are not here");
            self.audit.notes.push(why);
            return Ok(());
        }
        let Ledger { automaton, trust, .. } = &self.opening.ledger;
        let (automaton, trust) = (Arc::clone(automaton), trust.clone());
        let scratch: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let (mut scratch, _) = Ledger::open(scratch, automaton, trust, Depth::Recent)?;
        for height in (1..=head.0).map(Height) {
            self.show("execution", height.0, head.0);
            // Told already, as are statements that cannot be read.
            let Ok(block) = self.opening.certified(height)? else { break };
            let executed = match scratch.execute_verified(&block) {
                Ok(executed) => executed.statement,
                Err(refused) if refused.refuses_block() => break,
                Err(failed) => return Err(failed),
            };
            self.looked_at("blocks executed anew", 1);
            let stored: Option<Statement> = found(self.store().statement(height))?.ok();
            if let Some(stored) = stored.filter(|stored| *stored != executed) {
                let root = |hash: &Hash| hash.to_hex();
                let why = format!(
                    "says state {} and receipts {}; executing it anew gives {} and {}",
                    root(&stored.state_root),
                    root(&stored.receipts_root),
                    root(&executed.state_root),
                    root(&executed.receipts_root)
                );
                self.find(Column::Statements, Some(&key(height)), Some(height), why);
                break;
            }
        }
        Ok(())
    }
}
