//! Checks messages and transactions before the engine sees them, each signature once.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use daruma_automaton_api::DynAutomaton;
use daruma_engine::{AdmissionContext, ChainLimits};
use daruma_ledger::LedgerReader;
use daruma_types::{
    Committee, Ed25519, Hash, Message, PublicKey, Transaction, TransactionError, Verifier,
    limits::SPREAD_TRANSACTIONS_MAX,
};
use lru::LruCache;
use rayon::prelude::*;

use crate::limits;

/// The door of a node: the chainspec's replicas and bounds, the automaton's admission, the ledger's
/// nonces, and a memory of what was checked.
pub(crate) struct Door {
    committee: Arc<Committee>,
    limits: ChainLimits,
    automaton: Arc<dyn DynAutomaton>,
    reader: LedgerReader,
    verified: Mutex<LruCache<Hash, ()>>,
    nonces: Mutex<LruCache<PublicKey, u64>>,
}

/// Why a client's transaction is refused before the engine sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// Size or signature.
    Invalid(TransactionError),
    /// The automaton does not take the operation.
    Malformed {
        /// Why, for the client.
        reason: String,
    },
    /// The client executed this nonce or a later one.
    Superseded {
        /// Its last executed nonce.
        last: u64,
    },
    /// The pool has no room.
    Pool(daruma_engine::PoolRefusal),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic cannot leave a cache in a state that matters: every entry is true by itself.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

const fn entries(max: usize) -> NonZeroUsize {
    match NonZeroUsize::new(max) {
        Some(max) => max,
        None => NonZeroUsize::MIN,
    }
}

impl Door {
    pub(crate) fn new(
        committee: Arc<Committee>,
        chain_limits: ChainLimits,
        automaton: Arc<dyn DynAutomaton>,
        reader: LedgerReader,
    ) -> Self {
        Self {
            committee,
            limits: chain_limits,
            automaton,
            reader,
            verified: Mutex::new(LruCache::new(entries(limits::VERIFIED_MAX))),
            nonces: Mutex::new(LruCache::new(entries(limits::NONCES_MAX))),
        }
    }

    /// Remembers what a block made of its clients' nonces.
    pub(crate) fn executed(&self, nonces: &[(PublicKey, u64)]) {
        let mut cache = lock(&self.nonces);
        for (client, nonce) in nonces {
            cache.put(*client, *nonce);
        }
    }

    /// Forgets nonces: the ledger no longer is what it was.
    pub(crate) fn forget(&self) {
        lock(&self.nonces).clear();
    }

    /// Forgets all that was looked up or checked. Memory may be wrong: a nonce that was never executed would
    /// keep a client out for good, and a signature that was never checked would pass.
    pub(crate) fn forget_all(&self) {
        self.forget();
        lock(&self.verified).clear();
    }

    /// Checks a client's transaction: size, signature, the automaton's admission, the nonce.
    pub(crate) fn check_submission(&self, transaction: &Transaction) -> Result<(), Refused> {
        if let Some(last) = self.last_nonce(&transaction.client)
            && !daruma_types::supersedes(transaction.nonce, Some(last))
        {
            return Err(Refused::Superseded { last });
        }
        self.check(transaction).map_err(Refused::Invalid)?;
        // A panic in an automaton is its author's mistake, and must not take the node along.
        let check = || self.automaton.check(&transaction.operation);
        let checked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(check));
        match checked {
            Ok(Ok(())) => Ok(()),
            Ok(Err(malformed)) => Err(Refused::Malformed { reason: malformed.to_string() }),
            Err(_) => Err(Refused::Malformed { reason: "the automaton panicked on it".into() }),
        }
    }

    /// Checks the transactions of a message on all cores, so that [`AdmissionContext::check`] finds
    /// them checked. What does not hold is left for it to find.
    pub(crate) fn check_ahead(&self, message: &Message) {
        let transactions = match message {
            Message::PrePrepare(proposal) => &proposal.block.transactions,
            Message::Body(block) => &block.transactions,
            Message::Transactions(transactions) => transactions,
            Message::Token { .. }
            | Message::TokenReturn { .. }
            | Message::Summary(_)
            | Message::Coordination(_)
            | Message::Demand(_)
            | Message::Leave(_)
            | Message::Report(_)
            | Message::Enter(_)
            | Message::NewView(_)
            | Message::Vote(_)
            | Message::Certificate(_)
            | Message::Want(_)
            | Message::Lacks(_)
            | Message::Fetch { .. }
            | Message::Blocks(_)
            | Message::StateCertificates(_)
            | Message::SnapshotOffer(_)
            | Message::SnapshotWant { .. }
            | Message::SnapshotChunk { .. }
            | Message::Attestation(_) => return,
        };
        // More than a message may hold is refused at admission, before any signature is checked.
        if transactions.len() > self.limits.block_transactions_max.max(SPREAD_TRANSACTIONS_MAX) {
            return;
        }
        transactions.par_iter().with_min_len(16).for_each(|transaction| {
            let _left_for_admission = self.check(transaction);
        });
    }
}

impl AdmissionContext for Door {
    fn committee(&self) -> &Committee {
        &self.committee
    }

    fn verifier(&self) -> &dyn Verifier {
        &Ed25519
    }

    fn limits(&self) -> ChainLimits {
        self.limits
    }

    fn check(&self, transaction: &Transaction) -> Result<(), TransactionError> {
        let name = transaction.signed_hash(self.committee.chain());
        if lock(&self.verified).get(&name).is_some() {
            return Ok(());
        }
        let chain = self.committee.chain();
        transaction.verify(chain, self.limits.operation_bytes_max, &Ed25519)?;
        lock(&self.verified).put(name, ());
        Ok(())
    }

    fn last_nonce(&self, client: &PublicKey) -> Option<u64> {
        if let Some(nonce) = lock(&self.nonces).get(client) {
            return Some(*nonce);
        }
        // An unreadable ledger is reported where it is written; here it only means that an old
        // nonce is found out later, at execution.
        let nonce = self.reader.last_nonce(client).ok().flatten()?;
        let mut cache = lock(&self.nonces);
        // A block executed meanwhile may have left a later one.
        if cache.peek(client).is_none_or(|known| *known < nonce) {
            cache.put(*client, nonce);
        }
        cache.peek(client).copied()
    }
}

#[cfg(test)]
mod tests;
