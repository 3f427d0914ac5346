//! The variables of the Coordination Automaton (thesis algorithm 1; DESIGN 10).

use alloc::vec;
use alloc::vec::Vec;

use daruma_types::{Coordination, Place, ReplicaId, SignerSet, Thresholds};

/// What one replica knows of all places, its own among them. A transient fault may set any of it to
/// anything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct AutomatonState {
    /// For each replica its place as last heard; of this replica, its own.
    pub known: Vec<Place>,
    /// For each replica, what it last said it knows of this one; none since the last reset.
    pub echo: Vec<Option<Place>>,
    /// Whose witness was heard since this replica's phase or pair last changed.
    pub witness_set: SignerSet,
}

impl AutomatonState {
    /// Everyone where everyone begins.
    #[must_use]
    pub fn new(replicas: usize) -> Self {
        Self {
            known: vec![Place::RESET; replicas],
            echo: vec![None; replicas],
            witness_set: SignerSet::EMPTY,
        }
    }

    /// What is known of `replica`.
    #[must_use]
    pub fn place(&self, replica: ReplicaId) -> Place {
        self.known.get(replica.index()).copied().unwrap_or(Place::RESET)
    }

    /// What `replica` knows of this one.
    #[must_use]
    pub fn echo_of(&self, replica: ReplicaId) -> Option<Place> {
        self.echo.get(replica.index()).copied().flatten()
    }

    /// Changes this replica's own place.
    pub(super) fn set_own(&mut self, own: ReplicaId, change: impl FnOnce(&mut Place)) {
        if let Some(place) = self.known.get_mut(own.index()) {
            change(place);
        }
    }

    /// This replica's phase or pair changed: nobody has seen it yet.
    pub(super) fn unwitnessed(&mut self, own: ReplicaId) {
        self.set_own(own, |place| place.witness = false);
        self.witness_set = SignerSet::EMPTY;
    }

    /// Everyone back to where everyone begins (B16).
    pub(super) fn reset_all(&mut self) {
        *self = Self::new(self.known.len());
    }

    /// Takes what a peer says. Nothing of what is out of its domain or stale is taken, not even the
    /// echo (B05); false then.
    pub(super) fn hear(&mut self, from: ReplicaId, said: Coordination) -> bool {
        let replicas = self.known.len();
        let believed = !said.own.is_stale(replicas) && said.echo.in_domain(replicas);
        match (self.known.get_mut(from.index()), self.echo.get_mut(from.index())) {
            (Some(known), Some(echo)) if believed => {
                *known = said.own;
                *echo = Some(said.echo);
                true
            }
            _ => false,
        }
    }

    /// Brings every variable into its domain; true if one was out of it.
    pub(super) fn repair(&mut self, thresholds: Thresholds) -> bool {
        let replicas = thresholds.replicas();
        if self.known.len() != replicas || self.echo.len() != replicas {
            *self = Self::new(replicas);
            return true;
        }
        let mut illegal = false;
        for place in self.known.iter_mut().filter(|place| !place.in_domain(replicas)) {
            *place = Place::RESET;
            illegal = true;
        }
        for echo in &mut self.echo {
            if echo.is_some_and(|place| !place.in_domain(replicas)) {
                *echo = None;
                illegal = true;
            }
        }
        let all: SignerSet = thresholds.ids().collect();
        if self.witness_set.0 & !all.0 != 0 {
            self.witness_set.0 &= all.0;
            illegal = true;
        }
        illegal
    }
}
