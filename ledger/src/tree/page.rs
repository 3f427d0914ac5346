//! Pages: four levels of the tree in one row.

use std::fmt;
use std::sync::LazyLock;

use blake3::hazmat::HasherExt;
use daruma_types::Hash;

/// Children of a page: four levels of a binary tree.
pub(crate) const SLOTS: usize = 16;

/// Most pages on the way to a leaf: one per four bits of a key's hash.
pub(crate) const DEPTH_MAX: usize = 64;

/// What a digest of the tree is made of; its first byte, so that no kind passes for another.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Node = 0,
    Leaf = 1,
    Value = 2,
}

/// The context of [`daruma_types::HashContext::StateTree`], digested once: a page has up to thirty
/// hashes, and the context would take a third of the time of each.
static CONTEXT: LazyLock<blake3::hazmat::ContextKey> =
    LazyLock::new(|| blake3::hazmat::hash_derive_key_context("daruma v1 state tree"));

/// `Hash::of(HashContext::StateTree, [kind, parts...])`.
pub(crate) fn digest(kind: Kind, parts: &[&[u8]]) -> Hash {
    let mut hasher = blake3::Hasher::new_from_context_key(&CONTEXT);
    hasher.update(&[kind as u8]);
    for part in parts {
        hasher.update(part);
    }
    Hash(*hasher.finalize().as_bytes())
}

/// The root of a state without entries, and the hash of every subtree without entries.
#[must_use]
pub const fn empty_state_root() -> Hash {
    Hash([0; 32])
}

pub(crate) fn node_hash(left: &Hash, right: &Hash) -> Hash {
    digest(Kind::Node, &[&left.0, &right.0])
}

pub(crate) fn leaf_hash(key: &Hash, value: &Hash) -> Hash {
    digest(Kind::Leaf, &[&key.0, &value.0])
}

/// Where a page is: the hex digits that the hashes of all keys below it begin with.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Path {
    digits: u8,
    // The digits, and zeros.
    prefix: [u8; 32],
}

impl Path {
    pub(crate) const ROOT: Self = Self { digits: 0, prefix: [0; 32] };

    /// The path of the page below this one towards `key`.
    pub(crate) fn towards(&self, key: &Hash) -> Self {
        let digits = self.digits.saturating_add(1).min(DEPTH_MAX as u8);
        let mut prefix = [0; 32];
        for (index, (to, from)) in prefix.iter_mut().zip(&key.0).enumerate() {
            *to = match usize::from(digits).saturating_sub(2 * index) {
                0 => 0,
                1 => from & 0xf0,
                _ => *from,
            };
        }
        Self { digits, prefix }
    }

    /// The slot of this page that leads to `key`.
    pub(crate) fn slot(&self, key: &Hash) -> usize {
        let byte = key.0.get(usize::from(self.digits / 2)).copied().unwrap_or(0);
        usize::from(if self.digits.is_multiple_of(2) { byte >> 4 } else { byte & 0xf })
    }

    /// Digits in the path.
    pub(crate) fn depth(&self) -> usize {
        usize::from(self.digits)
    }

    /// The key of the page's row: the number of digits, then the digits, so that the pages of one
    /// level lie side by side in order of their keys.
    pub(crate) fn row_key(&self) -> Vec<u8> {
        let bytes = usize::from(self.digits).div_ceil(2);
        [&[self.digits], self.prefix.get(..bytes).unwrap_or_default()].concat()
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("/")?;
        let digits = self.prefix.iter().flat_map(|byte| [byte >> 4, byte & 0xf]);
        for digit in digits.take(self.depth()) {
            write!(f, "{digit:x}")?;
        }
        Ok(())
    }
}

/// One of a page's sixteen children.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Slot {
    /// No entry is below it.
    #[default]
    Empty,
    /// One entry is: the hashes of its key and of its value.
    Leaf { key: Hash, value: Hash },
    /// Two or more are; the hash of the page that holds them.
    Page(Hash),
}

/// A subtree, as its parent needs it.
#[derive(Debug, Clone, Copy)]
enum Subtree {
    Empty,
    Leaf(Hash),
    Node(Hash),
}

impl Subtree {
    fn of(slots: &[Slot]) -> Self {
        match slots {
            [] | [Slot::Empty] => Self::Empty,
            [Slot::Leaf { key, value }] => Self::Leaf(leaf_hash(key, value)),
            [Slot::Page(hash)] => Self::Node(*hash),
            _ => {
                let (left, right) = slots.split_at(slots.len() / 2);
                match (Self::of(left), Self::of(right)) {
                    (Self::Empty, Self::Empty) => Self::Empty,
                    (Self::Leaf(leaf), Self::Empty) | (Self::Empty, Self::Leaf(leaf)) => {
                        Self::Leaf(leaf)
                    }
                    (left, right) => Self::Node(node_hash(&left.hash(), &right.hash())),
                }
            }
        }
    }

    const fn hash(self) -> Hash {
        match self {
            Self::Empty => empty_state_root(),
            Self::Leaf(hash) | Self::Node(hash) => hash,
        }
    }
}

/// The hash of the subtree over some neighbouring slots (a power of two of them).
pub(crate) fn subtree_hash(slots: &[Slot]) -> Hash {
    Subtree::of(slots).hash()
}

/// Four levels of the tree.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Page {
    pub(crate) slots: [Slot; SLOTS],
}

impl Page {
    pub(crate) fn hash(&self) -> Hash {
        subtree_hash(&self.slots)
    }

    /// What the slot above this page holds: a page with less than two entries is none.
    pub(crate) fn collapsed(&self) -> Option<Slot> {
        let mut found = Slot::Empty;
        for slot in &self.slots {
            match (slot, found) {
                (Slot::Empty, _) => {}
                (Slot::Leaf { .. }, Slot::Empty) => found = *slot,
                (Slot::Leaf { .. }, Slot::Leaf { .. } | Slot::Page(_)) | (Slot::Page(_), _) => {
                    return None;
                }
            }
        }
        Some(found)
    }

    /// Two bits per slot say what it is; then its one or two hashes, slot by slot.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut kinds = 0_u32;
        let mut bytes = Vec::with_capacity(4 + SLOTS * 64);
        bytes.extend_from_slice(&[0; 4]);
        for (index, slot) in self.slots.iter().enumerate() {
            let kind = match slot {
                Slot::Empty => 0,
                Slot::Leaf { key, value } => {
                    bytes.extend_from_slice(&key.0);
                    bytes.extend_from_slice(&value.0);
                    1
                }
                Slot::Page(hash) => {
                    bytes.extend_from_slice(&hash.0);
                    2
                }
            };
            kinds |= kind << (2 * index);
        }
        if let Some(head) = bytes.first_chunk_mut() {
            *head = kinds.to_le_bytes();
        }
        bytes
    }

    /// The inverse of [`Self::encode`].
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (kinds, mut rest) = bytes.split_first_chunk::<4>()?;
        let mut kinds = u32::from_le_bytes(*kinds);
        let mut take = || {
            let (hash, after) = rest.split_first_chunk::<32>()?;
            rest = after;
            Some(Hash(*hash))
        };
        let mut page = Self::default();
        for slot in &mut page.slots {
            *slot = match kinds & 3 {
                0 => Slot::Empty,
                1 => Slot::Leaf { key: take()?, value: take()? },
                2 => Slot::Page(take()?),
                _ => return None,
            };
            kinds >>= 2;
        }
        rest.is_empty().then_some(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use daruma_types::HashContext;

    #[test]
    fn the_tree_hashes_in_its_own_context_and_each_kind_apart() {
        for kind in [Kind::Node, Kind::Leaf, Kind::Value] {
            let slow = Hash::of(HashContext::StateTree, &[&[kind as u8], b"one", b"two"]);
            assert_eq!(digest(kind, &[b"one", b"two"]), slow);
        }
        assert_ne!(digest(Kind::Node, &[b"x"]), digest(Kind::Leaf, &[b"x"]));
    }

    #[test]
    fn a_page_goes_there_and_back_and_no_other_bytes_are_one() {
        let mut page = Page::default();
        page.slots[3] = Slot::Leaf { key: Hash([1; 32]), value: Hash([2; 32]) };
        page.slots[15] = Slot::Page(Hash([3; 32]));
        let bytes = page.encode();
        assert_eq!(Page::decode(&bytes), Some(page));
        assert_eq!(Page::decode(&bytes[..bytes.len() - 1]), None);
        assert_eq!(Page::decode(&[bytes.as_slice(), &[0]].concat()), None);
        assert_eq!(Page::decode(&[0xff; 4]), None);
        assert_eq!(Page::decode(&[]), None);
    }

    #[test]
    fn a_path_holds_the_digits_of_its_keys_and_nothing_else() {
        let key = Hash(std::array::from_fn(|i| 0x11 * (i as u8 % 15 + 1)));
        let mut path = Path::ROOT;
        for depth in 0..DEPTH_MAX {
            assert_eq!((path.depth(), path.row_key().len()), (depth, 1 + depth.div_ceil(2)));
            assert_eq!(path.slot(&key), depth / 2 % 15 + 1);
            path = path.towards(&key);
        }
        assert_eq!(path.row_key()[1..], key.0);
        assert_eq!(Path::ROOT.towards(&key).towards(&key).towards(&key).to_string(), "/112");
    }
}
