//! What must be on disk before it is said (DESIGN 4.2, durability).

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::codec::{Decode, Encode};
use crate::{Ballot, Block, Certificate, Hash, Height, View, ViewProof};

/// A statement that a restarted replica must never contradict. Durable before it is sent.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Promise {
    /// "I vote in no ballot below this view's."
    View {
        /// The view.
        view: View,
        /// 0 serving, 1 changing.
        #[cfg_attr(feature = "arbitrary", arbitrary(with = crate::from_bytes::phase))]
        phase: u8,
        /// Why the replica is there.
        proof: ViewProof,
    },
    /// "I vote in no ballot below this": what a report says where ballots are not views (the paper's
    /// view establishment, DESIGN 4.2). One that is lower by more than
    /// [`crate::limits::BALLOT_LEAP`] says that the one before was garbage, and takes its place.
    Floor {
        /// The ballot.
        ballot: Ballot,
    },
    /// "At this height I prepared this block in this ballot, and no other." Carries the block, so
    /// that a committed block survives the loss of power at all replicas at once.
    Prepare {
        /// The ballot.
        ballot: Ballot,
        /// The height.
        height: Height,
        /// The block's hash.
        hash: Hash,
        /// The block.
        block: Arc<Block>,
    },
    /// A block below one that was prepared, taken over from an earlier ballot: kept so that the
    /// whole chain survives, though no vote was cast for it in this ballot.
    Body {
        /// The block.
        block: Arc<Block>,
    },
    /// "This is the highest certificate I prepared"; what reports are made of.
    Prepared {
        /// The prepared certificate.
        certificate: Certificate,
    },
}

/// What a journal holds after a restart. Everything in it is checked again before it is used.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct RecoveredJournal {
    /// The last [`Promise::View`].
    pub view: Option<(View, u8, ViewProof)>,
    /// The last [`Promise::Floor`].
    pub floor: Option<Ballot>,
    /// For each height the last vote: ballot, height, hash.
    pub votes: Vec<(Ballot, Height, Hash)>,
    /// The bodies voted for, some perhaps of earlier ballots.
    pub blocks: Vec<Arc<Block>>,
    /// The highest prepared certificate.
    pub prepared: Option<Certificate>,
}
