//! What a simulated node checks at its door, with the memory of verified transactions shared by all
//! replicas of a run: the check is pure, so one answer serves all.

use std::cell::RefCell;
use std::collections::BTreeSet;

use daruma_engine::{AdmissionContext, ChainLimits};
use daruma_ledger::LedgerReader;
use daruma_types::{Committee, Hash, PublicKey, Transaction, TransactionError, Verifier};

use crate::{Scheme, limits};

/// Transactions whose signature was verified before. Only worth it where that is dear.
#[derive(Debug)]
pub(crate) struct Verified {
    remembers: bool,
    known: RefCell<BTreeSet<Hash>>,
}

impl Verified {
    pub(crate) fn new(scheme: Scheme) -> Self {
        Self { remembers: scheme == Scheme::Ed25519, known: RefCell::new(BTreeSet::new()) }
    }

    fn check(&self, transaction: &Transaction, context: &Door<'_>) -> Result<(), TransactionError> {
        let chain = context.committee.chain();
        let verify =
            || transaction.verify(chain, context.limits.operation_bytes_max, context.verifier);
        if !self.remembers {
            return verify();
        }
        let name = transaction.signed_hash(chain);
        if self.known.borrow().contains(&name) {
            return Ok(());
        }
        verify()?;
        let mut known = self.known.borrow_mut();
        if known.len() >= limits::VERIFIED_MAX {
            known.clear();
        }
        known.insert(name);
        Ok(())
    }
}

/// One replica's door.
pub(crate) struct Door<'a> {
    pub(crate) committee: &'a Committee,
    pub(crate) verifier: &'a dyn Verifier,
    pub(crate) limits: ChainLimits,
    pub(crate) verified: &'a Verified,
    pub(crate) reader: &'a LedgerReader,
}

impl AdmissionContext for Door<'_> {
    fn committee(&self) -> &Committee {
        self.committee
    }

    fn verifier(&self) -> &dyn Verifier {
        self.verifier
    }

    fn limits(&self) -> ChainLimits {
        self.limits
    }

    fn check(&self, transaction: &Transaction) -> Result<(), TransactionError> {
        self.verified.check(transaction, self)
    }

    fn last_nonce(&self, client: &PublicKey) -> Option<u64> {
        // A memory store never fails to read; a damaged row is for the ledger to find.
        self.reader.last_nonce(client).ok().flatten()
    }
}
