//! What the ledger and the node driver see of a store.

use daruma_types::codec::{Decode, Encode};
use daruma_types::{
    Ballot, Block, Certificate, CertifiedBlock, Hash, Header, Height, Promise, Receipt,
    RecoveredJournal, StateCertificate, Statement,
};

use crate::heal::{Heal, HealRecord};
use crate::{Batch, CleanJournal, Column, JournalFault, Row, StoreError, Trust};

/// The last executed block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Head {
    /// Its height.
    pub height: Height,
    /// Its hash.
    pub hash: Hash,
    /// Its proposer's timestamp, in ms since 1970.
    pub timestamp_ms: u64,
    /// What executing it came to.
    pub statement: Statement,
}

/// Where a transaction stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Location {
    /// The block's height.
    pub height: Height,
    /// Position in the block, from 0.
    pub index: u32,
}

/// One executed block with everything that follows from it.
#[derive(Debug, Clone)]
pub struct Commit<'a> {
    /// The block and its commit certificate.
    pub block: &'a CertifiedBlock,
    /// The names of its transactions, in their order.
    pub transactions: &'a [Hash],
    /// Their receipts, in the same order.
    pub receipts: &'a [Receipt],
    /// The new head's statement; its height and hash are the new head.
    pub statement: Statement,
    /// Changed rows of [`crate::Column::State`]; `None` deletes.
    pub state: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    /// Changed rows of [`crate::Column::Tree`]; `None` deletes.
    pub tree: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

/// What was found in the journal.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// What could be read.
    pub journal: RecoveredJournal,
    /// Rows, or ranges of rows, that could not be read and were left out.
    pub dropped: u64,
}

/// The durable part of a replica. The journal may be written by one thread while another commits;
/// reads may come from any.
///
/// Every method fails with [`StoreError::Damaged`] for a row that is not what was written and with
/// [`StoreError::Failed`] when the disk refuses. Neither ever panics.
pub trait Store: Send + Sync {
    /// Makes promises durable, all or none: when it returns, they survive the loss of power. It is
    /// the last door before a signature leaves (DESIGN 4.2, durability), so it refuses to contradict
    /// what is recorded:
    ///
    /// - a vote in a ballot below that of the recorded view, or below that of the recorded vote at
    ///   its height;
    /// - a vote for another block in the ballot and at the height of the recorded vote;
    /// - a vote at a committed height for another block than the committed one; above the head, where
    ///   something is missing, only [`crate::limits::LONE_REFUSALS_MAX`] times in a row;
    /// - a view below the recorded one.
    ///
    /// Of each height the latest vote is kept, with the last [`crate::limits::BODIES_PER_HEIGHT_MAX`]
    /// bodies, those of the latest vote and of the highest prepared certificate always among them. A
    /// prepared certificate of a lower rank than the recorded one is passed over.
    ///
    /// # Errors
    /// [`StoreError::Contradiction`], or that the write failed.
    fn journal(&self, promises: &[Promise]) -> Result<(), StoreError>;

    /// Records promises without asking whether they contradict what is recorded, for the one case
    /// in which the recorded ones are known to be stale (DESIGN 4.2, stale information): a view
    /// here may be lower than the recorded one, and then the votes and the prepared certificate of
    /// later ballots than its own are forgotten.
    ///
    /// # Errors
    /// That the write failed.
    fn journal_repair(&self, promises: &[Promise]) -> Result<(), StoreError>;

    /// Drops from the journal what no execution could have written, on disk too, and gives the rest:
    /// what an engine starts from. See `journal/cleaning.rs` for what that is. The head must be sound.
    ///
    /// # Errors
    /// That the write failed.
    fn clean_journal(&self, trust: &Trust) -> Result<CleanJournal, StoreError>;

    /// What [`Self::clean_journal`] would drop: each row's key, none for a stretch that cannot be read, and
    /// why. Writes nothing.
    fn journal_faults(&self, trust: &Trust) -> Vec<(Vec<u8>, JournalFault)>;

    /// Forgets all votes, bodies and prepared certificates, which were for a chain that is given up
    /// (DESIGN 4.2, conflict): reported in a view change, they would lead back to it. View and floor stay.
    ///
    /// # Errors
    /// That the write failed.
    fn forget_promises(&self) -> Result<(), StoreError>;

    /// Reads the journal as it is. What does not decode, or does not hash to its own name, is left out and
    /// counted: a damaged journal is a transient fault, from which the engine recovers by itself.
    ///
    /// # Errors
    /// None at present; the signature leaves room for a store that is gone altogether.
    fn recover_journal(&self) -> Result<Recovered, StoreError>;

    /// The last promised floor of ballots, below which no vote is recorded; 0 if there is none.
    fn floor(&self) -> Ballot;

    /// Makes an executed block durable with everything that follows from it, all or nothing: block,
    /// certificate, header, receipts, state, tree, head, where its transactions stand (an earlier
    /// place of the same transaction is kept), and the end of the journal's votes and bodies up to
    /// its height. The caller sees to it that heights come one after the other.
    ///
    /// # Errors
    /// That the write failed.
    fn commit(&self, commit: Commit<'_>) -> Result<(), StoreError>;

    /// The last executed block; none in an empty store.
    ///
    /// # Errors
    /// See the trait.
    fn head(&self) -> Result<Option<Head>, StoreError>;

    /// The block at a height.
    ///
    /// # Errors
    /// See the trait.
    fn block(&self, height: Height) -> Result<Option<Block>, StoreError>;

    /// The commit certificate of the block at a height.
    ///
    /// # Errors
    /// See the trait.
    fn certificate(&self, height: Height) -> Result<Option<Certificate>, StoreError>;

    /// The header with this hash.
    ///
    /// # Errors
    /// See the trait.
    fn header(&self, hash: &Hash) -> Result<Option<Header>, StoreError>;

    /// The height of the block with this hash.
    ///
    /// # Errors
    /// See the trait.
    fn height_of(&self, hash: &Hash) -> Result<Option<Height>, StoreError> {
        Ok(self.header(hash)?.map(|header| header.height))
    }

    /// Where the transaction of this name stood first.
    ///
    /// # Errors
    /// See the trait.
    fn transaction(&self, hash: &Hash) -> Result<Option<Location>, StoreError>;

    /// The receipts of the block at a height.
    ///
    /// # Errors
    /// See the trait.
    fn receipts(&self, height: Height) -> Result<Option<Vec<Receipt>>, StoreError>;

    /// What executing the block at a height came to.
    ///
    /// # Errors
    /// See the trait.
    fn statement(&self, height: Height) -> Result<Option<Statement>, StoreError>;

    /// One entry of the state.
    ///
    /// # Errors
    /// See the trait.
    fn state_get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// The first `limit` entries of the state whose key starts with `prefix` and is not below
    /// `from`, in order of the keys.
    ///
    /// # Errors
    /// See the trait.
    fn state_scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Row>, StoreError>;

    /// One node of the state tree.
    ///
    /// # Errors
    /// See the trait.
    fn tree_node(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// The state certificate kept for a height.
    ///
    /// # Errors
    /// See the trait.
    fn state_certificate(&self, height: Height) -> Result<Option<StateCertificate>, StoreError>;

    /// Keeps a state certificate, in place of an earlier one of its height. It may get lost with
    /// the power: it can be had again from the other replicas.
    ///
    /// # Errors
    /// See the trait.
    fn put_state_certificate(&self, certificate: &StateCertificate) -> Result<(), StoreError>;

    /// One row as it is, for whoever checks and repairs a store.
    ///
    /// # Errors
    /// See the trait.
    fn row(&self, column: Column, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// The first `limit` rows of a table whose keys are not below `from`, as they are.
    ///
    /// # Errors
    /// See the trait; a range that cannot be read to its end is an error.
    fn rows(&self, column: Column, from: &[u8], limit: usize) -> Result<Vec<Row>, StoreError>;

    /// Changes rows, durably, that are found wrong. Not for the journal, whose rules it would pass by.
    ///
    /// # Errors
    /// That the write failed.
    fn mend(&self, batch: Batch) -> Result<(), StoreError>;

    /// Appends records to the heal log, durably and in this order; the oldest go where there are too many.
    /// Texts that are too long are cut. Whoever calls it sees to it that nothing that repeats itself fills
    /// the log.
    ///
    /// # Errors
    /// That the write failed.
    fn note_heals(&self, heals: &[Heal]) -> Result<(), StoreError>;

    /// Replaces records of the heal log that were found lost or damaged when the store was opened by
    /// records that say so, and gives how many rows were wrong.
    ///
    /// # Errors
    /// That the write failed.
    fn mend_heal_log(&self, at_ms: u64) -> Result<u64, StoreError>;

    /// Numbers of the oldest record of the heal log, and of the one that is written next.
    fn heal_bounds(&self) -> (u64, u64);

    /// What was found wrong with the heal log when the store was opened and is not mended yet: the row's
    /// key, and what is wrong there.
    fn heal_faults(&self) -> Vec<(Vec<u8>, &'static str)>;

    /// Records of the heal log whose number is below `before`, the newest first: at most `limit` and
    /// [`crate::limits::HEAL_PAGE_MAX`]. Rows that cannot be read are left out.
    ///
    /// # Errors
    /// That the disk refused.
    fn heals_before(
        &self,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<HealRecord>, StoreError>;

    /// Head, state and tree as they are now, unchanging while the next blocks are committed. Hold it
    /// for one query only: what it shows cannot be thrown away before it is dropped.
    fn snapshot(&self) -> Box<dyn Snapshot + '_>;
}

/// The state after one block; see [`Store::snapshot`].
pub trait Snapshot {
    /// The block.
    ///
    /// # Errors
    /// See [`Store`].
    fn head(&self) -> Result<Option<Head>, StoreError>;

    /// One entry of the state.
    ///
    /// # Errors
    /// See [`Store`].
    fn state_get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Entries of the state, as [`Store::state_scan`].
    ///
    /// # Errors
    /// See [`Store`].
    fn state_scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Result<Vec<Row>, StoreError>;

    /// One node of the state tree.
    ///
    /// # Errors
    /// See [`Store`].
    fn tree_node(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;
}
