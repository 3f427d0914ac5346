//! What the paper's view establishment says (thesis 2.6.1; DESIGN 4.1 b and 10). Nothing here is
//! signed: a replica is who the authenticated connection says it is, and nobody passes these on.

use core::fmt;

use crate::ReplicaId;
use crate::codec::{Decode, Encode};

/// How the replicas of a chain agree on who is primary (DESIGN 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Establishment {
    /// Certificates of demands and reports; `n >= 3f+1`.
    #[default]
    Certified,
    /// The paper's Coordination Automaton; `n >= 5f+1`.
    Automaton {
        /// Whether each step waits for a round of the event-driven failure detector (4.4).
        event_driven_fd: bool,
    },
}

impl Establishment {
    /// Its name in a chainspec.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Certified => "certified",
            Self::Automaton { .. } => "automaton",
        }
    }
}

/// The view a replica is in and the one it goes to, each below `n`; equal when it goes nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct ViewPair {
    /// The view it is in; none after a reset.
    #[cfg_attr(feature = "arbitrary", arbitrary(with = crate::from_bytes::optional_view))]
    pub current: Option<u16>,
    /// The view it goes to.
    #[cfg_attr(feature = "arbitrary", arbitrary(with = crate::from_bytes::view))]
    pub next: u16,
}

impl ViewPair {
    /// In no view, and going to the default view 0.
    pub const RESET: Self = Self { current: None, next: 0 };

    /// In `view`, and going nowhere.
    #[must_use]
    pub const fn settled(view: u16) -> Self {
        Self { current: Some(view), next: view }
    }

    /// Whether both views are below `replicas`.
    #[must_use]
    pub fn in_domain(self, replicas: usize) -> bool {
        let below = |view: u16| ReplicaId(view).index() < replicas;
        self.current.is_none_or(below) && below(self.next)
    }
}

impl fmt::Display for ViewPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.current {
            Some(current) => write!(f, "({current},{})", self.next),
            None => write!(f, "(-,{})", self.next),
        }
    }
}

/// One replica's place in the Coordination Automaton.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Place {
    /// 0 or 1.
    #[cfg_attr(feature = "arbitrary", arbitrary(with = crate::from_bytes::phase))]
    pub phase: u8,
    /// Its views.
    pub pair: ViewPair,
    /// Whether it wants the next view.
    pub change: bool,
    /// Whether it knows that `n-f` replicas have seen its phase, pair and change.
    pub witness: bool,
}

impl Place {
    /// Where everyone begins, and begins again.
    pub const RESET: Self = Self { phase: 0, pair: ViewPair::RESET, change: false, witness: false };

    /// Whether the phase is 0 or 1 and both views are below `replicas`.
    #[must_use]
    pub fn in_domain(self, replicas: usize) -> bool {
        self.phase <= 1 && self.pair.in_domain(replicas)
    }

    /// Whether no execution reaches it: out of the domain, in phase 0 and on the way to another view,
    /// or in phase 1 and on the way to none (DESIGN 10).
    #[must_use]
    pub fn is_stale(self, replicas: usize) -> bool {
        let settled = self.pair.current == Some(self.pair.next);
        let fits = match self.phase {
            0 => settled || self.pair == ViewPair::RESET,
            _ => !settled,
        };
        !fits || !self.in_domain(replicas)
    }

    /// Whether phase, pair and change are equal: all but the witness.
    #[must_use]
    pub fn agrees(self, other: Self) -> bool {
        (self.phase, self.pair, self.change) == (other.phase, other.pair, other.change)
    }
}

/// What a replica sends to one other at every tick. Of constant size; the latest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct Coordination {
    /// Where the sender is.
    pub own: Place,
    /// What the sender knows of the receiver.
    pub echo: Place,
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn pair(current: u16, next: u16) -> ViewPair {
        ViewPair { current: Some(current), next }
    }

    const fn place(phase: u8, pair: ViewPair) -> Place {
        Place { phase, pair, change: false, witness: false }
    }

    #[test]
    fn b01_a_pair_is_in_the_domain_when_both_views_are_below_n() {
        assert!(pair(0, 3).in_domain(5));
        assert!(ViewPair { current: None, next: 3 }.in_domain(5));
        // A next view of none cannot be written down at all.
        assert!(!pair(5, 0).in_domain(5));
        assert!(!pair(0, 5).in_domain(5));
        assert!(!pair(u16::MAX, 0).in_domain(5));
        assert!(!ViewPair { current: None, next: 5 }.in_domain(5));
    }

    #[test]
    fn b02_in_phase_0_a_settled_pair_and_the_reset_are_legitimate() {
        assert!(!place(0, pair(1, 1)).is_stale(5));
        assert!(!place(0, ViewPair::RESET).is_stale(5));
        assert!(place(0, pair(1, 2)).is_stale(5));
        assert!(place(0, ViewPair { current: None, next: 2 }).is_stale(5));
        assert!(place(0, pair(1, 1)).is_stale(1), "out of the domain");
    }

    #[test]
    fn b03_in_phase_1_a_pair_on_its_way_and_the_reset_are_legitimate() {
        assert!(!place(1, pair(1, 2)).is_stale(5));
        assert!(!place(1, ViewPair::RESET).is_stale(5));
        assert!(!place(1, ViewPair { current: None, next: 2 }).is_stale(5));
        assert!(place(1, pair(1, 1)).is_stale(5));
        assert!(place(1, pair(1, 5)).is_stale(5), "out of the domain");
    }

    #[test]
    fn b04_a_phase_that_does_not_exist_is_stale() {
        assert!(place(2, pair(1, 2)).is_stale(5));
        assert!(place(255, pair(1, 1)).is_stale(5));
    }

    #[test]
    fn b17_an_echo_agrees_when_phase_pair_and_change_are_equal_whatever_the_witness() {
        let own = place(0, pair(1, 1));
        assert!(own.agrees(Place { witness: true, ..own }));
        assert!(!own.agrees(Place { phase: 1, ..own }));
        assert!(!own.agrees(Place { pair: pair(1, 2), ..own }));
        assert!(!own.agrees(Place { change: true, ..own }));
    }
}
