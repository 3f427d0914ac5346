//! The one writer of a chain.

use std::fmt;
use std::sync::Arc;

use daruma_automaton_api::DynAutomaton;
use daruma_store::{Commit, Head, Store};
use daruma_types::{
    CertifiedBlock, ChainId, Hash, HeadClaim, Height, PublicKey, Receipt, Statement, VoteKind,
    merkle_root,
};

use crate::execute::{self, Results};
use crate::tree::{Changes, Hashing, Pages, Path, StateTree, TreeHashes, value_hash};
use crate::{LedgerError, LedgerReader, StateKey, empty_state_root};

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
    store: Arc<dyn Store>,
    automaton: Arc<dyn DynAutomaton>,
    chain: ChainId,
    head: HeadInfo,
    tree: StateTree,
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
    /// Opens the ledger of `chain` in `store`, at the genesis if the store is empty. There must be one
    /// ledger at a time for a store.
    ///
    /// # Errors
    /// [`LedgerError::OtherChain`] for the store of another chain; [`LedgerError::Damaged`] if head,
    /// block, certificate and state root do not belong together.
    pub fn open(
        store: Arc<dyn Store>,
        automaton: Arc<dyn DynAutomaton>,
        chain: ChainId,
    ) -> Result<Self, LedgerError> {
        let head = HeadInfo::load(store.as_ref(), chain, store.head()?)?;
        let ledger = Self { store, automaton, chain, head, tree: StateTree::new() };
        ledger.check_head()?;
        Ok(ledger)
    }

    /// Lets this ledger and others of the process share what they hash; see [`TreeHashes`].
    #[must_use]
    pub fn sharing(mut self, hashes: Arc<TreeHashes>) -> Self {
        self.tree.share(hashes);
        self
    }

    /// That the stored head, its block, its certificate and the state tree's root fit together.
    fn check_head(&self) -> Result<(), LedgerError> {
        let HeadInfo { claim, statement, .. } = &self.head;
        let height = claim.height;
        let damaged = |what: &str| Err(LedgerError::Damaged { height, what: what.into() });
        if height > Height(0) {
            match self.store.header(&claim.hash)? {
                None => return damaged("the head's header is missing"),
                Some(header) if header.chain != self.chain => {
                    let (found, expected) = (header.chain, self.chain);
                    return Err(LedgerError::OtherChain { found, expected });
                }
                Some(header) if header.hash() != claim.hash || header.height != height => {
                    return damaged("the head's header is another block's");
                }
                Some(_) => {}
            }
            if claim.certificate.as_ref().is_none_or(|c| c.height != height || c.hash != claim.hash)
            {
                return damaged("the head's certificate is another block's");
            }
        }
        if statement.height != height || statement.block != claim.hash {
            return damaged("the head's statement is about another block");
        }
        let mut root = Pages::page(&self.store.as_ref(), &Path::ROOT)?.unwrap_or_default();
        if root.hash(&mut Hashing::with(None)) != statement.state_root {
            return damaged("the root of the state tree is not the head's");
        }
        Ok(())
    }

    /// The last executed block.
    #[must_use]
    pub const fn head(&self) -> &HeadInfo {
        &self.head
    }

    /// A reader of this ledger's store.
    #[must_use]
    pub fn reader(&self) -> LedgerReader {
        LedgerReader::new(Arc::clone(&self.store), self.chain)
    }

    /// Executes the block above the head and makes it durable with everything that follows from it.
    /// The certificate and the transactions' signatures must have been verified.
    ///
    /// A transaction whose nonce does not exceed its client's last executed one is superseded. All
    /// others use up their nonce, whether they take effect or abort; an operation that does not
    /// decode, a panic of the automaton and a write over its bounds are aborts.
    ///
    /// # Errors
    /// [`LedgerError`]; the ledger is as it was before.
    pub fn execute(&mut self, block: &CertifiedBlock) -> Result<Executed, LedgerError> {
        let hash = self.check_next(block)?;
        let header = &block.block.header;
        let Results { transactions, receipts, nonces, changes } = execute::execute(
            self.store.as_ref(),
            self.automaton.as_ref(),
            self.chain,
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
        Ok(Executed { statement, receipts, transactions, nonces: nonces.into_iter().collect() })
    }

    /// The hash of `block`, if it is the one to execute next.
    fn check_next(&self, block: &CertifiedBlock) -> Result<Hash, LedgerError> {
        let header = &block.block.header;
        let height = header.height;
        let head = &self.head.claim;
        if header.chain != self.chain {
            return Err(LedgerError::OtherChain { found: header.chain, expected: self.chain });
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
            | LedgerError::OtherChain { .. } => error,
        }
    }
}
