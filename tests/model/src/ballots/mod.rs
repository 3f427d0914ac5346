//! Replication's ballots as a finite model (DESIGN 4.2; rules R1 to R5 of
//! `node/engine/src/replication/mod.rs`).
//!
//! # What is modelled, and which rule of the engine it mirrors
//!
//! - *Network.* A set: what was sent stays, and may be read at any time, by anyone, often, or never.
//!   So loss, duplication, delay and reordering of every kind are in it. Receiving and using a
//!   message is one step: what a slot holds is only a copy of what the set holds.
//! - *Crashes.* A replica is what its journal and ledger bring back: its ballot, its votes above its
//!   head, its highest prepared certificate, its head (`RecoveredJournal`, `EngineHead`). It may have
//!   been restarted before every step, so whether a ballot is active is not kept: it is, if there is
//!   a vote of it above the head (`restore_votes`); else a new-view has to be read again.
//! - *The faulty replica* keeps no state: all votes that it could cast are cast, for every block in
//!   every ballot, so a certificate needs `quorum - f` correct voters. Its reports claim any
//!   certificates that exist.
//! - *Primaries.* Whoever is primary, any new-view and any proposal may come: a faulty primary can
//!   send different ones to each replica, and a correct one does less. So correct replicas differ in
//!   nothing but their number, and states are explored up to a permutation.
//! - *Blocks* without transactions' content: each height has one or two rivals for each parent.
//!
//! | step | engine |
//! |---|---|
//! | [`Action::Enter`] | R1. `Replication::enter`, for any later view at any time: demands are not modelled. The report is `Certified::own_report`: made while no vote of the ballot binds, again when the head moved |
//! | [`Action::Adopt`] | `adopt_new_view`, `select`, `supported`, `accept_taken_over`: any `n-f` or more reports; base not above the own head; prepares the tip taken over (R2), or with nothing to take over a child of the head |
//! | [`Action::Prepare`] | `accept_next`, `check_candidate`: the next block above the accepted tip, nothing voted at or above its height, within the window |
//! | [`Action::Certify`] | `Replication::prepare`, `cast_commits`: a prepared certificate of this ballot for an accepted block; commits for it and all accepted below (R3); R5 |
//! | [`Action::Decide`] | `decide`: any commit certificate for a child of the head; `adopt_head` follows its ballot |
//!
//! What a replica makes of a new-view is the heart of it, so [`compare_with_engine`] asks a real engine
//! the same questions, for every set of reports within bounds.
//!
//! Not modelled: execution (a decided block is in the ledger at once), bodies (always at hand), the
//! conflict rule, and arbitrary start states of replication. Each only takes steps away, or belongs
//! to another check.

mod chain;
mod engine;
mod state;
mod steps;

pub use chain::{Block, GENESIS, NONE, ancestor, extends, height, on_one_chain};
pub use engine::{Compared, compare_with_engine};
pub use state::{BALLOTS_MAX, Claim, HEIGHTS_MAX, Replica, State};

use daruma_types::{Thresholds, ThresholdsError};
use stateright::{Model, Property};

/// A rule that a run leaves out, to show that the properties depend on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
pub enum Weakened {
    /// All rules hold.
    #[default]
    Nothing,
    /// Certificates of one vote less than a quorum count.
    Quorum,
    /// A new-view's reports are not looked at: a follower prepares any child of its head.
    NewView,
    /// Without the anchor (R2): what is taken over is prepared again one by one from the base up.
    Anchor,
    /// A vote is sent before it is journalled, and a restart forgets it (R4).
    Journal,
    /// A replica goes on voting in the ballots below the one it reported in (R1).
    Binding,
}

/// Bounds of an exploration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// `n`; `f` is the most that it allows, and as many are faulty.
    pub replicas: usize,
    /// Ballots 0 up to this number, without it.
    pub ballots: u8,
    /// Rival blocks above each parent, by height from 1: 1 or 2.
    pub contents: Vec<u8>,
    /// Heights that may be in flight above the head.
    pub window: u8,
    /// The rule left out.
    pub weakened: Weakened,
}

/// Why bounds cannot be explored.
#[derive(Debug, PartialEq, Eq)]
pub enum BoundsError {
    /// `n` is none that a chain can have.
    Thresholds(ThresholdsError),
    /// More ballots than [`BALLOTS_MAX`], or none.
    Ballots(u8),
    /// More heights than [`HEIGHTS_MAX`], or none, or a number of rivals that is neither 1 nor 2.
    Contents(Vec<u8>),
}

/// The model of one set of bounds.
#[derive(Debug, Clone)]
pub struct Ballots {
    bounds: Bounds,
    thresholds: Thresholds,
    renamings: Vec<Vec<Block>>,
}

/// A step of one correct replica, which is named by its place in the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    /// Goes to a later ballot and reports.
    Enter {
        /// The replica.
        replica: usize,
        /// The ballot.
        ballot: u8,
    },
    /// Adopts a new-view and casts the first prepare of the ballot.
    Adopt {
        /// The replica.
        replica: usize,
        /// The tip taken over; [`NONE`] if nothing is.
        tip: Block,
        /// The block prepared.
        block: Block,
    },
    /// Prepares the block above the accepted tip.
    Prepare {
        /// The replica.
        replica: usize,
        /// The block.
        block: Block,
    },
    /// Forms or receives a prepared certificate, and commits what it allows.
    Certify {
        /// The replica.
        replica: usize,
        /// The block.
        block: Block,
    },
    /// Forms or receives the commit certificate of the block above the head.
    Decide {
        /// The replica.
        replica: usize,
        /// The block.
        block: Block,
        /// The certificate's ballot.
        ballot: u8,
    },
    /// [`Weakened::Journal`]: restarts without the votes of its ballot.
    Forget {
        /// The replica.
        replica: usize,
    },
    /// [`Weakened::Binding`]: prepares, or commits, in an earlier ballot than its own.
    VoteBelow {
        /// The replica.
        replica: usize,
        /// The earlier ballot.
        ballot: u8,
        /// The block.
        block: Block,
        /// Commits instead of prepares.
        commit: bool,
    },
}

impl Ballots {
    /// The model within `bounds`.
    ///
    /// # Errors
    /// [`BoundsError`] says which bound is none.
    pub fn new(bounds: Bounds) -> Result<Self, BoundsError> {
        let faulty = Thresholds::largest_faulty(bounds.replicas);
        let thresholds =
            Thresholds::new(bounds.replicas, faulty).map_err(BoundsError::Thresholds)?;
        if bounds.ballots == 0 || usize::from(bounds.ballots) > BALLOTS_MAX {
            return Err(BoundsError::Ballots(bounds.ballots));
        }
        let heights = bounds.contents.len();
        if heights == 0
            || heights > HEIGHTS_MAX
            || bounds.contents.iter().any(|rivals| !(1..=2).contains(rivals))
        {
            return Err(BoundsError::Contents(bounds.contents));
        }
        let renamings = chain::renamings(&bounds.contents);
        Ok(Self { bounds, thresholds, renamings })
    }

    /// Correct voters that a certificate needs: the faulty ones have voted for everything.
    fn quorum(&self) -> usize {
        let quorum = match self.bounds.weakened {
            Weakened::Quorum => self.thresholds.quorum() - 1,
            Weakened::Nothing
            | Weakened::NewView
            | Weakened::Anchor
            | Weakened::Journal
            | Weakened::Binding => self.thresholds.quorum(),
        };
        quorum - self.thresholds.faulty_max()
    }

    /// Blocks that have a quorum among the votes that `votes` picks, as a mask.
    fn certified(&self, state: &State, votes: impl Fn(&Replica) -> u16) -> u16 {
        let mut open = state.iter().fold(0, |all, replica| all | votes(replica));
        let mut certified = 0;
        while open != 0 {
            let bit = open & open.wrapping_neg();
            if state.iter().filter(|replica| votes(replica) & bit != 0).count() >= self.quorum() {
                certified |= bit;
            }
            open ^= bit;
        }
        certified
    }

    /// Blocks with a prepared certificate of `ballot`.
    #[must_use]
    pub fn prepared(&self, state: &State, ballot: u8) -> Vec<Block> {
        blocks(self.certified(state, |replica| replica.prepares[usize::from(ballot)]))
    }

    /// Blocks with a commit certificate of `ballot`.
    #[must_use]
    pub fn committed(&self, state: &State, ballot: u8) -> Vec<Block> {
        blocks(self.certified(state, |replica| replica.commits[usize::from(ballot)]))
    }

    /// Agreement: all blocks that any quorum committed, in whatever ballots, lie on one chain.
    fn agrees(&self, state: &State) -> bool {
        let all: Vec<Block> =
            (0..self.bounds.ballots).flat_map(|ballot| self.committed(state, ballot)).collect();
        all.iter().all(|a| all.iter().all(|b| on_one_chain(*a, *b)))
    }

    /// The first lemma: all prepared certificates of one ballot lie on one chain.
    fn prepares_one_chain(&self, state: &State) -> bool {
        (0..self.bounds.ballots).all(|ballot| {
            let all = self.prepared(state, ballot);
            all.iter().all(|a| all.iter().all(|b| on_one_chain(*a, *b)))
        })
    }

    /// The induction: what is prepared in a later ballot is a block committed before it, or extends
    /// it.
    fn later_extends_committed(&self, state: &State) -> bool {
        (0..self.bounds.ballots).all(|ballot| {
            self.committed(state, ballot).into_iter().all(|committed| {
                (ballot + 1..self.bounds.ballots).all(|later| {
                    let prepared = self.prepared(state, later);
                    prepared.into_iter().all(|block| extends(block, committed))
                })
            })
        })
    }

    /// Something is committed at the highest height in the last ballot: the bounds leave room for
    /// what is to be shown.
    fn reaches_the_end(&self, state: &State) -> bool {
        let heights = self.bounds.contents.len();
        let last = self.committed(state, self.bounds.ballots - 1);
        last.into_iter().any(|block| usize::from(height(block)) == heights)
    }
}

/// The blocks of a mask, ascending.
fn blocks(mut mask: u16) -> Vec<Block> {
    let mut blocks = Vec::new();
    while mask != 0 {
        blocks.push(mask.trailing_zeros() as Block);
        mask &= mask - 1;
    }
    blocks
}

/// Name of the property that no two blocks off one chain are committed.
pub const AGREEMENT: &str = "agreement";
/// Name of the property that one ballot prepares one chain.
pub const ONE_CHAIN: &str = "a ballot prepares one chain";
/// Name of the property that what is committed is kept by later ballots.
pub const KEPT: &str = "later ballots keep what was committed";
/// Name of the property that the bounds suffice for a commit at the end.
pub const REACHED: &str = "the last ballot commits at the last height";

impl Model for Ballots {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![vec![Replica::default(); self.thresholds.strong()]]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for (index, replica) in state.iter().enumerate() {
            // Equal replicas have equal futures: one of them may stand for all.
            if index > 0 && state[index - 1] == *replica {
                continue;
            }
            self.steps_of(state, index, actions);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        self.apply(&mut state, action);
        if self.bounds.weakened == Weakened::Binding {
            // Here a replica votes in ballots that it has left, so who voted in them matters.
            state.sort_unstable();
            return Some(state);
        }
        Some(state::representative(&state, &self.renamings, self.quorum()))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(AGREEMENT, |model, state| model.agrees(state)),
            Property::always(ONE_CHAIN, |model, state| model.prepares_one_chain(state)),
            Property::always(KEPT, |model, state| model.later_extends_committed(state)),
            Property::sometimes(REACHED, |model, state| model.reaches_the_end(state)),
        ]
    }
}
