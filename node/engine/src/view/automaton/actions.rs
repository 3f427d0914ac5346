//! What a replica does when its place is witnessed: the first case that holds, one at a time
//! (DESIGN 10; B13 and B14).

use daruma_types::ViewPair;

use super::AutomatonState;
use super::predicates::{Mode, Sight};

/// An action of the Coordination Automaton.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    /// Take another's next view, and go there in phase 1.
    Adopt(ViewPair),
    /// Go to the next view, or from the reset to view 0, in phase 1.
    Start,
    /// The next view is the current one: back to phase 0.
    Establish,
    /// Wait; in phase 1, what was wanted before is on its way.
    Remain,
    /// Everything from the start.
    Reset,
}

impl Action {
    /// The first action whose predicate holds.
    pub(super) fn of(sight: &Sight<'_>) -> Self {
        let own = sight.own_place();
        let is_reset = own.phase == 0 && own.pair == ViewPair::RESET;
        if let Some(pair) = sight.adopted() {
            return Self::Adopt(pair);
        }
        if own.phase == 0 {
            if sight.establishable() && (is_reset || sight.changeable()) {
                return Self::Start;
            }
        } else if sight.establishable() {
            return Self::Establish;
        }
        // Ours: in phase 1, those who are where it goes support it as well. Without it, a few replicas
        // that join `n-2f` in a view one by one reset again before the last of them is on its way.
        let followed = own.phase == 1 && sight.adoptable(own, Mode::Follow);
        if is_reset || followed || sight.adoptable(own, Mode::Remain) {
            Self::Remain
        } else {
            Self::Reset
        }
    }

    /// Whether phase or pair change.
    pub(super) const fn moves(self) -> bool {
        match self {
            Self::Adopt(_) | Self::Start | Self::Establish | Self::Reset => true,
            Self::Remain => false,
        }
    }

    /// Does it.
    pub(super) fn perform(
        self,
        own: daruma_types::ReplicaId,
        state: &mut AutomatonState,
        after: u16,
    ) {
        let phase_1 = state.place(own).phase == 1;
        match self {
            Self::Adopt(pair) => state.set_own(own, |place| {
                place.pair.next = pair.next;
                place.phase = 1;
            }),
            Self::Start => state.set_own(own, |place| {
                place.pair.next = after;
                place.phase = 1;
            }),
            Self::Establish => state.set_own(own, |place| {
                place.pair = ViewPair::settled(place.pair.next);
                place.phase = 0;
            }),
            Self::Remain => {}
            Self::Reset => state.reset_all(),
        }
        if phase_1 {
            state.set_own(own, |place| place.change = false);
        }
        if self.moves() {
            state.unwitnessed(own);
        }
    }
}
