//! The proof of what became of a transaction, for a client that holds only the chainspec.

use daruma_types::codec::{Decode, Encode};
use daruma_types::{
    Certificate, Committee, Header, Invalid, MerkleProof, Receipt, StateCertificate, Transaction,
    Verifier, VoteKind,
};

/// A transaction with its block's header and certificate, and its receipt with the state certificate
/// of its block, where the node has one.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct TransactionProof {
    /// The transaction.
    pub transaction: Transaction,
    /// The header of the block it stands in.
    pub header: Header,
    /// The certificate that commits that block.
    pub certificate: Certificate,
    /// That the transaction is in the header's `transactions_root`.
    pub inclusion: MerkleProof,
    /// What became of it.
    pub receipt: Receipt,
    /// That the receipt is in the statement's `receipts_root`.
    pub receipt_inclusion: MerkleProof,
    /// Who says what executing the block came to; without it the receipt is one node's word.
    pub state_certificate: Option<StateCertificate>,
}

/// Why a [`TransactionProof`] does not prove.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// A certificate does not verify.
    #[error(transparent)]
    Certificate(#[from] Invalid),
    /// Two parts do not belong together.
    #[error("{0}")]
    Mismatch(&'static str),
}

impl TransactionProof {
    /// Checks that the transaction stands in a committed block of `committee`'s chain.
    ///
    /// # Errors
    /// [`ProofError`] says what does not hold.
    pub fn verify_inclusion(
        &self,
        committee: &Committee,
        verifier: &dyn Verifier,
    ) -> Result<(), ProofError> {
        let chain = committee.chain();
        let mismatch = |why| Err(ProofError::Mismatch(why));
        let certificate = &self.certificate;
        if self.header.chain != chain {
            return mismatch("the header belongs to another chain");
        }
        if certificate.kind != VoteKind::Commit
            || certificate.height != self.header.height
            || certificate.hash != self.header.hash()
        {
            return mismatch("the certificate does not commit the header");
        }
        certificate.verify(committee, verifier)?;
        let leaf = self.transaction.signed_hash(chain);
        if self.inclusion.count != self.header.count
            || !self.inclusion.verify(&leaf, &self.header.transactions_root)
        {
            return mismatch("the transaction is not proved to be in the block");
        }
        Ok(())
    }

    /// Checks, beyond [`Self::verify_inclusion`], that `f+1` replicas attest the receipt, so at least
    /// one correct one (thesis 2.6).
    ///
    /// # Errors
    /// [`ProofError`] says what does not hold; a proof without a state certificate fails.
    pub fn verify_receipt(
        &self,
        committee: &Committee,
        verifier: &dyn Verifier,
    ) -> Result<(), ProofError> {
        self.verify_inclusion(committee, verifier)?;
        let mismatch = |why| Err(ProofError::Mismatch(why));
        let Some(state) = &self.state_certificate else {
            return mismatch("there is no state certificate for the receipt");
        };
        if state.statement.height != self.header.height
            || state.statement.block != self.certificate.hash
        {
            return mismatch("the state certificate is about another block");
        }
        state.verify(committee.thresholds().weak(), committee, verifier)?;
        if self.receipt.transaction != self.transaction.hash(committee.chain())
            || self.receipt.height != self.header.height
            || self.receipt.index != self.inclusion.index
        {
            return mismatch("the receipt is for another transaction");
        }
        if self.receipt_inclusion.index != self.receipt.index
            || self.receipt_inclusion.count != self.header.count
            || !self.receipt_inclusion.verify(&self.receipt.leaf(), &state.statement.receipts_root)
        {
            return mismatch("the receipt is not proved to be one of the block's");
        }
        Ok(())
    }
}
