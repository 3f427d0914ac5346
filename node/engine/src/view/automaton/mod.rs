//! View establishment (b), `automaton`: the paper's Coordination Automaton (thesis 2.6.1; DESIGN 10),
//! with ballots for its views ([`super::ballots`]), the event-driven failure detector
//! ([`super::rounds`]) in front if the chainspec says so, and a watchdog of ours ([`coordinator`]).
//!
//! It is signature-free: a place is whose the authenticated link says it is. Views are `0..n-1` and
//! come again; what replication votes in are ballots, which only grow.
//!
//! Five rules differ from the paper's, each because the paper's has a state that is never left, found
//! by searching arbitrary starts; the reasons stand beside the code: the watchdog and who counts as
//! heard (`coordinator`), who supports a replica that has left the reset, whom one that has left it
//! does not support, and who goes along (`predicates`), and staying on the way to a view that `n-2f`
//! are in (`actions`).

mod actions;
#[cfg(test)]
mod convergence;
mod coordinator;
#[cfg(feature = "laboratory")]
#[path = "../../laboratory/automaton.rs"]
mod laboratory;
mod predicates;
mod state;
#[cfg(test)]
mod tests;

#[cfg(feature = "laboratory")]
pub(crate) use coordinator::APART_ROUNDS;
pub use state::AutomatonState;

use alloc::vec::Vec;

use daruma_types::{
    Ballot, Message, NewView, ReplicaId, Report, SignerSet, Summary, View, ViewProof,
};

use super::ballots::Ballots;
use super::rounds::DetectorState;
use super::{ViewEstablishment, Voting};
use crate::config::Context;
use crate::outbox::Outbox;
use crate::{Illegal, Observation};
use coordinator::Coordinator;

/// The module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Automaton {
    coordinator: Coordinator,
    ballots: Ballots,
    reset: bool,
    /// View and phase as last told to people.
    observed: (View, u8),
}

impl Automaton {
    /// Begins at the reset, and goes on from the journal's floor.
    pub(super) fn restore(floor: Ballot, event_driven: bool, context: &Context) -> Self {
        let thresholds = context.thresholds();
        Self {
            coordinator: Coordinator::new(context.own, thresholds, event_driven),
            ballots: Ballots::restore(floor, thresholds.replicas()),
            reset: false,
            observed: (View(0), 1),
        }
    }

    fn served(&self) -> Option<u16> {
        self.coordinator.sight().serving()
    }

    fn observe(&mut self, out: &mut Outbox) {
        let (view, phase) = self.current();
        if self.observed != (view, phase) {
            self.observed = (view, phase);
            out.observe(Observation::View { view, phase });
        }
    }
}

impl ViewEstablishment for Automaton {
    fn current(&self) -> (View, u8) {
        let pair = self.coordinator.place().pair;
        let settled = pair.current == Some(pair.next);
        (View(pair.current.unwrap_or(pair.next).into()), u8::from(!settled))
    }

    fn serving(&self) -> Option<View> {
        self.served().map(|view| View(view.into()))
    }

    fn watched(&self) -> Option<View> {
        self.serving()
    }

    fn ballot(&self) -> Ballot {
        self.ballots.floor()
    }

    fn demand_change(&mut self, _: &dyn Voting, _: &Context, _: &mut Outbox) {
        self.coordinator.want_change();
    }

    fn withdraw_demand(&mut self) {
        self.coordinator.want_no_change();
    }

    fn demands(&self) -> SignerSet {
        self.coordinator.sight().wanting()
    }

    fn on_message(
        &mut self,
        from: ReplicaId,
        message: Message,
        _: &dyn Voting,
        _: &Context,
        _: &mut Outbox,
    ) {
        if let Message::Coordination(said) = message {
            self.coordinator.hear(from, said);
        } else if let Message::Report(report) = message {
            self.ballots.on_report(from, report);
        }
    }

    fn on_exchange(&mut self, peer: ReplicaId) {
        self.coordinator.detector.exchanged(peer);
    }

    fn tick(&mut self, full: bool, _: &dyn Voting, context: &Context, out: &mut Outbox) {
        if self.coordinator.repair() {
            out.repaired(Illegal::Automaton);
        }
        self.ballots.repair(full, context, out);
    }

    fn iterate(&mut self, voting: &dyn Voting, context: &Context, out: &mut Outbox) {
        let flushed = self.coordinator.flush;
        let round_ended = self.coordinator.time_passes();
        if self.coordinator.iterate() {
            self.reset = true;
            self.ballots.reset(flushed);
        }
        self.observe(out);
        self.ballots.tick(self.served(), round_ended, voting, context, out);
        for peer in context.committee.ids().filter(|peer| *peer != context.own) {
            out.send(peer, Message::Coordination(self.coordinator.say(peer)));
        }
    }

    fn help(
        &mut self,
        peer: ReplicaId,
        summary: &Summary,
        _: &dyn Voting,
        context: &Context,
        out: &mut Outbox,
    ) {
        self.ballots.on_summary(peer, summary, context, out);
    }

    fn reports(&self) -> Vec<Report> {
        self.ballots.reports()
    }

    fn leaves_out_many(&self, context: &Context) -> bool {
        self.ballots.is_outgrown(context.thresholds())
    }

    fn on_journal(&mut self, floor: Ballot, context: &Context, out: &mut Outbox) {
        let found = self.ballots.floor();
        if self.ballots.on_journal(floor, context.thresholds()) {
            out.repaired(Illegal::Forgotten { found, recorded: floor });
        }
    }

    fn on_new_view(
        &mut self,
        new_view: &NewView,
        _: &dyn Voting,
        context: &Context,
        out: &mut Outbox,
    ) {
        self.ballots.on_new_view(new_view.ballot, self.served(), context, out);
    }

    fn on_head(&mut self, _: &dyn Voting, _: &Context, _: &mut Outbox) {}

    fn flush(&mut self) -> bool {
        self.coordinator.flush = true;
        true
    }

    fn take_reset(&mut self) -> bool {
        core::mem::take(&mut self.reset)
    }

    fn proof(&self) -> &ViewProof {
        &ViewProof::Initial
    }

    fn automaton(&self) -> Option<(&AutomatonState, &DetectorState)> {
        Some((&self.coordinator.state, &self.coordinator.detector))
    }

    #[cfg(feature = "laboratory")]
    fn scramble(&mut self, garbage: &mut crate::laboratory::Garbage<'_>) {
        self.scramble_all(garbage);
    }

    #[cfg(feature = "laboratory")]
    fn sizes(&self, replicas: usize, sizes: &mut Vec<crate::laboratory::Size>) {
        self.all_sizes(replicas, sizes);
    }

    #[cfg(feature = "laboratory")]
    fn automaton_mut(&mut self) -> Option<(&mut AutomatonState, &mut DetectorState)> {
        Some((&mut self.coordinator.state, &mut self.coordinator.detector))
    }

    #[cfg(feature = "laboratory")]
    fn set_floor(&mut self, floor: Ballot) {
        self.ballots.set_floor(floor);
    }

    #[cfg(feature = "laboratory")]
    fn belong_to(&mut self, own: ReplicaId) {
        self.coordinator.own = own;
    }

    #[cfg(feature = "laboratory")]
    fn without_watchdog(&mut self) {
        self.coordinator.watchdog = false;
    }
}
