//! The one hash of Daruma: BLAKE3 with a derive-key context for each use (DESIGN 11).

use alloc::string::String;
use core::fmt;

use blake3::hazmat::HasherExt;

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
    /// A record of what a replica repaired, and the rows that such records speak of.
    HealRecord,
}

impl HashContext {
    /// The BLAKE3 key of the context: `hash_derive_key_context` of its name, which a test compares. It
    /// stands here because deriving it takes as long as hashing a short value.
    const fn key(self) -> &'static [u8; 32] {
        match self {
            // "daruma v1 block header"
            Self::Header => &[
                0x98, 0x58, 0x61, 0x4a, 0x5f, 0x46, 0xcf, 0xe0, 0xf7, 0x2c, 0xa5, 0x5e, 0x3e, 0x1f,
                0x91, 0x82, 0x4d, 0x6d, 0xc2, 0xe7, 0x21, 0x11, 0xf9, 0xcf, 0xdb, 0x49, 0xa0, 0xee,
                0xd5, 0xc3, 0x83, 0xff,
            ],
            // "daruma v1 transaction"
            Self::Transaction => &[
                0xd0, 0x25, 0x14, 0xc5, 0x85, 0x0b, 0xd3, 0x0c, 0x99, 0xba, 0x55, 0x39, 0x8c, 0x47,
                0x0f, 0x1b, 0x83, 0x0d, 0x5c, 0x3a, 0xf7, 0x51, 0x88, 0xa8, 0x8d, 0xff, 0xcd, 0x43,
                0xf6, 0x62, 0xfd, 0xb2,
            ],
            // "daruma v1 signed transaction"
            Self::SignedTransaction => &[
                0x50, 0x97, 0x11, 0xc9, 0x59, 0x15, 0x61, 0xd2, 0xdc, 0x04, 0xf8, 0x08, 0x84, 0x95,
                0x8c, 0xb9, 0x48, 0xb4, 0x7e, 0xe7, 0xa2, 0xe5, 0x44, 0xef, 0x4b, 0xa4, 0x89, 0xbd,
                0x52, 0x6d, 0xa6, 0x95,
            ],
            // "daruma v1 merkle leaf"
            Self::MerkleLeaf => &[
                0x75, 0xbe, 0xde, 0xa5, 0x3a, 0xd5, 0x8a, 0x35, 0xab, 0x61, 0x3d, 0x55, 0xbb, 0xd8,
                0xc5, 0x7c, 0xca, 0xb1, 0x90, 0x37, 0xe1, 0x73, 0xad, 0x8f, 0x69, 0xea, 0x54, 0x6b,
                0xb9, 0x11, 0x29, 0x65,
            ],
            // "daruma v1 merkle node"
            Self::MerkleNode => &[
                0xfc, 0x71, 0xec, 0x14, 0x46, 0x52, 0x25, 0x1d, 0x2a, 0x21, 0x8b, 0xae, 0xb4, 0xca,
                0x51, 0x45, 0x5b, 0x11, 0x38, 0xf3, 0x21, 0x0c, 0x74, 0x82, 0xe8, 0x30, 0xa1, 0xbc,
                0x3d, 0x0d, 0xd7, 0xf6,
            ],
            // "daruma v1 report"
            Self::Report => &[
                0xca, 0xb1, 0x8c, 0x65, 0x6e, 0x80, 0x91, 0xc3, 0xea, 0x3d, 0xd4, 0x7c, 0x91, 0xf5,
                0xa8, 0x5e, 0x96, 0xc4, 0xa5, 0x35, 0x68, 0x19, 0x1c, 0x9e, 0xf0, 0xd2, 0xcc, 0x94,
                0xd1, 0x79, 0x76, 0xc2,
            ],
            // "daruma v1 chainspec"
            Self::ChainSpec => &[
                0x2e, 0x20, 0xcb, 0xcc, 0x97, 0x66, 0x54, 0x70, 0x4b, 0x6f, 0xd8, 0x23, 0x56, 0x29,
                0xd2, 0xee, 0xf4, 0x8b, 0x81, 0x29, 0x93, 0xe5, 0xda, 0x5f, 0x7d, 0x50, 0x37, 0x21,
                0xcf, 0x72, 0x7e, 0x21,
            ],
            // "daruma v1 state key"
            Self::StateKey => &[
                0xf5, 0x7e, 0x20, 0x32, 0xe2, 0x92, 0x3c, 0x15, 0xdc, 0x20, 0xdc, 0x3b, 0x03, 0xb3,
                0xc6, 0x01, 0x09, 0xa5, 0x04, 0x94, 0xd7, 0x2f, 0xd5, 0x8b, 0xdc, 0xb2, 0xe1, 0xaa,
                0x31, 0xb9, 0xbf, 0xa3,
            ],
            // "daruma v1 state tree"
            Self::StateTree => &[
                0xa2, 0x01, 0x2b, 0x85, 0x2a, 0x2a, 0xfb, 0x24, 0xac, 0xd0, 0xbd, 0x04, 0x7b, 0x85,
                0xd8, 0xe9, 0x84, 0xbc, 0x0f, 0xae, 0x58, 0x3d, 0x41, 0x82, 0xa1, 0x17, 0xe6, 0x8a,
                0xf9, 0x2f, 0x40, 0xed,
            ],
            // "daruma v1 heal record"
            Self::HealRecord => &[
                0xe8, 0x3f, 0xe2, 0xb8, 0xe9, 0x1e, 0x38, 0x8f, 0x00, 0x52, 0xec, 0xf7, 0xc9, 0xc6,
                0x68, 0xe3, 0x63, 0x23, 0x8c, 0xe6, 0xab, 0xe3, 0x1c, 0x91, 0x4c, 0x0c, 0x7b, 0x09,
                0xfc, 0xa6, 0x8d, 0xfa,
            ],
        }
    }
}

impl Hash {
    /// Digest of `parts`, one after the other, in `context`. The caller sees to it that the parts
    /// can be told apart: fixed lengths, or a length before each part that varies.
    #[must_use]
    pub fn of(context: HashContext, parts: &[&[u8]]) -> Self {
        let mut hasher = blake3::Hasher::new_from_context_key(context.key());
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
    fn every_context_has_the_key_of_its_name() {
        for (context, name) in [
            (HashContext::Header, "daruma v1 block header"),
            (HashContext::Transaction, "daruma v1 transaction"),
            (HashContext::SignedTransaction, "daruma v1 signed transaction"),
            (HashContext::MerkleLeaf, "daruma v1 merkle leaf"),
            (HashContext::MerkleNode, "daruma v1 merkle node"),
            (HashContext::Report, "daruma v1 report"),
            (HashContext::ChainSpec, "daruma v1 chainspec"),
            (HashContext::StateKey, "daruma v1 state key"),
            (HashContext::StateTree, "daruma v1 state tree"),
            (HashContext::HealRecord, "daruma v1 heal record"),
        ] {
            let derived = blake3::Hasher::new_derive_key(name).update(b"x").finalize();
            assert_eq!(Hash::of(context, &[b"x"]).0, *derived.as_bytes(), "{name}");
        }
    }

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
