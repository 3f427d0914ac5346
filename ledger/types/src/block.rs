//! Blocks (DESIGN 3).

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::codec::{Decode, Encode};
use crate::{
    Certificate, ChainId, Hash, HashContext, Height, Invalid, ReplicaId, Transaction, codec,
    limits, merkle_root,
};

/// What a block's hash covers. It does not hold the ballot, so a block can be proposed again,
/// unchanged, after a view change.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Header {
    /// The chain.
    pub chain: ChainId,
    /// Position, from 1.
    pub height: Height,
    /// Hash of the block below; of height 1, the chain id's own hash.
    pub parent: Hash,
    /// Merkle root of the signed transactions.
    pub transactions_root: Hash,
    /// The replica that first proposed it.
    pub proposer: ReplicaId,
    /// The proposer's clock, in ms since 1970, never below the parent's. For people; no rule of the
    /// protocol depends on it.
    #[cfg_attr(feature = "arbitrary", arbitrary(with = crate::from_bytes::number))]
    pub timestamp_ms: u64,
    /// Transactions in the block.
    #[cfg_attr(feature = "arbitrary", arbitrary(with = crate::from_bytes::number))]
    pub count: u32,
    /// Bytes of all transactions, encoded.
    #[cfg_attr(feature = "arbitrary", arbitrary(with = crate::from_bytes::number))]
    pub bytes: u32,
}

impl Header {
    /// The block's name.
    #[must_use]
    pub fn hash(&self) -> Hash {
        Hash::of(HashContext::Header, &[&codec::encode(self)])
    }
}

/// A header with its transactions.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Block {
    /// The header.
    pub header: Header,
    /// The transactions, in order of execution.
    pub transactions: Vec<Transaction>,
}

impl Block {
    /// Builds the block that extends `parent` with `transactions`.
    #[must_use]
    pub fn build(
        chain: ChainId,
        height: Height,
        parent: Hash,
        proposer: ReplicaId,
        timestamp_ms: u64,
        transactions: Vec<Transaction>,
    ) -> Self {
        let header = Header {
            chain,
            height,
            parent,
            transactions_root: Self::transactions_root(chain, &transactions),
            proposer,
            timestamp_ms,
            count: u32::try_from(transactions.len()).unwrap_or(u32::MAX),
            bytes: Self::transactions_bytes(&transactions),
        };
        Self { header, transactions }
    }

    /// The block's name: its header's hash.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.header.hash()
    }

    fn transactions_root(chain: ChainId, transactions: &[Transaction]) -> Hash {
        let leaves: Vec<Hash> = transactions.iter().map(|t| t.signed_hash(chain)).collect();
        merkle_root(&leaves)
    }

    fn transactions_bytes(transactions: &[Transaction]) -> u32 {
        let bytes: usize = transactions.iter().map(Transaction::encoded_bytes).sum();
        u32::try_from(bytes).unwrap_or(u32::MAX)
    }

    /// Checks that the header describes the transactions and that both are within `bytes_max`,
    /// `transactions_max` and the hard limits. Signatures, parent and nonces are not checked here.
    ///
    /// # Errors
    /// [`Invalid::Malformed`] says which field does not fit.
    pub fn verify_shape(
        &self,
        chain: ChainId,
        transactions_max: usize,
        bytes_max: usize,
    ) -> Result<(), Invalid> {
        let malformed = |why| Err(Invalid::Malformed { what: "block", why });
        let header = &self.header;
        if header.chain != chain {
            return malformed("it belongs to another chain");
        }
        if header.height == Height(0) {
            return malformed("height 0 is the genesis, which has no block");
        }
        if self.transactions.len() > transactions_max.min(limits::BLOCK_TRANSACTIONS_MAX) {
            return malformed("more transactions than a block may hold");
        }
        if header.count as usize != self.transactions.len() {
            return malformed("the header's count differs from the number of transactions");
        }
        if header.bytes != Self::transactions_bytes(&self.transactions)
            || header.bytes as usize > bytes_max.min(limits::BLOCK_BYTES_MAX)
        {
            return malformed("the header's size is wrong or over the bound");
        }
        if header.transactions_root != Self::transactions_root(chain, &self.transactions) {
            return malformed("the transactions do not give the header's root");
        }
        Ok(())
    }
}

/// A block with the certificate that commits it: all that a stranger needs to believe it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct CertifiedBlock {
    /// The block, shared: the engine, the ledger and several peers' queues hold it at once.
    pub block: Arc<Block>,
    /// A commit certificate for its height and hash.
    pub certificate: Certificate,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{SecretKey, Signature};
    use alloc::vec;

    fn block() -> Block {
        let chain = ChainId(Hash([1; 32]));
        let key = SecretKey::from_bytes(&[3; 32]);
        let transactions =
            (1..=3).map(|nonce| Transaction::sign(chain, &key, nonce, vec![9])).collect();
        Block::build(chain, Height(1), chain.0, ReplicaId(0), 7, transactions)
    }

    #[test]
    fn a_built_block_verifies_and_each_changed_field_is_noticed() {
        let good = block();
        let check = |block: &Block| block.verify_shape(ChainId(Hash([1; 32])), 10, 10_000);
        assert_eq!(check(&good), Ok(()));
        let spoilers: [fn(&mut Block); 6] = [
            |b| b.header.chain = ChainId(Hash([2; 32])),
            |b| b.header.height = Height(0),
            |b| b.header.count = 2,
            |b| b.header.bytes -= 1,
            |b| b.transactions.swap(0, 1),
            |b| b.transactions[0].signature = Signature([0; 64]),
        ];
        for spoil in spoilers {
            let mut bad = good.clone();
            spoil(&mut bad);
            assert!(check(&bad).is_err());
        }
        assert!(good.verify_shape(ChainId(Hash([1; 32])), 2, 10_000).is_err());
        assert!(good.verify_shape(ChainId(Hash([1; 32])), 10, 100).is_err());
    }
}
