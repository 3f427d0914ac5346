//! States that no execution reaches, found and repaired by the stale-information rules.

use daruma_types::{Ballot, Height, View};

/// Our own memory held a state that no execution reaches (DESIGN 4). The rule that found it has
/// repaired it already.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    /// View and phase are not what the proof held for them shows, or the proof is not valid.
    #[error("view {view} phase {phase} had no valid proof")]
    UnprovenView {
        /// The view found.
        view: View,
        /// The phase found.
        phase: u8,
    },
    /// The ballot is not the view's.
    #[error("ballot {found} is not that of the view; {expected} is")]
    Ballot {
        /// The ballot found.
        found: Ballot,
        /// The view's ballot.
        expected: Ballot,
    },
    /// The floor of ballots is higher than any execution makes it.
    #[error("ballot {found} is far above what others report; {lowered} is not")]
    Floor {
        /// The floor found.
        found: Ballot,
        /// What it was lowered to.
        lowered: Ballot,
    },
    /// The floor of ballots is lower than the one that the journal holds.
    #[error("ballot {found} is below the {recorded} that the journal holds")]
    Forgotten {
        /// The floor found.
        found: Ballot,
        /// The journal's, which it was raised to.
        recorded: Ballot,
    },
    /// A variable of the Coordination Automaton or its detector was out of its domain, or the own
    /// place one that no execution reaches.
    #[error("the coordination automaton was in a state that no execution reaches")]
    Automaton,
    /// A slot lies outside the window or contradicts its own content.
    #[error("the slot of height {0} was outside the window or contradicted itself")]
    Slot(Height),
    /// The prepared certificate is not valid, not above the head, or its blocks are not held.
    #[error("the prepared certificate at height {0} was not valid or had no blocks")]
    Prepared(Height),
    /// Whether the ballot is active, its new-view, and what of it is still to be accepted did not
    /// belong together.
    #[error("the new-view of ballot {0} did not fit what was done with it")]
    NewView(Ballot),
    /// The committed head is not proven, or does not follow from the executed block.
    #[error("the head {0} was not certified or did not follow from the executed block")]
    Head(Height),
    /// What was executed last is not what the ledger executed last.
    #[error("the executed height {0} was not the ledger's")]
    Executed(Height),
    /// Something kept for a peer or a height is out of its bounds.
    #[error("{0} was out of its bounds")]
    OutOfBounds(&'static str),
}
