//! Proofs that an entry is in the state, or that a key has none.

use daruma_types::Hash;
use daruma_types::codec::{Decode, Encode};

use super::hashes::{leaf_hash, node_hash, value_hash};
use super::page::{DEPTH_MAX, SLOTS, empty_state_root, subtree_hash};
use super::{Page, Pages, Path, Slot, damaged};
use crate::{LedgerError, StateKey};

/// A leaf of the state tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct StateLeaf {
    /// Hash of the entry's key.
    pub key: Hash,
    /// Hash of its value.
    pub value: Hash,
}

/// What leads from one entry, or from the place where it would be, to the state root.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct StateProof {
    /// For a key without entry: the entry that stands alone where it would be, if there is one.
    pub neighbour: Option<StateLeaf>,
    /// The hashes beside the path, from the leaf up.
    pub siblings: Vec<Hash>,
}

/// Whether `key` has the value `value`, or no entry for `None`, in the state with this root.
#[must_use]
pub fn verify_state_proof(
    root: &Hash,
    key: &StateKey,
    value: Option<&[u8]>,
    proof: &StateProof,
) -> bool {
    let key = key.hash();
    let depth = proof.siblings.len();
    if depth > 8 * key.0.len() {
        return false;
    }
    let mut hash = match (value, &proof.neighbour) {
        (Some(value), None) => leaf_hash(&key, &value_hash(value)),
        (None, None) => empty_state_root(),
        (None, Some(leaf)) => {
            let beside = (0..depth).all(|level| bit(&leaf.key, level) == bit(&key, level));
            if leaf.key == key || !beside {
                return false;
            }
            leaf_hash(&leaf.key, &leaf.value)
        }
        (Some(_), Some(_)) => return false,
    };
    for (level, sibling) in (0..depth).rev().zip(&proof.siblings) {
        hash = if bit(&key, level) { node_hash(sibling, &hash) } else { node_hash(&hash, sibling) };
    }
    hash == *root
}

/// Bit `level` of a hash, from the first one: whether the path turns right there.
fn bit(hash: &Hash, level: usize) -> bool {
    hash.0.get(level / 8).is_some_and(|byte| byte >> (7 - level % 8) & 1 == 1)
}

/// The proof for `key` in the tree in `pages`.
pub(crate) fn prove(pages: &dyn Pages, key: &StateKey) -> Result<StateProof, LedgerError> {
    let key = key.hash();
    let mut path = Path::ROOT;
    let mut page = pages.page(&path)?.unwrap_or_default();
    // From the root down; turned round at the end.
    let mut siblings = Vec::new();
    let neighbour = loop {
        let slot = descend(&page, &path, &key, &mut siblings);
        match slot {
            Slot::Empty => break None,
            Slot::Leaf { key: other, value } => {
                break (other != key).then_some(StateLeaf { key: other, value });
            }
            Slot::Page(_) if path.depth() < DEPTH_MAX => {
                path = path.towards(&key);
                page = pages.page(&path)?.ok_or_else(|| damaged(&path, "is missing"))?;
            }
            Slot::Page(_) => return Err(damaged(&path, "is deeper than a key is long")),
        }
    };
    siblings.reverse();
    Ok(StateProof { neighbour, siblings })
}

/// Walks through one page towards `key`, as far as there are two entries, and notes the hashes
/// beside the way. Returns what is at its end.
fn descend(page: &Page, path: &Path, key: &Hash, siblings: &mut Vec<Hash>) -> Slot {
    let mut slots: &[Slot] = page.slots();
    let mut position = path.slot(key);
    debug_assert_eq!(slots.len(), SLOTS);
    while slots.len() > 1 {
        let mut filled = slots.iter().filter(|slot| **slot != Slot::Empty);
        match (filled.next(), filled.next()) {
            (None, _) => return Slot::Empty,
            (Some(leaf @ Slot::Leaf { .. }), None) => return *leaf,
            (Some(_), _) => {}
        }
        let (left, right) = slots.split_at(slots.len() / 2);
        if position < left.len() {
            siblings.push(subtree_hash(right));
            slots = left;
        } else {
            siblings.push(subtree_hash(left));
            position -= left.len();
            slots = right;
        }
    }
    slots.first().copied().unwrap_or_default()
}
