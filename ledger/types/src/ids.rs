//! Identifiers and counters, each a type of its own so that they cannot be mixed up.

use core::fmt;

use crate::Hash;
use crate::codec::{Decode, Encode};

macro_rules! counter {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode,
        )]
        pub struct $name(pub u64);

        impl $name {
            /// The next one; stays at the largest value instead of wrapping.
            #[must_use]
            pub const fn next(self) -> Self {
                Self(self.0.saturating_add(1))
            }

            /// The one before; stays at zero.
            #[must_use]
            pub const fn previous(self) -> Self {
                Self(self.0.saturating_sub(1))
            }

            /// `self + by`, saturating.
            #[must_use]
            pub const fn plus(self, by: u64) -> Self {
                Self(self.0.saturating_add(by))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

counter!(
    /// Position in the chain; the genesis, which has no block, is height 0.
    Height
);
counter!(
    /// Number of a view; its primary is replica `view mod n` (DESIGN 4.1).
    View
);
counter!(
    /// The round in which votes are cast; its primary is replica `ballot mod n` (DESIGN 4.2).
    Ballot
);

impl Ballot {
    /// The ballot of `view` under the certified view establishment, where the two are one number
    /// (DESIGN 4.2).
    #[inline]
    #[must_use]
    pub const fn of_view(view: View) -> Self {
        Self(view.0)
    }
}

/// A replica's position in the chainspec, `0..n`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct ReplicaId(pub u16);

impl ReplicaId {
    /// As an index into an array of `n`.
    #[inline]
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.0)
    }
}

/// Identity of a chain: the hash of its chainspec. Every signature covers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct ChainId(pub Hash);

impl fmt::Display for ChainId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
