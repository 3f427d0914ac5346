//! Reading a ledger while it executes.

use std::fmt;
use std::sync::Arc;

use daruma_automaton_api::{Entry, StateRead, StateView, limits::SCAN_ENTRIES_MAX};
use daruma_store::{HealRecord, Location, Snapshot, Store, StoreError, Trust};
use daruma_types::{
    Block, Certificate, CertifiedBlock, ChainId, Checkpoint, Hash, Header, Height, MerkleProof,
    PublicKey, Receipt, StateCertificate, Statement, codec,
};

use crate::base;
use crate::execute::stored_nonce;
use crate::opening::{found, records};
use crate::tree::{self, StateProof};
use crate::{HeadInfo, LedgerError, StateKey, TransactionProof};

/// Reads committed blocks and the state after the last of them. Cheap to clone; may be used from any
/// thread while the ledger executes.
#[derive(Clone)]
pub struct LedgerReader {
    store: Arc<dyn Store>,
    chain: ChainId,
    /// What attestations are checked against before they are given out.
    trust: Option<Trust>,
}

impl fmt::Debug for LedgerReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LedgerReader").field("chain", &self.chain).finish_non_exhaustive()
    }
}

/// One entry of the state with its proof.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateAnswer {
    /// The block after which it is so, with the root to check against.
    pub head: HeadInfo,
    /// The value; none if the key has no entry.
    pub value: Option<Vec<u8>>,
    /// Its proof, for [`crate::verify_state_proof`].
    pub proof: StateProof,
}

impl LedgerReader {
    /// A reader of the ledger of `chain` in `store`.
    #[must_use]
    pub const fn new(store: Arc<dyn Store>, chain: ChainId) -> Self {
        Self { store, chain, trust: None }
    }

    /// The same, which gives out no attestations that do not verify: an engine whose memory was wrong may
    /// have had them kept.
    #[must_use]
    pub fn checking(store: Arc<dyn Store>, trust: Trust) -> Self {
        Self { store, chain: trust.chain(), trust: Some(trust) }
    }

    /// The chain.
    #[must_use]
    pub const fn chain(&self) -> ChainId {
        self.chain
    }

    /// The last executed block.
    ///
    /// # Errors
    /// That the store failed or is damaged, as for all methods here.
    pub fn head(&self) -> Result<HeadInfo, LedgerError> {
        HeadInfo::load(self.store.as_ref(), self.chain, self.store.head()?)
    }

    /// The last executed block in a state that is held.
    pub(crate) fn head_in(&self, state: &dyn Snapshot) -> Result<HeadInfo, LedgerError> {
        HeadInfo::load(self.store.as_ref(), self.chain, state.head()?)
    }

    /// The lowest height whose block is kept: above 1 where blocks were pruned, or the ledger began with a
    /// snapshot.
    #[must_use]
    pub fn earliest(&self) -> Height {
        base::earliest(self.store.as_ref())
    }

    /// That the block of this height is one of those that are kept, if there is one.
    ///
    /// # Errors
    /// [`LedgerError::Pruned`] names the lowest height that is kept.
    pub fn expect_kept(&self, height: Height) -> Result<(), LedgerError> {
        let earliest = self.earliest();
        match height < earliest && height > Height(0) {
            true => Err(LedgerError::Pruned { height, earliest }),
            false => Ok(()),
        }
    }

    /// The checkpoint at a height: header, certificate and attestations of its block, as far as all of them
    /// are there.
    ///
    /// # Errors
    /// See [`Self::head`].
    pub fn checkpoint(&self, height: Height) -> Result<Option<Checkpoint>, LedgerError> {
        let (Some(certificate), Some(state)) =
            (self.certificate(height)?, self.state_certificate(height)?)
        else {
            return Ok(None);
        };
        let header = self.header_of(&certificate.hash)?;
        let fits = state.statement.block == certificate.hash;
        Ok(header.filter(|_| fits).map(|header| Checkpoint { header, certificate, state }))
    }

    /// The block at a height; none above the head and for the genesis.
    ///
    /// # Errors
    /// See [`Self::head`].
    pub fn block(&self, height: Height) -> Result<Option<Block>, LedgerError> {
        Ok(self.store.block(height)?)
    }

    /// The block at a height with its certificate.
    ///
    /// # Errors
    /// See [`Self::head`].
    pub fn certified_block(&self, height: Height) -> Result<Option<CertifiedBlock>, LedgerError> {
        let (Some(block), Some(certificate)) =
            (self.store.block(height)?, self.store.certificate(height)?)
        else {
            return Ok(None);
        };
        Ok(Some(CertifiedBlock { block: Arc::new(block), certificate }))
    }

    /// The blocks from `from` on, as they are stored: at most `count_max`, and as many as are not over
    /// `bytes_max` together, encoded; but one at least, if there is one.
    ///
    /// # Errors
    /// See [`Self::head`].
    pub fn certified_blocks(
        &self,
        from: Height,
        count_max: usize,
        bytes_max: usize,
    ) -> Result<Vec<CertifiedBlock>, LedgerError> {
        Ok(gathered(from, count_max, bytes_max, |height| self.certified_block(height))?.0)
    }

    /// The same for a peer, which refuses what does not prove itself: each block is checked against its
    /// certificate, and this against its signers. The first that is damaged, or missing below the head,
    /// ends the list, and its height is told: [`crate::Ledger::check_height`] is to look at it. A reader
    /// made by [`Self::new`] cannot tell, and gives none.
    ///
    /// # Errors
    /// That the store failed.
    pub fn sound_blocks(
        &self,
        from: Height,
        count_max: usize,
        bytes_max: usize,
    ) -> Result<(Vec<CertifiedBlock>, Option<Height>), LedgerError> {
        let Some(trust) = &self.trust else { return Ok((Vec::new(), None)) };
        let (blocks, end) = gathered(from.max(Height(1)), count_max, bytes_max, |height| {
            Ok(records::certified(self.store.as_ref(), trust, height)?.ok())
        })?;
        let damaged = match end {
            Some(height) if self.is_damaged(trust, height)? => Some(height),
            Some(_) | None => None,
        };
        Ok((blocks, damaged))
    }

    /// Whether the record of this height, which is not whole, should be: one below the head, or what lies
    /// above it and does not prove itself.
    fn is_damaged(&self, trust: &Trust, height: Height) -> Result<bool, LedgerError> {
        let executed = found(self.store.head())?.is_ok_and(|head| height <= head.height);
        let (block, certificate) = records::rows(self.store.as_ref(), trust, height)?;
        Ok(executed || !records::damaged(&block, &certificate).is_empty())
    }

    /// The header at a height.
    ///
    /// # Errors
    /// See [`Self::head`].
    pub fn header(&self, height: Height) -> Result<Option<Header>, LedgerError> {
        match self.store.certificate(height)? {
            Some(certificate) => self.header_of(&certificate.hash),
            None => Ok(None),
        }
    }

    /// The header with this hash.
    ///
    /// # Errors
    /// See [`Self::head`].
    pub fn header_of(&self, hash: &Hash) -> Result<Option<Header>, LedgerError> {
        Ok(self.store.header(hash)?)
    }

    /// The certificate that commits the block at a height.
    ///
    /// # Errors
    /// See [`Self::head`].
    pub fn certificate(&self, height: Height) -> Result<Option<Certificate>, LedgerError> {
        Ok(self.store.certificate(height)?)
    }

    /// The receipts of the block at a height.
    ///
    /// # Errors
    /// See [`Self::head`].
    pub fn receipts(&self, height: Height) -> Result<Option<Vec<Receipt>>, LedgerError> {
        Ok(self.store.receipts(height)?)
    }

    /// What executing the last `count` blocks came to, in ascending order of height. One that is
    /// missing or damaged ends the list downwards.
    ///
    /// # Errors
    /// See [`Self::head`].
    pub(crate) fn recent_statements(&self, count: usize) -> Result<Vec<Statement>, LedgerError> {
        let mut height = self.head()?.statement.height;
        let mut statements = Vec::new();
        while statements.len() < count && height > Height(0) {
            let Some(statement) = self.store.statement(height).ok().flatten() else { break };
            statements.push(statement);
            height = height.previous();
        }
        statements.reverse();
        Ok(statements)
    }

    /// The state certificate of a height, if this replica collected one that verifies.
    ///
    /// # Errors
    /// See [`Self::head`].
    pub fn state_certificate(
        &self,
        height: Height,
    ) -> Result<Option<StateCertificate>, LedgerError> {
        let held = self.store.state_certificate(height)?;
        let Some(Trust { committee, verifier }) = &self.trust else { return Ok(held) };
        let weak = committee.thresholds().weak();
        Ok(held.filter(|certificate| {
            certificate.statement.height == height
                && certificate.verify(weak, committee, verifier.as_ref()).is_ok()
        }))
    }

    /// Where the transaction of this name stood first.
    ///
    /// # Errors
    /// See [`Self::head`].
    pub fn location(&self, transaction: &Hash) -> Result<Option<Location>, LedgerError> {
        Ok(self.store.transaction(transaction)?)
    }

    /// The transaction of this name with the proof of what became of it, where it stood first; none
    /// if no block has it.
    ///
    /// # Errors
    /// See [`Self::head`].
    pub fn transaction_proof(&self, name: &Hash) -> Result<Option<TransactionProof>, LedgerError> {
        let Some(Location { height, index }) = self.location(name)? else {
            return Ok(None);
        };
        let index = index as usize;
        let (Some(CertifiedBlock { block, certificate }), Some(receipts)) =
            (self.certified_block(height)?, self.receipts(height)?)
        else {
            self.expect_kept(height)?;
            return damaged(height, "a block, its certificate or its receipts are missing");
        };
        let leaves: Vec<Hash> =
            block.transactions.iter().map(|t| t.signed_hash(self.chain)).collect();
        let receipt_leaves: Vec<Hash> = receipts.iter().map(Receipt::leaf).collect();
        let proofs = (
            block.transactions.get(index),
            MerkleProof::build(&leaves, index),
            receipts.get(index),
            MerkleProof::build(&receipt_leaves, index),
        );
        let (Some(transaction), Some(inclusion), Some(receipt), Some(receipt_inclusion)) = proofs
        else {
            return damaged(height, "a transaction is not where the index says");
        };
        Ok(Some(TransactionProof {
            transaction: transaction.clone(),
            header: block.header.clone(),
            certificate,
            inclusion,
            receipt: receipt.clone(),
            receipt_inclusion,
            state_certificate: self.state_certificate(height)?,
        }))
    }

    /// The last executed nonce of a client; none if it never executed anything.
    ///
    /// # Errors
    /// See [`Self::head`].
    pub fn last_nonce(&self, client: &PublicKey) -> Result<Option<u64>, LedgerError> {
        Ok(stored_nonce(client, |key| self.store.state_get(key))?)
    }

    /// One entry of the state with its proof, or with the proof that it is not there.
    ///
    /// # Errors
    /// See [`Self::head`].
    pub fn state_proof(&self, key: &StateKey) -> Result<StateAnswer, LedgerError> {
        let snapshot = self.store.snapshot();
        let head = self.head_in(snapshot.as_ref())?;
        if head.statement.height == Height(0) {
            // The tables may hold the state of a snapshot that is being restored.
            let proof = StateProof { neighbour: None, siblings: Vec::new() };
            return Ok(StateAnswer { head, value: None, proof });
        }
        let value = snapshot.state_get(key.as_bytes())?;
        let proof = tree::prove(&snapshot.as_ref(), key)?;
        Ok(StateAnswer { head, value, proof })
    }

    /// Records of the heal log older than the number `before`, the newest first, at most `limit`; see
    /// [`Store::heals_before`].
    ///
    /// # Errors
    /// See [`Self::head`].
    pub fn heals(&self, before: Option<u64>, limit: usize) -> Result<Vec<HealRecord>, LedgerError> {
        Ok(self.store.heals_before(before, limit)?)
    }

    /// Numbers of the oldest record of the heal log, and of the one that is written next.
    #[must_use]
    pub fn heal_bounds(&self) -> (u64, u64) {
        self.store.heal_bounds()
    }

    /// The automaton's entries after the last executed block, for one query: they stay as they are
    /// while later blocks execute.
    ///
    /// # Errors
    /// See [`Self::head`].
    pub fn state_view(&self) -> Result<StateAt<'_>, LedgerError> {
        let snapshot = self.store.snapshot();
        let head = self.head_in(snapshot.as_ref())?;
        Ok(StateAt { snapshot, head, failed: std::cell::RefCell::new(None) })
    }
}

fn damaged<T>(height: Height, what: &str) -> Result<T, LedgerError> {
    Err(LedgerError::Damaged { height, what: what.into() })
}

/// The blocks that `block` gives from `from` on, up to these bounds, and the height at which it gave none.
fn gathered(
    from: Height,
    count_max: usize,
    bytes_max: usize,
    block: impl Fn(Height) -> Result<Option<CertifiedBlock>, LedgerError>,
) -> Result<(Vec<CertifiedBlock>, Option<Height>), LedgerError> {
    let (mut blocks, mut bytes, mut height) = (Vec::new(), 0_usize, from);
    while blocks.len() < count_max {
        let Some(block) = block(height)? else { return Ok((blocks, Some(height))) };
        bytes = bytes.saturating_add(encoded_bytes(&block));
        if bytes > bytes_max && !blocks.is_empty() {
            break;
        }
        blocks.push(block);
        height = height.next();
    }
    Ok((blocks, None))
}

/// Bytes that a block and its certificate take in a message.
fn encoded_bytes(block: &CertifiedBlock) -> usize {
    let transactions: usize = block.block.transactions.iter().map(|t| t.encoded_bytes()).sum();
    let header = codec::encode(&block.block.header).len();
    // A length of 8 bytes stands before the transactions.
    header + 8 + transactions + codec::encode(&block.certificate).len()
}

/// The automaton's entries after one block; see [`LedgerReader::state_view`]. A read that fails looks
/// like a key without entry to the query, so [`StateAt::finish`] must be asked afterwards.
pub struct StateAt<'a> {
    snapshot: Box<dyn Snapshot + 'a>,
    head: HeadInfo,
    failed: std::cell::RefCell<Option<StoreError>>,
}

impl StateAt<'_> {
    /// The block.
    #[must_use]
    pub const fn head(&self) -> &HeadInfo {
        &self.head
    }

    /// Whether all reads succeeded; if not, the query's answer is not to be used.
    ///
    /// # Errors
    /// The first read that failed.
    pub fn finish(self) -> Result<(), LedgerError> {
        match self.failed.into_inner() {
            None => Ok(()),
            Some(error) => Err(error.into()),
        }
    }

    fn or_failed<T: Default>(&self, read: Result<T, StoreError>) -> T {
        read.unwrap_or_else(|error| {
            self.failed.borrow_mut().get_or_insert(error);
            T::default()
        })
    }
}

impl StateRead for StateAt<'_> {
    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        if self.head.statement.height == Height(0) {
            return None;
        }
        self.or_failed(self.snapshot.state_get(StateKey::automaton(key).as_bytes()))
    }
}

impl StateView for StateAt<'_> {
    fn scan(&self, prefix: &[u8], from: &[u8], limit: usize) -> Vec<Entry> {
        let (prefix, from) = (StateKey::automaton(prefix), StateKey::automaton(from));
        if self.head.statement.height == Height(0) {
            return Vec::new();
        }
        let limit = limit.min(SCAN_ENTRIES_MAX);
        let rows = self.snapshot.state_scan(prefix.as_bytes(), from.as_bytes(), limit);
        let rows = self.or_failed(rows).into_iter();
        rows.filter_map(|(key, value)| Some((StateKey::automaton_part(&key)?.to_vec(), value)))
            .collect()
    }
}
