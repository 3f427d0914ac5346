//! View establishment: who is primary, and in which ballot (thesis 2.6.1; DESIGN 4.1).

mod automaton;
mod ballots;
mod certified;
mod rounds;

#[cfg(feature = "laboratory")]
pub(crate) use automaton::APART_ROUNDS;
pub use automaton::AutomatonState;
#[cfg(feature = "laboratory")]
pub(crate) use ballots::LONE_ROUNDS;
pub(crate) use certified::Certified;
pub use rounds::DetectorState;

use alloc::boxed::Box;
use alloc::vec::Vec;

use daruma_types::{
    Ballot, Certificate, Establishment, HeadClaim, Message, NewView, ReplicaId, Report, SignerSet,
    Summary, View, ViewProof,
};

use crate::config::Context;
use crate::outbox::Outbox;

/// What replication reports on entering a ballot: its head, and its highest prepared certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) head: HeadClaim,
    pub(crate) prepared: Option<Certificate>,
}

/// What a view establishment may ask replication, through the resolver.
pub(crate) trait Voting {
    /// What a report says.
    fn claims(&self) -> Claims;

    /// Whether the ballot's new-view was adopted.
    fn is_active(&self) -> bool;

    /// Whether the ballot's new-view is held, so that no other need be made.
    fn has_new_view(&self) -> bool;

    /// The committed head.
    fn head(&self) -> &HeadClaim;
}

/// One way to agree on the view and its ballot. The resolver watches [`Self::current`],
/// [`Self::ballot`] and [`Self::take_reset`], and tells the other modules when they move.
pub(crate) trait ViewEstablishment {
    /// The view and its phase: 0 settled, 1 changing.
    fn current(&self) -> (View, u8);

    /// The view to serve, settled (the thesis's `allowService` and `getCurrentView`).
    fn serving(&self) -> Option<View>;

    /// The view whose primary is to be watched: not every view has one.
    fn watched(&self) -> Option<View>;

    /// The ballot to vote in: durable before anything is said in it.
    fn ballot(&self) -> Ballot;

    /// Asks for the next view, on behalf of the primary monitoring. May be repeated.
    fn demand_change(&mut self, voting: &dyn Voting, context: &Context, out: &mut Outbox);

    /// Neither this replica nor enough others demand a change any more. Where a demand is signed it stands.
    fn withdraw_demand(&mut self) {}

    /// Whose demands to leave the current view are held.
    fn demands(&self) -> SignerSet;

    /// Takes a message of this module; others are ignored.
    fn on_message(
        &mut self,
        from: ReplicaId,
        message: Message,
        voting: &dyn Voting,
        context: &Context,
        out: &mut Outbox,
    );

    /// A token of this replica's was exchanged with `peer`.
    fn on_exchange(&mut self, peer: ReplicaId) {
        let _ = peer;
    }

    /// Repairs what is illegal; `full` checks signatures too.
    fn tick(&mut self, full: bool, voting: &dyn Voting, context: &Context, out: &mut Outbox);

    /// Once a tick: takes a step, and says what is said all the time.
    fn iterate(&mut self, voting: &dyn Voting, context: &Context, out: &mut Outbox) {
        let _ = (voting, context, out);
    }

    /// Reads a peer's summary, and sends it what it lacks.
    fn help(
        &mut self,
        peer: ReplicaId,
        summary: &Summary,
        voting: &dyn Voting,
        context: &Context,
        out: &mut Outbox,
    );

    /// Reports of the current ballot, by replica; what a new primary starts from.
    fn reports(&self) -> Vec<Report>;

    /// Whose reports of the current ballot are held.
    fn reporters(&self) -> SignerSet {
        self.reports().iter().map(|report| report.replica).collect()
    }

    /// Whether a primary that lost the new-view of an active ballot may make another in the same ballot: it
    /// is sent the reports of whoever is there, late ones too.
    fn reports_again(&self) -> bool {
        false
    }

    /// Whether the ballot of this replica leaves out more than `f` others, which its primary would not if it
    /// were correct.
    fn leaves_out_many(&self, context: &Context) -> bool {
        let _ = context;
        false
    }

    /// The journal's floor of ballots: memory may have forgotten it.
    fn on_journal(&mut self, floor: Ballot, context: &Context, out: &mut Outbox) {
        let _ = (floor, context, out);
    }

    /// A valid new-view came: `n-f` replicas were in its ballot.
    fn on_new_view(
        &mut self,
        new_view: &NewView,
        voting: &dyn Voting,
        context: &Context,
        out: &mut Outbox,
    );

    /// Replication's head moved; its certificate may prove a view.
    fn on_head(&mut self, voting: &dyn Voting, context: &Context, out: &mut Outbox);

    /// Replication found its control state contradictory (the thesis's `needFlush`). False if that is
    /// no reason to establish a view anew.
    fn flush(&mut self) -> bool {
        false
    }

    /// Whether all was reset since this was last asked: then nothing is voted for before a new-view.
    fn take_reset(&mut self) -> bool {
        false
    }

    /// Why the replica is in its view, where that can be shown.
    fn proof(&self) -> &ViewProof;

    /// The Coordination Automaton, where there is one.
    fn automaton(&self) -> Option<(&AutomatonState, &DetectorState)> {
        None
    }

    /// Sets view, phase and proof, where the module has these.
    #[cfg(feature = "laboratory")]
    fn set_view(&mut self, view: View, phase: u8, proof: ViewProof) {
        let _ = (view, phase, proof);
    }

    /// Sets every variable to an arbitrary value.
    #[cfg(feature = "laboratory")]
    fn scramble(&mut self, garbage: &mut crate::laboratory::Garbage<'_>);

    /// How much each collection holds, and may hold.
    #[cfg(feature = "laboratory")]
    fn sizes(&self, replicas: usize, sizes: &mut Vec<crate::laboratory::Size>);

    /// The automaton's variables, to be set at will.
    #[cfg(feature = "laboratory")]
    fn automaton_mut(&mut self) -> Option<(&mut AutomatonState, &mut DetectorState)> {
        None
    }

    /// Sets the floor of ballots, where there is one, without a promise: a transient fault.
    #[cfg(feature = "laboratory")]
    fn set_floor(&mut self, floor: Ballot) {
        let _ = floor;
    }

    /// Whose module this is, which is no memory, after two replicas' memories were exchanged.
    #[cfg(feature = "laboratory")]
    fn belong_to(&mut self, own: ReplicaId) {
        let _ = own;
    }

    /// Without the watchdog of the automaton the paper's own rules hold, halts and all.
    #[cfg(feature = "laboratory")]
    fn without_watchdog(&mut self) {}
}

/// The view establishment that the chainspec asks for, going on from what a journal holds.
pub(crate) fn establishment(
    proof: Option<ViewProof>,
    floor: Ballot,
    head: &HeadClaim,
    context: &Context,
) -> Box<dyn ViewEstablishment + Send> {
    match context.establishment() {
        Establishment::Certified => Box::new(Certified::restore(proof, head, context)),
        Establishment::Automaton { event_driven_fd } => {
            Box::new(automaton::Automaton::restore(floor, event_driven_fd, context))
        }
    }
}
