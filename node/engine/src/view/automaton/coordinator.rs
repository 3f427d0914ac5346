//! One replica's part in the Coordination Automaton: its iteration, its pace, and the watchdog.
//!
//! # Pace
//!
//! An iteration is a tick. With the event-driven failure detector on, a step waits until a whole
//! round of it has passed since this replica's place last changed: by then it has heard from every
//! correct replica.
//!
//! # The watchdog (ours)
//!
//! The paper's predicates have states that they never leave: a replica in phase 1 towards a view to
//! which nobody follows, but which the others still support (its *remain* holds for ever); and the
//! split of Lemma 9, held up by what a silent replica is believed to be. Two rules end them.
//!
//! 1. What is known of a replica counts only while it was heard from in this detector round or the
//!    last. A reset forgets who was heard.
//! 2. A replica that is out of service, as in phase 1 and at the reset, and takes no step through
//!    [`WATCH_ROUNDS`] rounds resets all; one that serves a view, while more than `f` that it hears are
//!    neither there nor on their way there, does so after [`APART_ROUNDS`].
//!
//! The second, because with `f` that lie, some correct replicas can take a view for served that the
//! others were never shown. Fewer than `n-2f` of the correct ones are in it then, or the others would
//! join them; so at least `f+1` correct ones are elsewhere, and are heard. Where all correct replicas
//! are in one view, only liars can seem to be elsewhere, and they are too few.
//!
//! One of `n-f` that are all on their way from the reset to view 0 is let be: each of them goes on by
//! itself, and resets here and there would keep them from ever being there together. The watchdog can
//! hold nothing up: from the reset, a replica that finds `n-2f` in one view adopts it, and if there is
//! no such view, all correct replicas are at the reset within as many rounds, and establish view 0.

use daruma_types::{Coordination, Place, ReplicaId, SignerSet, Thresholds};

use super::AutomatonState;
use super::actions::Action;
use super::predicates::Sight;
use crate::view::rounds::DetectorState;

/// Rounds of the detector through which a replica may be out of service and take no step: a step takes
/// one, and the steps of others that it may wait for one or two.
pub(crate) const WATCH_ROUNDS: u32 = 3;

/// Rounds through which it may serve a view while more than `f` that it hears are elsewhere. Those may
/// have to reset, and then to adopt the view and to establish it: a round or two for each.
pub(crate) const APART_ROUNDS: u32 = 12;

/// The automaton with its detector and watchdog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Coordinator {
    pub(super) own: ReplicaId,
    pub(super) thresholds: Thresholds,
    pub(super) state: AutomatonState,
    pub(super) detector: DetectorState,
    /// Whether steps wait for the detector.
    pub(super) event_driven: bool,
    /// Whether the watchdog's two rules hold; always, but in a laboratory.
    pub(super) watchdog: bool,
    /// Replication wants a reset (the thesis's `needFlush`).
    pub(super) flush: bool,
}

impl Coordinator {
    pub(super) fn new(own: ReplicaId, thresholds: Thresholds, event_driven: bool) -> Self {
        Self {
            own,
            thresholds,
            state: AutomatonState::new(thresholds.replicas()),
            detector: DetectorState::new(thresholds),
            event_driven,
            watchdog: true,
            flush: false,
        }
    }

    pub(super) fn sight(&self) -> Sight<'_> {
        let heard =
            if self.watchdog { self.detector.lately() } else { self.thresholds.ids().collect() };
        Sight { state: &self.state, thresholds: self.thresholds, own: self.own, heard }
    }

    pub(super) fn place(&self) -> Place {
        self.state.place(self.own)
    }

    pub(super) fn hear(&mut self, from: ReplicaId, said: Coordination) {
        if from != self.own && self.state.hear(from, said) {
            self.detector.hear(from);
        }
    }

    /// What is said to `peer`.
    pub(super) fn say(&self, peer: ReplicaId) -> Coordination {
        Coordination { own: self.place(), echo: self.state.place(peer) }
    }

    /// Wants the next view, from the view that is served (B22). What is wanted stays wanted until a
    /// step in phase 1 or a reset, as long as the monitoring stands behind it.
    pub(super) fn want_change(&mut self) {
        if self.sight().serving().is_some() {
            self.state.set_own(self.own, |place| place.change = true);
        }
    }

    /// Ours: a wish that the monitoring does not stand behind, as a transient fault leaves it, is no wish.
    /// Without it, such wishes stay until there are enough of them for a change that nobody needs. Out of
    /// service the monitoring rests, and what was wished for is wished for still.
    pub(super) fn want_no_change(&mut self) {
        if self.place().change && self.sight().serving().is_some() {
            self.state.set_own(self.own, |place| place.change = false);
        }
    }

    /// Brings every variable into its domain; true if one was out of it, or the own place stale. That
    /// resets all, which is left to the next iteration.
    pub(super) fn repair(&mut self) -> bool {
        let thresholds = self.thresholds;
        let mut illegal = self.state.repair(thresholds) | self.detector.repair(thresholds);
        if self.place().is_stale(thresholds.replicas()) {
            illegal |= !self.flush;
            self.flush = true;
        }
        illegal
    }

    /// A tick: true if a round of the detector ended.
    pub(super) fn time_passes(&mut self) -> bool {
        self.detector.tick(self.thresholds)
    }

    /// One iteration of algorithm 1, at each tick; true if all was reset.
    pub(super) fn iterate(&mut self) -> bool {
        let (own, thresholds) = (self.own, self.thresholds);
        let stale = self.place().is_stale(thresholds.replicas());
        if core::mem::take(&mut self.flush) || stale {
            self.perform(Action::Reset);
            return true;
        }
        let noticed = self.sight().noticed();
        self.state.set_own(own, |place| place.witness = noticed);
        let witnessed: SignerSet = thresholds
            .ids()
            .filter(|id| self.sight().heard.contains(*id) && self.state.place(*id).witness)
            .collect();
        self.state.witness_set.0 |= witnessed.0;
        let may_act = !self.event_driven || self.detector.since_step > 0;
        let acts = may_act && self.sight().witness_seen();
        let mut action = acts.then(|| Action::of(&self.sight()));
        let overdue = self.is_overdue();
        if overdue && self.watchdog && !action.is_some_and(Action::moves) {
            action = Some(Action::Reset);
        }
        if let Some(action) = action {
            self.perform(action);
        }
        action == Some(Action::Reset)
    }

    /// Whether a step is overdue (the watchdog's second rule).
    fn is_overdue(&mut self) -> bool {
        let sight = self.sight();
        let (serves, rises, apart) = (sight.serving().is_some(), sight.rising(), sight.is_apart());
        if serves || rises {
            self.detector.wanting = 0;
        }
        if !serves || !apart {
            self.detector.apart = 0;
        }
        self.detector.wanting >= WATCH_ROUNDS || self.detector.apart >= APART_ROUNDS
    }

    fn perform(&mut self, action: Action) {
        let after = self.sight().after(self.place().pair.current);
        action.perform(self.own, &mut self.state, after);
        if action.moves() {
            self.detector.restart();
        }
        if action == Action::Reset {
            self.detector.forget();
        }
    }
}
