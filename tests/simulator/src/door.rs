//! What a simulated node checks at its door.

use daruma_engine::{AdmissionContext, ChainLimits};
use daruma_types::{Committee, PublicKey, Transaction, TransactionError, Verifier};

/// The door of every replica of a run: the chain is the same for all, and a message is checked once
/// for all who get it.
pub(crate) struct Door<'a> {
    pub(crate) committee: &'a Committee,
    pub(crate) verifier: &'a dyn Verifier,
    pub(crate) limits: ChainLimits,
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
        let operation_bytes_max = self.limits.operation_bytes_max;
        transaction.verify(self.committee.chain(), operation_bytes_max, self.verifier)
    }

    /// Not asked here: where a message arrives, the ledger of that replica is.
    fn last_nonce(&self, _: &PublicKey) -> Option<u64> {
        None
    }
}
