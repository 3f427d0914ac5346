//! The one hash of Daruma: BLAKE3 with a derive-key context for each use (DESIGN 11).

use alloc::string::String;
use core::fmt;

use crate::codec::{Decode, Encode};

/// A 32-byte BLAKE3 digest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct Hash(pub [u8; 32]);

/// `0x` and the bytes in lower-case hex: the one textual form of hashes, keys and signatures.
pub(crate) fn hex_of(bytes: &[u8]) -> String {
    let mut text = String::from("0x");
    text.push_str(&hex::encode(bytes));
    text
}

/// Reads what [`hex_of`] writes; the `0x` and the exact length are required.
pub(crate) fn bytes_of<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    hex::decode_to_slice(text.strip_prefix("0x")?, &mut bytes).ok()?;
    Some(bytes)
}

/// What a digest is taken of. Each context is a domain of its own, so a digest made for one use
/// never equals a digest made for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashContext {
    /// A block's header.
    Header,
    /// A transaction: the bytes that its client signs.
    Transaction,
    /// A transaction together with its signature.
    SignedTransaction,
    /// A leaf of a block's or receipt list's Merkle tree.
    MerkleLeaf,
    /// An inner node of such a tree.
    MerkleNode,
    /// The content of a [`crate::Report`].
    Report,
    /// The canonical chainspec, which gives the chain id.
    ChainSpec,
    /// A key of the state tree.
    StateKey,
    /// Anything of the state tree that is not a key.
    StateTree,
}

impl HashContext {
    const fn name(self) -> &'static str {
        match self {
            Self::Header => "daruma v1 block header",
            Self::Transaction => "daruma v1 transaction",
            Self::SignedTransaction => "daruma v1 signed transaction",
            Self::MerkleLeaf => "daruma v1 merkle leaf",
            Self::MerkleNode => "daruma v1 merkle node",
            Self::Report => "daruma v1 report",
            Self::ChainSpec => "daruma v1 chainspec",
            Self::StateKey => "daruma v1 state key",
            Self::StateTree => "daruma v1 state tree",
        }
    }
}

impl Hash {
    /// Digest of `parts`, one after the other, in `context`. The caller sees to it that the parts
    /// can be told apart: fixed lengths, or a length before each part that varies.
    #[must_use]
    pub fn of(context: HashContext, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key(context.name());
        for part in parts {
            hasher.update(part);
        }
        Self(*hasher.finalize().as_bytes())
    }

    /// The first four bytes, for summaries and logs.
    #[must_use]
    pub const fn short(&self) -> u32 {
        let [a, b, c, d, ..] = self.0;
        u32::from_be_bytes([a, b, c, d])
    }

    /// `0x` and 64 lower-case hex digits.
    #[must_use]
    pub fn to_hex(&self) -> String {
        hex_of(&self.0)
    }

    /// Reads what [`Self::to_hex`] writes; the `0x` is required.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        bytes_of(text).map(Self)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_hex())
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", self.short())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_bytes_in_different_contexts_differ() {
        let a = Hash::of(HashContext::Header, &[b"x"]);
        let b = Hash::of(HashContext::Transaction, &[b"x"]);
        assert_ne!(a, b);
    }

    #[test]
    fn hex_goes_there_and_back_and_needs_its_prefix() {
        let hash = Hash::of(HashContext::Header, &[b"x"]);
        assert_eq!(Hash::from_hex(&hash.to_hex()), Some(hash));
        assert_eq!(Hash::from_hex(&hash.to_hex()[2..]), None);
    }
}
