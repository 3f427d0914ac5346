//! What can go wrong with a ledger.

use daruma_store::StoreError;
use daruma_types::{ChainId, Hash, Height};

/// Why a block was not executed, or a question not answered. Nothing was changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LedgerError {
    /// The store failed, or holds a row that is damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The block is not the one above the head.
    #[error("block {found} cannot be executed: the head is {head}, so the next is {}", head.next())]
    NotNext {
        /// The block's height.
        found: Height,
        /// The head's.
        head: Height,
    },
    /// The block extends another one than the head.
    #[error("block {height} extends {found}; the head is {head}")]
    Parent {
        /// The block's height.
        height: Height,
        /// Its parent's hash.
        found: Hash,
        /// The head's hash.
        head: Hash,
    },
    /// The certificate is none for the block.
    #[error("the certificate of block {height} does not commit it, but another block or step")]
    Certificate {
        /// The block's height.
        height: Height,
    },
    /// The store holds another chain.
    #[error("the store holds chain {found}, not {expected}; check chainspec and data folder")]
    OtherChain {
        /// The chain of the stored head.
        found: ChainId,
        /// The chain wanted.
        expected: ChainId,
    },
    /// What is stored does not fit together: rows are missing, or do not hash to their names.
    #[error("the stored ledger is damaged at height {height}: {what}")]
    Damaged {
        /// The head's height.
        height: Height,
        /// What does not fit.
        what: String,
    },
    /// A snapshot cannot be made, read or written. The ledger itself is as it should be.
    #[error("the snapshot at height {height}: {why}")]
    Snapshot {
        /// The snapshot's height.
        height: Height,
        /// What does not work.
        why: String,
    },
    /// The block was pruned, or lies below the snapshot that this ledger began with.
    #[error(
        "block {height} is not kept here: the first one kept is {earliest}; ask another replica"
    )]
    Pruned {
        /// The height asked for.
        height: Height,
        /// The lowest height whose block is kept.
        earliest: Height,
    },
    /// A snapshot is being restored, so that there is no state to execute on.
    #[error("the state at height {height} is being restored from a snapshot; blocks come after it")]
    Restoring {
        /// The snapshot's height.
        height: Height,
    },
}

impl LedgerError {
    /// Whether the block given is to blame, and not the ledger: an engine whose memory is wrong may
    /// give any block.
    #[must_use]
    pub const fn refuses_block(&self) -> bool {
        match self {
            Self::NotNext { .. }
            | Self::Parent { .. }
            | Self::Certificate { .. }
            | Self::OtherChain { .. }
            | Self::Restoring { .. } => true,
            Self::Store(_) | Self::Damaged { .. } | Self::Snapshot { .. } | Self::Pruned { .. } => {
                false
            }
        }
    }

    /// Whether something stored is damaged: then the ledger is to be checked again, which repairs it.
    #[must_use]
    pub const fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::Store(StoreError::Damaged { .. }))
    }
}
