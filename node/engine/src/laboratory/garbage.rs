//! Where arbitrary values come from: a seed, and what an earlier history left behind.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;
use core::fmt::Debug;

use daruma_types::{Hash, ReplicaId, Signature};

use super::Dictionary;

/// Which variables are set. The others stay as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// All of every module.
    All,
    /// Each by chance, with so many per mille: some faults hide what others would show.
    Some(u32),
    /// Those whose name begins so: a module (`"pool."`), or one variable.
    Named(&'static str),
}

/// What values are made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Values {
    /// Of everything: near thresholds, small, extreme; real, forged, and real with one change.
    Mixed,
    /// Real ones of the history, each unchanged, in places where they do not belong.
    Replayed,
    /// The largest of every type.
    Largest,
    /// The smallest of every type, and nothing held.
    Zero,
    /// Numbers that are so much less than the largest of their type; all else as in [`Self::Mixed`].
    Below(u8),
}

/// A deterministic source of arbitrary values.
#[derive(Debug)]
pub struct Garbage<'a> {
    state: u64,
    scope: Scope,
    values: Values,
    pub(crate) dictionary: &'a Dictionary,
    pub(crate) replicas: usize,
    /// How often each variable was set, and how often that changed it.
    set: BTreeMap<&'static str, (u32, u32)>,
    /// Whether changes are counted; that takes time.
    watching: bool,
}

impl<'a> Garbage<'a> {
    /// Equal arguments give equal garbage. `replicas` is the size of the committee.
    #[must_use]
    pub const fn new(
        seed: u64,
        scope: Scope,
        values: Values,
        dictionary: &'a Dictionary,
        replicas: usize,
    ) -> Self {
        Self {
            state: seed,
            scope,
            values,
            dictionary,
            replicas,
            set: BTreeMap::new(),
            watching: false,
        }
    }

    /// Counts from now on which variables really change.
    #[must_use]
    pub const fn watching(mut self) -> Self {
        self.watching = true;
        self
    }

    /// The variables met so far, and for each how often it was set and, if watched, how often that
    /// changed it.
    #[must_use]
    pub const fn variables(&self) -> &BTreeMap<&'static str, (u32, u32)> {
        &self.set
    }

    /// Sets one variable, if it is among those to be set.
    pub(crate) fn set<T: Debug>(
        &mut self,
        name: &'static str,
        place: &mut T,
        make: impl FnOnce(&mut Self) -> T,
    ) {
        let chosen = match self.scope {
            Scope::All => true,
            Scope::Some(per_mille) => self.below(1000) < u64::from(per_mille),
            Scope::Named(prefix) => name.starts_with(prefix),
        };
        let (set, changed) = self.set.get(name).copied().unwrap_or_default();
        if !chosen {
            self.set.insert(name, (set, changed));
            return;
        }
        let before = self.watching.then(|| format!("{place:?}"));
        *place = make(self);
        let differs = before.is_some_and(|before| before != format!("{place:?}"));
        self.set.insert(name, (set.saturating_add(1), changed.saturating_add(u32::from(differs))));
    }

    /// The next 64 bits (`SplitMix64`).
    pub(crate) const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// Below `bound`; 0 if that is 0.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next().checked_rem(bound).unwrap_or(0)
    }

    /// True in so many of a hundred cases, whatever the values are made of.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(crate) const fn values(&self) -> Values {
        self.values
    }

    /// A number: near one of `near`, small, or extreme.
    pub(crate) fn number(&mut self, near: &[u64]) -> u64 {
        match self.values {
            Values::Largest => return u64::MAX,
            Values::Zero => return 0,
            Values::Replayed => return self.pick(near).copied().unwrap_or(0),
            Values::Below(less) => return u64::MAX.saturating_sub(less.into()),
            Values::Mixed => {}
        }
        match self.below(10) {
            0..=4 => {
                let middle = self.pick(near).copied().unwrap_or(0);
                middle.wrapping_add(self.below(5)).wrapping_sub(2)
            }
            5 | 6 => self.below(10),
            7 => self.below(1 << 20),
            8 => {
                let extreme = [0, 1, 1 << 32, (1 << 63) - 5, (1 << 63) - 1, u64::MAX - 1, u64::MAX];
                self.pick(&extreme).copied().unwrap_or(0)
            }
            _ => self.next(),
        }
    }

    /// The same, cut to 32 bits without losing the largest.
    pub(crate) fn small_number(&mut self, near: &[u64]) -> u32 {
        let number = self.number(near);
        if number == u64::MAX { u32::MAX } else { number as u32 }
    }

    pub(crate) fn flag(&mut self) -> bool {
        match self.values {
            Values::Largest => true,
            Values::Zero => false,
            Values::Mixed | Values::Replayed | Values::Below(_) => self.next() & 1 == 1,
        }
    }

    /// How many entries a collection gets: none, a few, as many as it may hold, or one more.
    pub(crate) fn size(&mut self, bound: usize) -> usize {
        match self.values {
            Values::Largest => return bound.saturating_add(1),
            Values::Zero => return 0,
            Values::Mixed | Values::Replayed | Values::Below(_) => {}
        }
        match self.below(12) {
            0 | 1 => 0,
            2..=8 => self.below(bound.min(6) as u64 + 1) as usize,
            9 | 10 => bound,
            _ => bound.saturating_add(1),
        }
    }

    /// An array that has an entry for each replica: nearly always of the right length.
    pub(crate) fn each<T>(&mut self, mut make: impl FnMut(&mut Self, ReplicaId) -> T) -> Vec<T> {
        let values = self.values;
        let length = match values {
            Values::Zero => 0,
            Values::Largest => self.replicas.saturating_add(1),
            Values::Mixed if self.chance(6) => self.size(self.replicas),
            Values::Mixed | Values::Replayed | Values::Below(_) => self.replicas,
        };
        (0..length).map(|index| make(self, ReplicaId(index as u16))).collect()
    }

    /// Something or nothing.
    pub(crate) fn maybe<T>(&mut self, make: impl FnOnce(&mut Self) -> Option<T>) -> Option<T> {
        match self.values {
            Values::Zero => None,
            Values::Largest => make(self),
            Values::Mixed | Values::Replayed | Values::Below(_) => {
                self.chance(60).then(|| make(self)).flatten()
            }
        }
    }

    pub(crate) fn pick<'b, T>(&mut self, of: &'b [T]) -> Option<&'b T> {
        of.get(self.below(of.len() as u64) as usize)
    }

    pub(crate) fn replica(&mut self) -> ReplicaId {
        let values = self.values;
        match values {
            Values::Largest => ReplicaId(u16::MAX),
            Values::Zero => ReplicaId(0),
            Values::Mixed if self.chance(10) => {
                ReplicaId(self.replicas.saturating_add(self.below(3) as usize) as u16)
            }
            Values::Mixed | Values::Replayed | Values::Below(_) => {
                ReplicaId(self.below(self.replicas as u64) as u16)
            }
        }
    }

    /// One of a small palette, so that equal ones meet: of the history, or made up.
    pub(crate) fn hash(&mut self) -> Hash {
        match self.values {
            Values::Largest => return Hash([255; 32]),
            Values::Zero => return Hash::default(),
            Values::Mixed | Values::Replayed | Values::Below(_) => {}
        }
        let dictionary = self.dictionary;
        match self.pick(&dictionary.blocks) {
            Some(block) if self.values == Values::Replayed || self.chance(70) => block.hash(),
            Some(_) | None => Hash([self.below(4) as u8; 32]),
        }
    }

    pub(crate) fn signature(&mut self) -> Signature {
        let dictionary = self.dictionary;
        match self.pick(&dictionary.votes) {
            Some((_, vote)) if self.chance(50) => vote.signature,
            Some(_) | None => Signature([self.below(4) as u8; 64]),
        }
    }
}
