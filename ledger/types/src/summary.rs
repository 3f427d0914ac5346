//! Summaries: a replica's whole situation in one bounded message, repeated for ever (DESIGN 4.6).

use alloc::vec::Vec;

use crate::codec::{Decode, Encode};
use crate::{Ballot, Hash, Height, SignerSet, View};

/// The thesis's `vStatus` (2.6.3, algorithm 4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum VStatus {
    /// The primary is served.
    #[default]
    Ok,
    /// `n-2f` demand a change: the replica stopped serving and joined them.
    NoService,
    /// `n-f` demand a change: the view establishment moves.
    VChange,
}

/// Primary monitoring as seen from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct MonitorReport {
    /// Service or view change.
    pub status: VStatus,
    /// Whether this replica suspects the primary of its view.
    pub suspects: bool,
    /// Whose demands to leave its view it holds.
    pub demands: SignerSet,
}

/// One height in flight, in the sender's ballot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct SlotLine {
    /// The height.
    pub height: Height,
    /// First bytes of the accepted block's hash; 0 for none.
    #[cfg_attr(feature = "arbitrary", arbitrary(with = crate::from_bytes::number))]
    pub short: u32,
    /// Whether a block was accepted there.
    pub accepted: bool,
    /// Whose prepares for that block are held.
    pub prepares: SignerSet,
    /// Whose commits for that block are held.
    pub commits: SignerSet,
}

/// Where a replica stands. Its reader sends it what it visibly lacks. The authenticated connection
/// says whose it is; nobody forwards a summary, so it bears no signature.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Summary {
    /// The view.
    pub view: View,
    /// 0 serving, 1 changing.
    #[cfg_attr(feature = "arbitrary", arbitrary(with = crate::from_bytes::phase))]
    pub phase: u8,
    /// Whose reports for the view are held (phase 1, or a primary without new-view).
    pub reports: SignerSet,
    /// The ballot votes are cast in.
    pub ballot: Ballot,
    /// Whether the ballot's new-view was adopted (always so for ballot 0).
    pub active: bool,
    /// Height of the committed head.
    pub head: Height,
    /// Hash of the committed head.
    pub head_hash: Hash,
    /// The highest height executed.
    pub executed: Height,
    /// State root after it.
    pub state_root: Hash,
    /// The highest height up to which `f+1` equal attestations are held for every height.
    pub attested: Height,
    /// Rank of the highest prepared certificate above the head.
    pub prepared: Option<(Ballot, Height)>,
    /// Heights in flight, ascending, at most the window.
    pub slots: Vec<SlotLine>,
    /// The primary monitoring.
    pub monitor: MonitorReport,
}
