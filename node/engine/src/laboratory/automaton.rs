//! An arbitrary view establishment (b): automaton, detector and ballots.

use daruma_types::{Place, ViewPair};

use super::{Automaton, AutomatonState, Coordinator, DetectorState};
use crate::laboratory::{Garbage, Size};

impl Garbage<'_> {
    /// A place, mostly of a view that there is, or one that the history had.
    pub(crate) fn place(&mut self) -> Place {
        let dictionary = self.dictionary;
        if self.real()
            && let Some(known) = self.pick(&dictionary.places)
        {
            return *known;
        }
        let views = self.replicas as u64;
        let view = |g: &mut Self| g.small_number(&[0, 1, 2, views]) as u16;
        let next = view(self);
        let other = view(self);
        let current = self.maybe(|g| if g.flag() { Some(next) } else { Some(other) });
        Place {
            phase: self.small_number(&[0, 1]) as u8,
            pair: ViewPair { current, next },
            change: self.flag(),
            witness: self.flag(),
        }
    }
}

impl Automaton {
    /// Sets every variable.
    pub(super) fn scramble_all(&mut self, garbage: &mut Garbage<'_>) {
        let Self { coordinator, ballots, reset, observed } = self;
        // Who this replica is, and how many there are, is not memory but configuration.
        let Coordinator {
            own: _,
            thresholds: _,
            state,
            detector,
            event_driven: _,
            watchdog: _,
            flush,
        } = coordinator;
        let AutomatonState { known, echo, witness_set } = state;
        garbage.set("automaton.known", known, |g| g.each(|g, _| g.place()));
        garbage.set("automaton.echo", echo, |g| g.each(|g, _| g.maybe(|g| Some(g.place()))));
        garbage.set("automaton.witness_set", witness_set, Garbage::signers);
        let DetectorState {
            round,
            exchanges,
            counted,
            heard,
            heard_before,
            last_correct,
            since_step,
            wanting,
            apart,
        } = detector;
        garbage.set("detector.round", round, |g| g.number(&[0]));
        garbage.set("detector.exchanges", exchanges, |g| g.each(|g, _| g.small_number(&[4])));
        garbage.set("detector.counted", counted, Garbage::signers);
        garbage.set("detector.heard", heard, Garbage::signers);
        garbage.set("detector.heard_before", heard_before, Garbage::signers);
        garbage.set("detector.last_correct", last_correct, Garbage::signers);
        garbage.set("detector.since_step", since_step, |g| g.small_number(&[3]));
        garbage.set("detector.wanting", wanting, |g| g.small_number(&[3]));
        garbage.set("detector.apart", apart, |g| g.small_number(&[12]));
        garbage.set("automaton.flush", flush, Garbage::flag);
        garbage.set("automaton.reset", reset, Garbage::flag);
        garbage.set("automaton.observed", observed, |g| (g.view(), g.small_number(&[0, 1]) as u8));
        ballots.scramble(garbage);
    }

    /// What is held.
    pub(super) fn all_sizes(&self, replicas: usize, sizes: &mut alloc::vec::Vec<Size>) {
        let state = &self.coordinator.state;
        sizes.push(Size::new("automaton.known", state.known.len(), replicas));
        sizes.push(Size::new("automaton.echo", state.echo.len(), replicas));
        let exchanges = self.coordinator.detector.exchanges.len();
        sizes.push(Size::new("detector.exchanges", exchanges, replicas));
        self.ballots.sizes(replicas, sizes);
    }
}
