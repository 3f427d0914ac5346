//! Attestations: what a replica says its state is after a block (DESIGN 3).

use alloc::vec::Vec;

use crate::codec::{Decode, Encode};
use crate::{
    ChainId, Committee, Hash, Height, Invalid, ReplicaId, Signature, Signer, SignerSet, Verifier,
};

const DOMAIN: &[u8] = b"daruma attestation v1\n";

/// The result of executing a block. Equal on all correct replicas at equal height.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Statement {
    /// The height executed.
    pub height: Height,
    /// The block executed there.
    pub block: Hash,
    /// Root of the whole state after it.
    pub state_root: Hash,
    /// Merkle root of the block's receipts.
    pub receipts_root: Hash,
}

impl Statement {
    /// The bytes that an attestation's signature covers.
    #[must_use]
    pub fn signed_bytes(&self, chain: ChainId) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(192);
        bytes.extend_from_slice(DOMAIN);
        bytes.extend_from_slice(&chain.0.0);
        bytes.extend_from_slice(&self.height.0.to_le_bytes());
        bytes.extend_from_slice(&self.block.0);
        bytes.extend_from_slice(&self.state_root.0);
        bytes.extend_from_slice(&self.receipts_root.0);
        bytes
    }
}

/// A statement with one replica's signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Attestation {
    /// What is said.
    pub statement: Statement,
    /// Who says it.
    pub replica: ReplicaId,
    /// Its signature on [`Statement::signed_bytes`].
    pub signature: Signature,
}

impl Attestation {
    /// Signs `statement` as `replica`.
    #[must_use]
    pub fn sign(
        statement: Statement,
        replica: ReplicaId,
        chain: ChainId,
        signer: &dyn Signer,
    ) -> Self {
        let signature = signer.sign(&statement.signed_bytes(chain));
        Self { statement, replica, signature }
    }

    /// Checks the signature.
    ///
    /// # Errors
    /// [`Invalid`] for an unknown replica or a wrong signature.
    pub fn verify(&self, committee: &Committee, verifier: &dyn Verifier) -> Result<(), Invalid> {
        let bytes = self.statement.signed_bytes(committee.chain());
        committee.check(self.replica, "attestation", &bytes, &self.signature, verifier)
    }
}

/// Equal attestations of several replicas: `f+1` are what a client needs (thesis 2.6), a quorum is
/// proof of the state for everyone.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct StateCertificate {
    /// What all of them say.
    pub statement: Statement,
    /// Who says it.
    pub signers: SignerSet,
    /// Their signatures, in ascending order of signer.
    pub signatures: Vec<Signature>,
}

impl StateCertificate {
    /// Checks that at least `needed` replicas signed the statement.
    ///
    /// # Errors
    /// [`Invalid`] says what does not hold.
    pub fn verify(
        &self,
        needed: usize,
        committee: &Committee,
        verifier: &dyn Verifier,
    ) -> Result<(), Invalid> {
        let bytes = self.statement.signed_bytes(committee.chain());
        committee.check_set(
            "state",
            needed,
            self.signers,
            &self.signatures,
            |_| Some(&bytes),
            verifier,
        )
    }
}
