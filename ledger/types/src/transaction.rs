//! Transactions: what a client signs and the chain orders (DESIGN 3).

use alloc::vec::Vec;

use crate::codec::{Decode, Encode};
use crate::{ChainId, Hash, HashContext, PublicKey, Signature, Signer, Verifier, limits};

/// First bytes of what a client signs.
const DOMAIN: &[u8] = b"daruma transaction v1\n";

/// One operation of one client, signed by it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Transaction {
    /// The client's key; its identity.
    pub client: PublicKey,
    /// The client's totally ordered timestamp (thesis 3.1): strictly increasing, gaps allowed.
    #[cfg_attr(feature = "arbitrary", arbitrary(with = crate::from_bytes::number))]
    pub nonce: u64,
    /// The automaton's operation, in the automaton's own encoding.
    #[cfg_attr(feature = "arbitrary", arbitrary(with = crate::from_bytes::bytes))]
    pub operation: Vec<u8>,
    /// The client's signature on [`Transaction::signed_bytes`].
    pub signature: Signature,
}

/// Why a transaction is not valid, whatever the state of the ledger.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    /// The operation is longer than the chain allows.
    #[error("the operation has {found} bytes; this chain accepts at most {max}")]
    TooLarge {
        /// Bytes found.
        found: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// The signature does not verify for this client, nonce, operation and chain.
    #[error(
        "the signature does not verify for this client, nonce and operation on chain {chain}; \
         check that the right chain id was signed"
    )]
    Signature {
        /// The chain that the signature was checked for.
        chain: ChainId,
    },
}

/// Whether a transaction with `nonce` may still execute when `last` is the client's last executed
/// nonce (thesis 3.1, `lastReq`). The one rule by which a transaction executes at most once.
#[must_use]
pub fn supersedes(nonce: u64, last: Option<u64>) -> bool {
    last.is_none_or(|last| nonce > last)
}

impl Transaction {
    /// The bytes that the client signs: domain tag, chain id, public key, nonce (u64, little
    /// endian), length (u32, little endian), operation. docs/transactions.md has an example in hex.
    #[must_use]
    pub fn signed_bytes(
        chain: ChainId,
        client: &PublicKey,
        nonce: u64,
        operation: &[u8],
    ) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(DOMAIN.len() + 32 + 32 + 8 + 4 + operation.len());
        bytes.extend_from_slice(DOMAIN);
        bytes.extend_from_slice(&chain.0.0);
        bytes.extend_from_slice(&client.0);
        bytes.extend_from_slice(&nonce.to_le_bytes());
        // Longer operations are refused before they are hashed; saturating keeps this total.
        let length = u32::try_from(operation.len()).unwrap_or(u32::MAX);
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(operation);
        bytes
    }

    /// Makes a transaction, signed with `signer`.
    #[must_use]
    pub fn sign(chain: ChainId, signer: &dyn Signer, nonce: u64, operation: Vec<u8>) -> Self {
        let client = signer.public_key();
        let signature = signer.sign(&Self::signed_bytes(chain, &client, nonce, &operation));
        Self { client, nonce, operation, signature }
    }

    /// The transaction's name: the hash of what the client signs. Known before signing, and the
    /// same for any valid signature on it.
    #[must_use]
    pub fn hash(&self, chain: ChainId) -> Hash {
        let bytes = Self::signed_bytes(chain, &self.client, self.nonce, &self.operation);
        Hash::of(HashContext::Transaction, &[&bytes])
    }

    /// The hash that stands in a block's Merkle tree: name and signature.
    #[must_use]
    pub fn signed_hash(&self, chain: ChainId) -> Hash {
        Hash::of(HashContext::SignedTransaction, &[&self.hash(chain).0, &self.signature.0])
    }

    /// Encoded bytes of all but the operation: key, nonce, the operation's length, signature (bincode,
    /// fixed width).
    pub const BYTES_BESIDE_OPERATION: usize = 32 + 8 + 8 + 64;

    /// Bytes that the transaction takes in a block, encoded.
    #[must_use]
    pub fn encoded_bytes(&self) -> usize {
        Self::BYTES_BESIDE_OPERATION + self.operation.len()
    }

    /// Checks length and signature; nonce and state are the ledger's to check.
    ///
    /// # Errors
    /// [`TransactionError`] names the bound that is broken, or the signature.
    pub fn verify(
        &self,
        chain: ChainId,
        operation_bytes_max: usize,
        verifier: &dyn Verifier,
    ) -> Result<(), TransactionError> {
        let max = operation_bytes_max.min(limits::OPERATION_BYTES_MAX);
        if self.operation.len() > max {
            return Err(TransactionError::TooLarge { found: self.operation.len(), max });
        }
        let bytes = Self::signed_bytes(chain, &self.client, self.nonce, &self.operation);
        if verifier.verify(&self.client, &bytes, &self.signature) {
            Ok(())
        } else {
            Err(TransactionError::Signature { chain })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ed25519, SecretKey, codec};
    use alloc::vec;

    fn chain(byte: u8) -> ChainId {
        ChainId(Hash([byte; 32]))
    }

    #[test]
    fn a_signature_holds_for_its_chain_nonce_and_operation_only() {
        let key = SecretKey::from_bytes(&[3; 32]);
        let good = Transaction::sign(chain(1), &key, 5, vec![1, 2]);
        assert_eq!(good.verify(chain(1), 100, &Ed25519), Ok(()));
        assert!(good.verify(chain(2), 100, &Ed25519).is_err());
        let other_nonce = Transaction { nonce: 6, ..good.clone() };
        assert!(other_nonce.verify(chain(1), 100, &Ed25519).is_err());
        let other_operation = Transaction { operation: vec![1, 3], ..good };
        assert!(other_operation.verify(chain(1), 100, &Ed25519).is_err());
    }

    #[test]
    fn an_operation_over_the_bound_is_refused_and_one_at_the_bound_is_not() {
        let key = SecretKey::from_bytes(&[3; 32]);
        let transaction = Transaction::sign(chain(1), &key, 5, vec![0; 10]);
        assert_eq!(transaction.verify(chain(1), 10, &Ed25519), Ok(()));
        assert_eq!(
            transaction.verify(chain(1), 9, &Ed25519),
            Err(TransactionError::TooLarge { found: 10, max: 9 })
        );
    }

    #[test]
    fn the_stated_size_is_the_encoded_size() {
        let key = SecretKey::from_bytes(&[3; 32]);
        let transaction = Transaction::sign(chain(1), &key, 5, vec![0; 10]);
        assert_eq!(codec::encode(&transaction).len(), transaction.encoded_bytes());
    }

    #[test]
    fn only_a_larger_nonce_supersedes() {
        assert!(supersedes(0, None));
        assert!(supersedes(6, Some(5)));
        assert!(!supersedes(5, Some(5)));
        assert!(!supersedes(4, Some(5)));
    }
}
