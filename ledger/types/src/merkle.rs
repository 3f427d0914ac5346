//! Merkle trees over a block's transactions and receipts.
//!
//! The shape is RFC 6962's: the left half holds the largest power of two of leaves that is smaller
//! than the number of leaves. Leaves and inner nodes are hashed in different contexts, and the
//! number of leaves is part of what a proof is checked against, so no leaf passes for a node.

use alloc::vec::Vec;

use crate::codec::{Decode, Encode};
use crate::{Hash, HashContext};

fn node(left: &Hash, right: &Hash) -> Hash {
    Hash::of(HashContext::MerkleNode, &[&left.0, &right.0])
}

fn leaf(hash: &Hash) -> Hash {
    Hash::of(HashContext::MerkleLeaf, &[b"leaf", &hash.0])
}

/// Leaves of the left half of `count >= 2` leaves.
const fn left_half(count: usize) -> usize {
    count.next_power_of_two() / 2
}

/// Root of the tree over `leaves`; of none, the hash of nothing.
#[must_use]
pub fn merkle_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::of(HashContext::MerkleNode, &[]),
        [only] => leaf(only),
        _ => {
            let (left, right) = leaves.split_at(left_half(leaves.len()));
            node(&merkle_root(left), &merkle_root(right))
        }
    }
}

/// That one leaf stands at one position of a tree.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct MerkleProof {
    /// The leaf's position.
    #[cfg_attr(feature = "arbitrary", arbitrary(with = crate::from_bytes::number))]
    pub index: u32,
    /// Leaves in the tree.
    #[cfg_attr(feature = "arbitrary", arbitrary(with = crate::from_bytes::number))]
    pub count: u32,
    /// The hashes beside the path, from the leaf up.
    pub siblings: Vec<Hash>,
}

impl MerkleProof {
    /// The proof for `leaves[index]`; nothing if there is no such leaf.
    #[must_use]
    pub fn build(leaves: &[Hash], index: usize) -> Option<Self> {
        if index >= leaves.len() {
            return None;
        }
        let mut siblings = Vec::new();
        let (mut rest, mut position) = (leaves, index);
        while rest.len() > 1 {
            let (left, right) = rest.split_at(left_half(rest.len()));
            if position < left.len() {
                siblings.push(merkle_root(right));
                rest = left;
            } else {
                siblings.push(merkle_root(left));
                position -= left.len();
                rest = right;
            }
        }
        siblings.reverse();
        let index = u32::try_from(index).ok()?;
        Some(Self { index, count: u32::try_from(leaves.len()).ok()?, siblings })
    }

    /// Whether `hash` is the leaf at [`Self::index`] of the tree with `root`.
    #[must_use]
    pub fn verify(&self, hash: &Hash, root: &Hash) -> bool {
        let (mut position, mut count) = (self.index as usize, self.count as usize);
        if position >= count {
            return false;
        }
        // The turns from the root down to the leaf; siblings are stored the other way round.
        let mut turns_right = Vec::new();
        while count > 1 {
            let left = left_half(count);
            let right = position >= left;
            turns_right.push(right);
            if right {
                position -= left;
                count -= left;
            } else {
                count = left;
            }
        }
        if turns_right.len() != self.siblings.len() {
            return false;
        }
        let mut hash = leaf(hash);
        for (right, sibling) in turns_right.iter().rev().zip(&self.siblings) {
            hash = if *right { node(sibling, &hash) } else { node(&hash, sibling) };
        }
        hash == *root
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(count: u8) -> Vec<Hash> {
        (0..count).map(|i| Hash([i; 32])).collect()
    }

    #[test]
    fn every_leaf_of_every_size_is_proved_at_its_own_position_only() {
        for count in 1..=20_u8 {
            let leaves = leaves(count);
            let root = merkle_root(&leaves);
            for index in 0..leaves.len() {
                let proof = MerkleProof::build(&leaves, index).unwrap();
                assert!(proof.verify(&leaves[index], &root));
                for other in (0..leaves.len()).filter(|other| *other != index) {
                    assert!(!proof.verify(&leaves[other], &root));
                    let moved = MerkleProof { index: other as u32, ..proof.clone() };
                    assert!(!moved.verify(&leaves[index], &root), "{count} {index} {other}");
                }
            }
        }
    }

    #[test]
    fn a_flipped_bit_anywhere_in_a_proof_is_noticed() {
        let leaves = leaves(7);
        let root = merkle_root(&leaves);
        let proof = MerkleProof::build(&leaves, 5).unwrap();
        for sibling in 0..proof.siblings.len() {
            for bit in 0..256 {
                let mut bad = proof.clone();
                bad.siblings[sibling].0[bit / 8] ^= 1 << (bit % 8);
                assert!(!bad.verify(&leaves[5], &root));
            }
        }
        let mut longer = proof.clone();
        longer.siblings.push(Hash([0; 32]));
        assert!(!longer.verify(&leaves[5], &root));
    }

    #[test]
    fn order_and_number_of_leaves_change_the_root() {
        let mut swapped = leaves(4);
        swapped.swap(1, 2);
        assert_ne!(merkle_root(&swapped), merkle_root(&leaves(4)));
        assert_ne!(merkle_root(&leaves(3)), merkle_root(&leaves(4)));
        assert!(MerkleProof::build(&leaves(3), 3).is_none());
    }
}
