//! Receipts: what became of each transaction of a block (DESIGN 3).

use alloc::string::String;
use alloc::vec::Vec;

use crate::codec::{Decode, Encode};
use crate::{Hash, HashContext, Height, codec, limits};

/// What executing one transaction came to.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Outcome {
    /// The automaton applied it.
    Executed {
        /// The automaton's reply, in its own encoding.
        #[cfg_attr(feature = "arbitrary", arbitrary(with = crate::from_bytes::bytes))]
        reply: Vec<u8>,
    },
    /// The automaton refused it, and its writes were rolled back. The nonce is used up.
    Aborted {
        /// The automaton's number for the reason.
        code: u32,
        /// The reason, for people.
        reason: String,
    },
    /// The client had executed this or a larger nonce before; nothing was done.
    Superseded {
        /// The client's last executed nonce.
        #[cfg_attr(feature = "arbitrary", arbitrary(with = crate::from_bytes::number))]
        last_nonce: u64,
    },
}

impl Outcome {
    /// An executed outcome with the reply cut to [`limits::REPLY_BYTES_MAX`].
    #[must_use]
    pub fn executed(mut reply: Vec<u8>) -> Self {
        reply.truncate(limits::REPLY_BYTES_MAX);
        Self::Executed { reply }
    }

    /// An abort with the reason cut to [`limits::REPLY_BYTES_MAX`].
    #[must_use]
    pub fn aborted(code: u32, mut reason: String) -> Self {
        let mut end = reason.len().min(limits::REPLY_BYTES_MAX);
        while !reason.is_char_boundary(end) {
            end = end.saturating_sub(1);
        }
        reason.truncate(end);
        Self::Aborted { code, reason }
    }
}

/// What became of one transaction. Equal on all correct replicas.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Receipt {
    /// The transaction's name.
    pub transaction: Hash,
    /// The block's height.
    pub height: Height,
    /// Position in the block.
    #[cfg_attr(feature = "arbitrary", arbitrary(with = crate::from_bytes::number))]
    pub index: u32,
    /// What it came to.
    pub outcome: Outcome,
}

impl Receipt {
    /// The receipt's leaf in the block's receipt tree.
    #[must_use]
    pub fn leaf(&self) -> Hash {
        Hash::of(HashContext::MerkleLeaf, &[b"receipt", &codec::encode(self)])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let reason = "é".repeat(limits::REPLY_BYTES_MAX);
        let Outcome::Aborted { reason, .. } = Outcome::aborted(1, "a".to_string() + &reason) else {
            panic!("not an abort");
        };
        assert_eq!(reason.len(), limits::REPLY_BYTES_MAX - 1);
    }
}
