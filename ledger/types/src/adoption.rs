//! What a ledger finds when it is asked to leave its chain for another certified one (DESIGN 4.2,
//! conflict).

use crate::Height;

/// What became of blocks that were given as part of another chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adoption {
    /// All of them are the ledger's own, up to here: if the chains part, they do so above.
    Same {
        /// The highest height compared.
        to: Height,
    },
    /// None of them is the ledger's own, nor the block below them: the chains part below this height.
    Below {
        /// The height of the first block.
        from: Height,
    },
    /// The chains part here, support is equal, and the ledger's own certificate ranks higher.
    Kept,
    /// The ledger gave up its blocks above this height for those that were given; what follows them is
    /// fetched like any block.
    Adopted {
        /// Where the chains part.
        to: Height,
    },
}
