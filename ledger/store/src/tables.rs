//! The one implementation of [`Store`]: which rows there are, over any [`Backend`].

use std::sync::{Mutex, MutexGuard, PoisonError};

use daruma_types::codec::{self, Decode};
use daruma_types::{
    Ballot, Block, Certificate, Hash, HashContext, Header, Height, Outcome, Promise, Receipt,
    StateCertificate, Statement, VoteKind,
};

use crate::error::{Promised, decode_row};
use crate::heal::{Heal, HealRecord, HealTail};
use crate::journal::{self, CleanJournal, JournalFault, Marks, Settled};
use crate::limits::{LONE_HEIGHTS_MAX, LONE_REFUSALS_MAX, QUARANTINE_ROWS_MAX};
use crate::store::{Commit, Head, Location, Recovered, Snapshot, Store};
use crate::{Backend, Batch, Column, Row, Rows, StoreError, Sync, Trust};

/// The row of [`Column::Meta`] that holds the head.
pub const HEAD: &[u8] = b"head";

/// The row of [`Column::Meta`] that says how many votes a certificate above the head has refused.
const REFUSED: &[u8] = b"refused";

/// The row of [`Column::Meta`] that holds the chain's id.
pub const CHAIN: &[u8] = b"chain";

/// The row of [`Column::Meta`] that is there if the store was restored from a backup: the backup's height,
/// and when it was restored, in ms since 1970. The journal may have forgotten votes cast since the backup.
pub const RESTORED: &[u8] = b"restored";

/// A store over `B`. See [`Store`] for what it promises.
#[derive(Debug)]
pub struct Tables<B> {
    backend: B,
    marks: Mutex<Marks>,
    heals: Mutex<HealTail>,
}

impl<B: Backend> Tables<B> {
    /// The store in `backend`, with the journal's marks, and where the heal log stands, read from it.
    #[must_use]
    pub fn over(backend: B) -> Self {
        let marks = Mutex::new(Marks::of(&journal::recover(&backend).journal));
        let heals = Mutex::new(HealTail::of(&backend));
        Self { backend, marks, heals }
    }

    pub(crate) const fn backend(&self) -> &B {
        &self.backend
    }

    /// Reads the marks again, after the rows were changed behind the store's back.
    pub(crate) fn reload(&self) {
        *self.marks() = Marks::of(&journal::recover(&self.backend).journal);
        *self.heals() = HealTail::of(&self.backend);
    }

    fn heals(&self) -> MutexGuard<'_, HealTail> {
        // Replaced whole, after the write, as the marks are.
        self.heals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn marks(&self) -> MutexGuard<'_, Marks> {
        // Marks are replaced whole, after the write, so a panic elsewhere leaves them sound.
        self.marks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The head that the journal is judged by.
    fn settled(&self, trust: &Trust) -> Settled {
        let height = self.head().ok().flatten().map_or(Height(0), |head| head.height);
        let certificate = self.certificate(height).ok().flatten();
        let certificate = certificate.filter(|c| trust.holds(VoteKind::Commit, c));
        let ballot = certificate.map(|certificate| certificate.ballot).unwrap_or_default();
        Settled { height, ballot }
    }

    /// A damaged row above the head proves nothing: it is written anew with the block.
    fn committed_hash(&self, height: Height) -> Result<Option<Hash>, StoreError> {
        match self.certificate(height) {
            Ok(certificate) => Ok(certificate.map(|certificate| certificate.hash)),
            Err(StoreError::Damaged { .. })
                if self.head().ok().flatten().is_none_or(|head| head.height < height) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Whether a certificate that refuses a vote, once more, is to give way: one above the head, of a block
    /// that is missing here or lies on a missing one, and that nobody gave while it refused
    /// [`LONE_REFUSALS_MAX`] votes. It goes to quarantine then, with what there is of its block, and so do
    /// the next ones above it: whoever had their blocks and the chain below them would have given this one.
    /// Without that, blocks lost on all disks would stop their heights for ever, or each of them as long.
    fn gives_way(&self, height: Height) -> Result<bool, StoreError> {
        let executed = self.head().ok().flatten().map_or(Height(0), |head| head.height);
        if height <= executed {
            return Ok(false);
        }
        let noted = row::<(Height, u32)>(&self.backend, Column::Meta, REFUSED).ok().flatten();
        let before = noted.filter(|(at, _)| *at == height).map_or(0, |(_, count)| count);
        let mut batch = Batch::default();
        if before < LONE_REFUSALS_MAX {
            let count = before.saturating_add(1);
            batch.put(Column::Meta, REFUSED, codec::encode(&(height, count)));
            self.backend.write(batch, Sync::Yes)?;
            return Ok(false);
        }
        batch.delete(Column::Meta, REFUSED);
        let kept = self.backend.scan(Column::Quarantine, b"", b"", QUARANTINE_ROWS_MAX);
        let mut room =
            QUARANTINE_ROWS_MAX.saturating_sub(kept.map_or(usize::MAX, |rows| rows.len()));
        for height in (0..LONE_HEIGHTS_MAX).map(|above| height.plus(above)) {
            for column in [Column::Certificates, Column::Blocks] {
                match self.backend.get(column, &at(height)) {
                    Ok(None) => continue,
                    Ok(Some(row)) if room > 0 => {
                        batch.put(Column::Quarantine, column.quarantine_key(&at(height)), row);
                        room = room.saturating_sub(1);
                    }
                    // No room for it, or it cannot be read.
                    Ok(Some(_)) | Err(_) => {}
                }
                batch.delete(column, at(height));
            }
        }
        self.backend.write(batch, Sync::Yes)?;
        Ok(true)
    }
}

fn row<T: Decode<()>>(
    rows: &dyn Rows,
    column: Column,
    key: &[u8],
) -> Result<Option<T>, StoreError> {
    rows.get(column, key)?.map(|bytes| decode_row(column, key, &bytes)).transpose()
}

/// A row of [`Column::Statements`]. It ends in a hash of the statement: no other row says what the state of
/// an earlier height was, so nothing else would show that it is damaged.
#[must_use]
pub fn statement_row(statement: &Statement) -> Vec<u8> {
    codec::encode(&(*statement, guard_of(statement)))
}

fn guard_of(statement: &Statement) -> Hash {
    Hash::of(HashContext::StateTree, &[b"statement row", &codec::encode(statement)])
}

const fn at(height: Height) -> [u8; 8] {
    height.0.to_be_bytes()
}

impl<B: Backend> Store for Tables<B> {
    fn journal(&self, promises: &[Promise]) -> Result<(), StoreError> {
        // Held through the write: two promises at once must not both pass the same check.
        let mut marks = self.marks();
        let mut next = marks.clone();
        let mut batch = Batch::default();
        for promise in promises {
            let admitted = next.admit(promise, |height| self.committed_hash(height), &mut batch);
            match admitted {
                Err(StoreError::Contradiction {
                    recorded: Promised::Committed(height, _), ..
                }) if self.gives_way(height)? => {
                    next.admit(promise, |_| Ok(None), &mut batch)?;
                }
                admitted => admitted?,
            }
        }
        if !batch.is_empty() {
            self.backend.write(batch, Sync::Yes)?;
        }
        *marks = next;
        Ok(())
    }

    fn journal_repair(&self, promises: &[Promise]) -> Result<(), StoreError> {
        let mut marks = self.marks();
        let mut next = marks.clone();
        let mut batch = Batch::default();
        for promise in promises {
            next.repair(promise, &mut batch);
        }
        self.backend.write(batch, Sync::Yes)?;
        *marks = next;
        Ok(())
    }

    fn clean_journal(&self, trust: &Trust) -> Result<CleanJournal, StoreError> {
        let mut marks = self.marks();
        let (clean, batch) = journal::clean(&self.backend, &self.settled(trust), trust);
        if !batch.is_empty() {
            self.backend.write(batch, Sync::Yes)?;
        }
        *marks = Marks::of(&clean.journal);
        Ok(clean)
    }

    fn journal_faults(&self, trust: &Trust) -> Vec<(Vec<u8>, JournalFault)> {
        journal::faults(&self.backend, &self.settled(trust), trust)
    }

    fn forget_promises(&self) -> Result<(), StoreError> {
        let mut marks = self.marks();
        let mut next = marks.clone();
        let mut batch = Batch::default();
        next.forget(&mut batch);
        self.backend.write(batch, Sync::Yes)?;
        *marks = next;
        Ok(())
    }

    fn recover_journal(&self) -> Result<Recovered, StoreError> {
        Ok(journal::recover(&self.backend))
    }

    fn floor(&self) -> Ballot {
        self.marks().floor()
    }

    fn commit(&self, commit: Commit<'_>) -> Result<(), StoreError> {
        let block = &commit.block.block;
        let header = &block.header;
        let height = header.height;
        let hash = commit.statement.block;
        let mut batch = Batch::default();
        batch.put(Column::Blocks, at(height), codec::encode(block));
        batch.put(Column::Certificates, at(height), codec::encode(&commit.block.certificate));
        batch.put(Column::Headers, hash.0, codec::encode(header));
        batch.put(Column::Receipts, at(height), codec::encode(&commit.receipts.to_vec()));
        batch.put(Column::Statements, at(height), statement_row(&commit.statement));
        let numbered: Vec<(u32, &Hash)> = (0..).zip(commit.transactions).collect();
        // From the last to the first, so that the first place of a name is the one that stays.
        for (index, name) in numbered.iter().rev() {
            // A transaction that stood in an earlier block was executed or superseded there, so it
            // can only be superseded here; all others need no look at the disk.
            let outcome = commit.receipts.get(*index as usize).map(|receipt| &receipt.outcome);
            let again = matches!(outcome, None | Some(Outcome::Superseded { .. }));
            if !again || self.backend.get(Column::Transactions, &name.0)?.is_none() {
                let location = codec::encode(&Location { height, index: *index });
                batch.put(Column::Transactions, name.0, location);
            }
        }
        for (key, value) in commit.state {
            batch.set(Column::State, key, value);
        }
        for (key, value) in commit.tree {
            batch.set(Column::Tree, key, value);
        }
        let head =
            Head { height, hash, timestamp_ms: header.timestamp_ms, statement: commit.statement };
        batch.put(Column::Meta, HEAD, codec::encode(&head));
        self.marks().settle(height, &mut batch);
        // The marks are not held through this write, so that votes need not wait for it. The rows of a
        // vote at a settled height that slips in between go with the first commit after a restart.
        self.backend.write(batch, Sync::Yes)?;
        self.marks().settled(height);
        Ok(())
    }

    fn head(&self) -> Result<Option<Head>, StoreError> {
        row(&self.backend, Column::Meta, HEAD)
    }

    fn block(&self, height: Height) -> Result<Option<Block>, StoreError> {
        row(&self.backend, Column::Blocks, &at(height))
    }

    fn certificate(&self, height: Height) -> Result<Option<Certificate>, StoreError> {
        row(&self.backend, Column::Certificates, &at(height))
    }

    fn header(&self, hash: &Hash) -> Result<Option<Header>, StoreError> {
        row(&self.backend, Column::Headers, &hash.0)
    }

    fn transaction(&self, hash: &Hash) -> Result<Option<Location>, StoreError> {
        row(&self.backend, Column::Transactions, &hash.0)
    }

    fn receipts(&self, height: Height) -> Result<Option<Vec<Receipt>>, StoreError> {
        row(&self.backend, Column::Receipts, &at(height))
    }

    fn statement(&self, height: Height) -> Result<Option<Statement>, StoreError> {
        let key = at(height);
        let Some((statement, guard)) =
            row::<(Statement, Hash)>(&self.backend, Column::Statements, &key)?
        else {
            return Ok(None);
        };
        if guard != guard_of(&statement) {
            let why = "its guard does not fit it";
            return Err(StoreError::damaged(Column::Statements, &key, why));
        }
        Ok(Some(statement))
    }

    fn state_get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.backend.get(Column::State, key)
    }

    fn state_scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        self.backend.scan(Column::State, prefix, from, limit)
    }

    fn tree_node(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.backend.get(Column::Tree, key)
    }

    fn state_certificate(&self, height: Height) -> Result<Option<StateCertificate>, StoreError> {
        row(&self.backend, Column::Attestations, &at(height))
    }

    fn put_state_certificate(&self, certificate: &StateCertificate) -> Result<(), StoreError> {
        let mut batch = Batch::default();
        let height = certificate.statement.height;
        batch.put(Column::Attestations, at(height), codec::encode(certificate));
        self.backend.write(batch, Sync::No)
    }

    fn row(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.backend.get(column, key)
    }

    fn rows(&self, column: Column, from: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        self.backend.scan(column, b"", from, limit)
    }

    fn mend(&self, batch: Batch) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.backend.write(batch, Sync::Yes)
    }

    fn note_heals(&self, heals: &[Heal]) -> Result<(), StoreError> {
        let Some(first) = heals.first() else { return Ok(()) };
        // What is lost at the end of the log must be replaced before anything is joined to it.
        self.mend_heal_log(first.at_ms)?;
        let mut tail = self.heals();
        let mut next = tail.clone();
        let mut batch = Batch::default();
        heals.iter().for_each(|heal| next.append(heal, &mut batch));
        self.backend.write(batch, Sync::Yes)?;
        *tail = next;
        Ok(())
    }

    fn mend_heal_log(&self, at_ms: u64) -> Result<u64, StoreError> {
        let mut tail = self.heals();
        let mut next = tail.clone();
        let mut batch = Batch::default();
        let wrong = next.mend(&self.backend, at_ms, &mut batch)?;
        self.mend(batch)?;
        *tail = next;
        Ok(wrong)
    }

    fn heal_bounds(&self) -> (u64, u64) {
        self.heals().bounds()
    }

    fn heal_faults(&self) -> Vec<(Vec<u8>, &'static str)> {
        self.heals().faults()
    }

    fn heals_before(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<HealRecord>, StoreError> {
        let tail = self.heals().clone();
        tail.page(&self.backend, before, limit)
    }

    fn snapshot(&self) -> Box<dyn Snapshot + '_> {
        Box::new(Frozen(self.backend.snapshot()))
    }
}

struct Frozen<'a>(Box<dyn Rows + 'a>);

impl Snapshot for Frozen<'_> {
    fn head(&self) -> Result<Option<Head>, StoreError> {
        row(self.0.as_ref(), Column::Meta, HEAD)
    }

    fn state_get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(Column::State, key)
    }

    fn state_scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Row>, StoreError> {
        self.0.scan(Column::State, prefix, from, limit)
    }

    fn tree_node(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.0.get(Column::Tree, key)
    }
}
