//! Checking a node's answer with the chainspec alone. Nothing here needs a network.

use bincode::{Decode, Encode};
use daruma_rpc_api::{Confirmation, NotTyped, ProofJson, ReceiptJson};
use daruma_types::{
    Committee, Ed25519, Hash, Header, Invalid, MerkleProof, Outcome, Receipt, Signature,
    StateCertificate, Statement, Transaction,
};

/// What shows that a transaction is in a block and what its receipt is.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Proof {
    /// The block's header.
    pub header: Header,
    /// The transaction's signature as it stands in the block.
    pub signature: Signature,
    /// That the signed transaction is under the header's transactions root.
    pub transaction: MerkleProof,
    /// What became of the transaction.
    pub receipt: Receipt,
    /// That the receipt is under the statement's receipts root.
    pub receipt_proof: MerkleProof,
    /// At least `f+1` replicas' signatures on the statement.
    pub attestations: StateCertificate,
}

/// A transaction whose execution was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confirmed {
    /// The transaction's name.
    pub hash: Hash,
    /// Its position in the block.
    pub index: u32,
    /// What it came to.
    pub outcome: Outcome,
    /// Height, block and state root after it.
    pub statement: Statement,
}

/// Why an answer is not believed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unverified {
    /// The answer has no receipt or no proof.
    #[error("the answer comes without {0}")]
    Missing(&'static str),
    /// A field that no honest node would send.
    #[error(transparent)]
    NotTyped(#[from] NotTyped),
    /// Two parts that do not belong together.
    #[error("the proof does not hold: {0}")]
    Mismatch(&'static str),
    /// Too few or wrong attestations.
    #[error("the attestations do not hold: {0}")]
    Attestations(#[from] Invalid),
}

impl Proof {
    /// Reads a node's answer.
    ///
    /// # Errors
    /// [`Unverified`] if a part is missing or malformed.
    pub fn read(confirmation: &Confirmation) -> Result<Self, Unverified> {
        let receipt = confirmation.receipt.as_ref().ok_or(Unverified::Missing("a receipt"))?;
        let proof = confirmation.proof.as_ref().ok_or(Unverified::Missing("a proof"))?;
        Self::from_json(receipt, proof)
    }

    /// The proof in a receipt's and a proof's JSON form.
    ///
    /// # Errors
    /// [`Unverified::NotTyped`] names the field.
    pub fn from_json(receipt: &ReceiptJson, proof: &ProofJson) -> Result<Self, Unverified> {
        Ok(Self {
            header: Header::try_from(&proof.header)?,
            signature: proof.signature.0,
            transaction: MerkleProof::from(&proof.transaction),
            receipt: Receipt::from(receipt.clone()),
            receipt_proof: MerkleProof::from(&proof.receipt),
            attestations: StateCertificate::try_from(&proof.attestations)?,
        })
    }

    /// Checks that `transaction` was executed with this receipt, in a block that at least one correct
    /// replica of `committee` executed: `f+1` attest it.
    ///
    /// # Errors
    /// [`Unverified`] says what does not hold.
    pub fn verify(
        &self,
        committee: &Committee,
        transaction: &Transaction,
    ) -> Result<Confirmed, Unverified> {
        let confirmed = self.verify_but_signatures(committee, transaction)?;
        self.attestations.verify(committee.thresholds().weak(), committee, &Ed25519)?;
        Ok(confirmed)
    }

    /// All of [`Self::verify`] but the signatures on the statement: for a caller that has checked them
    /// for an equal statement before.
    pub(crate) fn verify_but_signatures(
        &self,
        committee: &Committee,
        transaction: &Transaction,
    ) -> Result<Confirmed, Unverified> {
        let ensure = |holds, why| if holds { Ok(()) } else { Err(Unverified::Mismatch(why)) };
        let chain = committee.chain();
        let (header, receipt) = (&self.header, &self.receipt);
        let statement = self.attestations.statement;
        ensure(header.chain == chain, "the block belongs to another chain")?;
        ensure(header.hash() == statement.block, "another block is attested")?;
        ensure(header.height == statement.height, "another height is attested")?;

        let hash = transaction.hash(chain);
        let in_block = Transaction { signature: self.signature, ..transaction.clone() };
        ensure(
            self.transaction.count == header.count
                && self.transaction.verify(&in_block.signed_hash(chain), &header.transactions_root),
            "the transaction is not under the block's transactions root",
        )?;

        ensure(receipt.transaction == hash, "the receipt is another transaction's")?;
        ensure(
            receipt.height == header.height
                && receipt.index == self.transaction.index
                && receipt.index == self.receipt_proof.index,
            "the receipt is for another position",
        )?;
        ensure(
            self.receipt_proof.count == header.count
                && self.receipt_proof.verify(&receipt.leaf(), &statement.receipts_root),
            "the receipt is not under the attested receipts root",
        )?;
        Ok(Confirmed { hash, index: receipt.index, outcome: receipt.outcome.clone(), statement })
    }
}
