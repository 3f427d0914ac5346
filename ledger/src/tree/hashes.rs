//! Hashes of the tree's nodes, and a memory of them for several ledgers of one chain.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use daruma_types::{Hash, HashContext};

use crate::limits;

/// What a digest of the tree is made of; its first byte, so that no kind passes for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Node = 0,
    Leaf = 1,
    Value = 2,
}

fn pair(kind: Kind, first: &Hash, second: &Hash) -> Hash {
    Hash::of(HashContext::StateTree, &[&[kind as u8], &first.0, &second.0])
}

pub(crate) fn node_hash(left: &Hash, right: &Hash) -> Hash {
    pair(Kind::Node, left, right)
}

pub(crate) fn leaf_hash(key: &Hash, value: &Hash) -> Hash {
    pair(Kind::Leaf, key, value)
}

/// The hash of a value, as leaves hold it.
pub(crate) fn value_hash(value: &[u8]) -> Hash {
    Hash::of(HashContext::StateTree, &[&[Kind::Value as u8], value])
}

/// Remembers hashes of nodes for several ledgers in one process that execute the same blocks, as the
/// replicas of a simulated chain do: the first to get there hashes, the others look up what two equal
/// hashes were hashed to. A node, which has one ledger, does without.
pub struct TreeHashes {
    known: Mutex<Vec<Option<Known>>>,
}

#[derive(Clone, Copy)]
struct Known {
    kind: Kind,
    first: Hash,
    second: Hash,
    hash: Hash,
}

impl TreeHashes {
    /// Knows nothing yet; it takes what [`limits::TREE_HASHES`] says.
    #[must_use]
    pub fn new() -> Self {
        Self { known: Mutex::new(vec![None; limits::TREE_HASHES]) }
    }
}

impl Default for TreeHashes {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for TreeHashes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TreeHashes").finish_non_exhaustive()
    }
}

/// Hashes nodes during one update, from memory where there is one.
pub(crate) struct Hashing<'a> {
    known: Option<MutexGuard<'a, Vec<Option<Known>>>>,
}

impl<'a> Hashing<'a> {
    pub(crate) fn with(shared: Option<&'a TreeHashes>) -> Self {
        // An entry is written whole, so a panic elsewhere leaves the table sound.
        let lock = |shared: &'a TreeHashes| shared.known.lock();
        Self { known: shared.map(|s| lock(s).unwrap_or_else(PoisonError::into_inner)) }
    }

    pub(crate) fn node(&mut self, left: &Hash, right: &Hash) -> Hash {
        self.pair(Kind::Node, left, right)
    }

    pub(crate) fn leaf(&mut self, key: &Hash, value: &Hash) -> Hash {
        self.pair(Kind::Leaf, key, value)
    }

    fn pair(&mut self, kind: Kind, first: &Hash, second: &Hash) -> Hash {
        // Digests are evenly spread, so some bytes of them are as good a place as any; a later pair
        // with the same place takes it over.
        let place = (first.short() ^ second.short()) as usize % limits::TREE_HASHES;
        let Some(known) = self.known.as_mut().and_then(|known| known.get_mut(place)) else {
            return pair(kind, first, second);
        };
        match known {
            Some(found)
                if found.kind == kind && found.first == *first && found.second == *second =>
            {
                found.hash
            }
            Some(_) | None => {
                let hash = pair(kind, first, second);
                *known = Some(Known { kind, first: *first, second: *second, hash });
                hash
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_a_leaf_and_a_value_of_the_same_bytes_hash_apart() {
        let (a, b) = (Hash([1; 32]), Hash([2; 32]));
        let value = value_hash(&[a.0, b.0].concat());
        assert_ne!(node_hash(&a, &b), leaf_hash(&a, &b));
        assert_ne!(node_hash(&a, &b), value);
        assert_ne!(leaf_hash(&a, &b), value);
    }

    #[test]
    fn what_is_remembered_is_what_is_hashed_also_where_pairs_share_a_place() {
        let shared = TreeHashes::new();
        let mut hashing = Hashing::with(Some(&shared));
        let hash = |byte: u8| Hash([byte; 32]);
        for _ in 0..2 {
            for (a, b) in [(1, 2), (2, 1), (3, 3), (4, 4), (1, 2), (0, 0)] {
                let (a, b) = (hash(a), hash(b));
                assert_eq!(hashing.node(&a, &b), node_hash(&a, &b));
                assert_eq!(hashing.leaf(&a, &b), leaf_hash(&a, &b));
            }
        }
    }
}
