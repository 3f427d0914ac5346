//! Pages: four levels of the tree in one row.

use std::fmt;

use daruma_types::Hash;

use super::hashes::Hashing;

/// Children of a page: four levels of a binary tree.
pub(crate) const SLOTS: usize = 16;

/// Most pages on the way to a leaf: one per four bits of a key's hash.
pub(crate) const DEPTH_MAX: usize = 64;

/// The root of a state without entries, and the hash of every subtree without entries.
#[must_use]
pub const fn empty_state_root() -> Hash {
    Hash([0; 32])
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

    /// The path of the page below this one in slot `slot`, of which the low four bits count.
    pub(crate) fn below(&self, slot: u8) -> Self {
        let mut below = *self;
        let digit = usize::from(self.digits);
        if let Some(byte) = below.prefix.get_mut(digit / 2) {
            *byte |= if digit.is_multiple_of(2) { slot << 4 } else { slot & 0xf };
        }
        below.digits = self.digits.saturating_add(1).min(DEPTH_MAX as u8);
        below
    }

    /// The slot of this page that leads to `key`.
    pub(crate) fn slot(&self, key: &Hash) -> usize {
        let byte = key.0.get(usize::from(self.digits / 2)).copied().unwrap_or(0);
        usize::from(if self.digits.is_multiple_of(2) { byte >> 4 } else { byte & 0xf })
    }

    /// Whether `key` lies below the page.
    pub(crate) fn leads_to(&self, key: &Hash) -> bool {
        let whole = usize::from(self.digits / 2);
        let half = self.digits.is_multiple_of(2)
            || self.prefix.get(whole).copied() == key.0.get(whole).map(|byte| byte & 0xf0);
        half && self.prefix.get(..whole) == key.0.get(..whole)
    }

    /// The lowest hash of a key that may lie below the page.
    pub(crate) const fn first(&self) -> Hash {
        Hash(self.prefix)
    }

    /// The least hash above all those below the page, if there is one.
    pub(crate) fn after(&self) -> Option<Hash> {
        let mut next = self.prefix;
        for digit in (0..usize::from(self.digits)).rev() {
            let byte = next.get_mut(digit / 2)?;
            let (mask, one) = if digit.is_multiple_of(2) { (0xf0, 0x10) } else { (0x0f, 0x01) };
            if *byte & mask != mask {
                *byte += one;
                return Some(Hash(next));
            }
            *byte &= !mask;
        }
        None
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
    fn of_slot(slot: &Slot, hashing: &mut Hashing<'_>) -> Self {
        match slot {
            Slot::Empty => Self::Empty,
            Slot::Leaf { key, value } => Self::Leaf(hashing.leaf(key, value)),
            Slot::Page(hash) => Self::Node(*hash),
        }
    }

    fn join(left: Self, right: Self, hashing: &mut Hashing<'_>) -> Self {
        match (left, right) {
            (Self::Empty, Self::Empty) => Self::Empty,
            (Self::Leaf(leaf), Self::Empty) | (Self::Empty, Self::Leaf(leaf)) => Self::Leaf(leaf),
            (left, right) => Self::Node(hashing.node(&left.hash(), &right.hash())),
        }
    }

    fn of(slots: &[Slot], hashing: &mut Hashing<'_>) -> Self {
        match slots {
            [] => Self::Empty,
            [slot] => Self::of_slot(slot, hashing),
            _ => {
                let (left, right) = slots.split_at(slots.len() / 2);
                let (left, right) = (Self::of(left, hashing), Self::of(right, hashing));
                Self::join(left, right, hashing)
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
    Subtree::of(slots, &mut Hashing::with(None)).hash()
}

/// Four levels of the tree.
#[derive(Debug, Clone, Default)]
pub(crate) struct Page {
    slots: [Slot; SLOTS],
    /// What is known of the subtrees within the page: at 1 the whole of it, below `i` the halves at
    /// `2i` and `2i + 1`, and at [`SLOTS`] and after it the single slots. A block changes few slots of a
    /// page, and then only what is above them is hashed again.
    known: [Option<Subtree>; 2 * SLOTS],
}

impl PartialEq for Page {
    fn eq(&self, other: &Self) -> bool {
        self.slots == other.slots
    }
}

impl Eq for Page {}

impl Page {
    pub(crate) const fn slots(&self) -> &[Slot; SLOTS] {
        &self.slots
    }

    pub(crate) fn slot(&self, index: usize) -> Slot {
        self.slots.get(index).copied().unwrap_or_default()
    }

    /// Changes a slot; an index from [`SLOTS`] on is none.
    pub(crate) fn set(&mut self, index: usize, slot: Slot) {
        let Some(place) = self.slots.get_mut(index) else { return };
        if *place == slot {
            return;
        }
        *place = slot;
        let mut above = SLOTS + index;
        while let Some(known) = self.known.get_mut(above).filter(|_| above > 0) {
            *known = None;
            above /= 2;
        }
    }

    pub(crate) fn hash(&mut self, hashing: &mut Hashing<'_>) -> Hash {
        self.subtree(1, hashing).hash()
    }

    fn subtree(&mut self, at: usize, hashing: &mut Hashing<'_>) -> Subtree {
        if let Some(Some(known)) = self.known.get(at) {
            return *known;
        }
        let found = match at.checked_sub(SLOTS) {
            Some(index) => Subtree::of_slot(&self.slot(index), hashing),
            None => {
                let left = self.subtree(2 * at, hashing);
                let right = self.subtree(2 * at + 1, hashing);
                Subtree::join(left, right, hashing)
            }
        };
        if let Some(place) = self.known.get_mut(at) {
            *place = Some(found);
        }
        found
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
        let size = |slot: &Slot| match slot {
            Slot::Empty => 0,
            Slot::Leaf { .. } => 64,
            Slot::Page(_) => 32,
        };
        // Exactly: a store in memory keeps the bytes as they are.
        let mut bytes = Vec::with_capacity(4 + self.slots.iter().map(size).sum::<usize>());
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
            // Nothing is known of a new page, so nothing has to be forgotten.
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

    #[test]
    fn a_page_that_was_changed_has_the_hash_of_one_that_never_was_otherwise() {
        let mut page = Page::default();
        // A walk through pages with many and few slots in use.
        let mut state = 7_u32;
        for _ in 0..2_000 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let byte = (state >> 24) as u8;
            let slot = match state >> 8 & 7 {
                0 => Slot::Leaf { key: Hash([byte; 32]), value: Hash([1; 32]) },
                1 => Slot::Page(Hash([byte; 32])),
                _ => Slot::Empty,
            };
            page.set((state >> 16) as usize % SLOTS, slot);
            if state >> 12 & 3 == 0 {
                let hash = page.hash(&mut Hashing::with(None));
                assert_eq!(hash, subtree_hash(page.slots()));
            }
        }
    }

    #[test]
    fn a_page_goes_there_and_back_and_no_other_bytes_are_one() {
        let mut page = Page::default();
        page.set(3, Slot::Leaf { key: Hash([1; 32]), value: Hash([2; 32]) });
        page.set(15, Slot::Page(Hash([3; 32])));
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
            assert_eq!(path.below(path.slot(&key) as u8), path.towards(&key));
            path = path.towards(&key);
        }
        assert_eq!(path.row_key()[1..], key.0);
        assert_eq!(Path::ROOT.towards(&key).towards(&key).towards(&key).to_string(), "/112");
    }

    #[test]
    fn a_path_says_which_hashes_lie_below_it_and_which_comes_next() {
        let hash = |start: &[u8]| {
            let mut bytes = [0; 32];
            bytes[..start.len()].copy_from_slice(start);
            Hash(bytes)
        };
        let path = |digits: &[u8]| digits.iter().fold(Path::ROOT, |path, digit| path.below(*digit));
        assert!(Path::ROOT.leads_to(&hash(&[7])));
        assert_eq!((Path::ROOT.first(), Path::ROOT.after()), (hash(&[]), None));
        let odd = path(&[1, 2, 0xf]);
        assert_eq!((odd.first(), odd.after()), (hash(&[0x12, 0xf0]), Some(hash(&[0x13]))));
        assert!(odd.leads_to(&hash(&[0x12, 0xf7])) && !odd.leads_to(&hash(&[0x12, 0xe7])));
        assert!(!odd.leads_to(&hash(&[0x22, 0xf7])));
        let even = path(&[1, 2]);
        assert_eq!(even.after(), Some(hash(&[0x13])));
        assert!(even.leads_to(&hash(&[0x12, 0xff])) && !even.leads_to(&hash(&[0x13])));
        assert_eq!(path(&[0xf; 64]).after(), None);
        assert_eq!(path(&[0xf, 0xf, 0xf]).after(), None);
    }
}
