//! The one writer of a chain.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::Arc;

use daruma_automaton_api::DynAutomaton;
use daruma_store::{Commit, Head, Store, Trust};
use daruma_types::{
    CertifiedBlock, ChainId, Checkpoint, Hash, HeadClaim, Height, PublicKey, Receipt, Statement,
    VoteKind, limits as hard, merkle_root,
};

use crate::execute::{self, Results};
use crate::opening::{self, Depth, LedgerRepair};
use crate::tree::{Changes, StateTree, TreeHashes, value_hash};
use crate::{
    LedgerError, LedgerReader, Restoring, SnapshotShelf, StateKey, empty_state_root, limits,
};

/// The last executed block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeadInfo {
    /// Height, hash and certificate.
    pub claim: HeadClaim,
    /// Its proposer's timestamp in ms since 1970; 0 for the genesis.
    pub timestamp_ms: u64,
    /// What executing it came to.
    pub statement: Statement,
}

impl HeadInfo {
    /// The head of a chain without blocks: the empty state, and no receipts.
    #[must_use]
    pub fn genesis(chain: ChainId) -> Self {
        let statement = Statement {
            height: Height(0),
            block: chain.0,
            state_root: empty_state_root(),
            receipts_root: merkle_root(&[]),
        };
        Self { claim: HeadClaim::genesis(chain), timestamp_ms: 0, statement }
    }

    /// The stored head with its certificate; the genesis if there is none.
    pub(crate) fn load(
        store: &dyn Store,
        chain: ChainId,
        head: Option<Head>,
    ) -> Result<Self, LedgerError> {
        let Some(Head { height, hash, timestamp_ms, statement }) = head else {
            return Ok(Self::genesis(chain));
        };
        let Some(certificate) = store.certificate(height)? else {
            let what = "the head has no certificate".into();
            return Err(LedgerError::Damaged { height, what });
        };
        let claim = HeadClaim { height, hash, certificate: Some(certificate) };
        Ok(Self { claim, timestamp_ms, statement })
    }
}

/// What executing one block came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Executed {
    /// What this replica may attest.
    pub statement: Statement,
    /// What became of each transaction.
    pub receipts: Vec<Receipt>,
    /// The transactions' names, in the same order.
    pub transactions: Vec<Hash>,
    /// The new last nonce of each client that executed something, in order of the clients' keys.
    pub nonces: Vec<(PublicKey, u64)>,
}

/// Executes certified blocks in order, and stores each with all that follows from it in one write.
pub struct Ledger {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) automaton: Arc<dyn DynAutomaton>,
    pub(crate) trust: Trust,
    pub(crate) head: HeadInfo,
    /// What the last blocks came to, up to the head.
    pub(crate) recent: VecDeque<Statement>,
    /// Executed heights whose record was found damaged and is to be had from another replica.
    pub(crate) missing: BTreeSet<Height>,
    pub(crate) tree: StateTree,
    /// Where snapshots are kept, if they are.
    pub(crate) shelf: Option<Arc<dyn SnapshotShelf>>,
    /// Below its height, and at it, there are no blocks; none if all are kept.
    pub(crate) base: Option<Checkpoint>,
    /// The snapshot that is being restored: there is no state meanwhile.
    pub(crate) restoring: Option<Restoring>,
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let automaton = self.automaton.name();
        f.debug_struct("Ledger")
            .field("automaton", &automaton)
            .field("head", &self.head.statement)
            .finish_non_exhaustive()
    }
}

impl Ledger {
    /// Opens the ledger of `trust`'s chain in `store`, at the genesis if the store is empty, and
    /// repairs what is damaged there as far as `depth` looks; see `opening/mod.rs` for how. What was
    /// repaired is told. There must be one ledger at a time for a store.
    ///
    /// # Errors
    /// [`LedgerError::OtherChain`] for the store of another chain; [`LedgerError::Store`] if the store
    /// cannot be read or written at all.
    pub fn open(
        store: Arc<dyn Store>,
        automaton: Arc<dyn DynAutomaton>,
        trust: Trust,
        depth: Depth,
    ) -> Result<(Self, Vec<LedgerRepair>), LedgerError> {
        opening::open(store, automaton, trust, depth, None)
    }

    /// As [`Self::open`], for a ledger with snapshots: what would be made again from the genesis is made
    /// again from the highest snapshot that serves.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(
        store: Arc<dyn Store>,
        automaton: Arc<dyn DynAutomaton>,
        trust: Trust,
        depth: Depth,
        shelf: Arc<dyn SnapshotShelf>,
    ) -> Result<(Self, Vec<LedgerRepair>), LedgerError> {
        opening::open(store, automaton, trust, depth, Some(shelf))
    }

    /// Lets this ledger and others of the process share what they hash; see [`TreeHashes`].
    #[must_use]
    pub fn sharing(mut self, hashes: Arc<TreeHashes>) -> Self {
        self.tree.share(hashes);
        self
    }

    /// Checks and repairs the store again, as an opening does: after a row was found damaged while
    /// executing, or when the other replicas attest another state.
    ///
    /// # Errors
    /// As [`Self::open`]; the ledger is to be opened again then.
    pub fn check_again(&mut self, depth: Depth) -> Result<Vec<LedgerRepair>, LedgerError> {
        let (store, automaton) = (Arc::clone(&self.store), Arc::clone(&self.automaton));
        let (trust, shelf) = (self.trust.clone(), self.shelf.clone());
        let (checked, repairs) = opening::open(store, automaton, trust, depth, shelf)?;
        *self = checked;
        Ok(repairs)
    }

    pub(crate) fn chain(&self) -> ChainId {
        self.trust.chain()
    }

    /// The last executed block.
    #[must_use]
    pub const fn head(&self) -> &HeadInfo {
        &self.head
    }

    /// What executing the last blocks came to, in ascending order of height, up to the head: at most
    /// [`limits::RECENT_STATEMENTS`], and fewer where one could not be read at the opening.
    #[must_use]
    pub fn recent_statements(&self) -> Vec<Statement> {
        self.recent.iter().copied().collect()
    }

    pub(crate) fn note_statement(&mut self, statement: Statement) {
        self.recent.push_back(statement);
        while self.recent.len() > limits::RECENT_STATEMENTS {
            self.recent.pop_front();
        }
    }

    /// A reader of this ledger's store.
    #[must_use]
    pub fn reader(&self) -> LedgerReader {
        LedgerReader::checking(Arc::clone(&self.store), self.trust.clone())
    }

    /// Executes the block above the head and makes it durable with everything that follows from it.
    /// This is the last door before the ledger: whoever gives the block may be wrong about it, so the
    /// certificate is verified here, and that the transactions are the certified ones. Their signatures
    /// were checked by the replicas that signed the certificate.
    ///
    /// A transaction whose nonce does not exceed its client's last executed one is superseded. All
    /// others use up their nonce, whether they take effect or abort; an operation that does not
    /// decode, a panic of the automaton and a write over its bounds are aborts.
    ///
    /// # Errors
    /// [`LedgerError`]; the ledger is as it was before.
    pub fn execute(&mut self, block: &CertifiedBlock) -> Result<Executed, LedgerError> {
        if let Some(restoring) = &self.restoring {
            return Err(LedgerError::Restoring { height: restoring.checkpoint.height() });
        }
        self.check_next(block)?;
        let height = block.block.header.height;
        let (count_max, bytes_max) = (hard::BLOCK_TRANSACTIONS_MAX, hard::BLOCK_BYTES_MAX);
        let whole = block.block.verify_shape(self.chain(), count_max, bytes_max).is_ok();
        if !whole || !self.trust.holds(VoteKind::Commit, &block.certificate) {
            return Err(LedgerError::Certificate { height });
        }
        self.execute_verified(block)
    }

    /// Executes a block that is certified and whole.
    pub(crate) fn execute_verified(
        &mut self,
        block: &CertifiedBlock,
    ) -> Result<Executed, LedgerError> {
        let hash = self.check_next(block)?;
        let header = &block.block.header;
        let Results { transactions, receipts, nonces, changes } = execute::execute(
            self.store.as_ref(),
            self.automaton.as_ref(),
            self.chain(),
            &block.block,
        )?;
        let leaves: Changes = changes
            .iter()
            .map(|(key, value)| (StateKey::hash_of(key), value.as_deref().map(value_hash)))
            .collect();
        let (state_root, written) =
            self.tree.update(&self.store.as_ref(), leaves).map_err(|error| self.at_head(error))?;
        let leaves: Vec<Hash> = receipts.iter().map(Receipt::leaf).collect();
        let receipts_root = merkle_root(&leaves);
        let statement = Statement { height: header.height, block: hash, state_root, receipts_root };
        self.store.commit(Commit {
            block,
            transactions: &transactions,
            receipts: &receipts,
            statement,
            state: changes.into_iter().collect(),
            tree: written
                .iter()
                .map(|(path, page)| (path.row_key(), page.as_ref().map(|page| page.encode())))
                .collect(),
        })?;
        self.tree.written(written);
        let certificate = Some(block.certificate.clone());
        self.head = HeadInfo {
            claim: HeadClaim { height: header.height, hash, certificate },
            timestamp_ms: header.timestamp_ms,
            statement,
        };
        self.note_statement(statement);
        Ok(Executed { statement, receipts, transactions, nonces: nonces.into_iter().collect() })
    }

    /// The hash of `block`, if it is the one to execute next.
    fn check_next(&self, block: &CertifiedBlock) -> Result<Hash, LedgerError> {
        let header = &block.block.header;
        let height = header.height;
        let head = &self.head.claim;
        if header.chain != self.chain() {
            return Err(LedgerError::OtherChain { found: header.chain, expected: self.chain() });
        }
        if Some(height.0) != head.height.0.checked_add(1) {
            return Err(LedgerError::NotNext { found: height, head: head.height });
        }
        if header.parent != head.hash {
            return Err(LedgerError::Parent { height, found: header.parent, head: head.hash });
        }
        let (hash, certificate) = (block.block.hash(), &block.certificate);
        if certificate.kind != VoteKind::Commit
            || certificate.height != height
            || certificate.hash != hash
        {
            return Err(LedgerError::Certificate { height });
        }
        Ok(hash)
    }

    /// Names the head in an error of the tree, which does not know it.
    fn at_head(&self, error: LedgerError) -> LedgerError {
        match error {
            LedgerError::Damaged { what, .. } => {
                LedgerError::Damaged { height: self.head.claim.height, what }
            }
            LedgerError::Store(_)
            | LedgerError::NotNext { .. }
            | LedgerError::Parent { .. }
            | LedgerError::Certificate { .. }
            | LedgerError::OtherChain { .. }
            | LedgerError::Snapshot { .. }
            | LedgerError::Pruned { .. }
            | LedgerError::Restoring { .. } => error,
        }
    }
}
