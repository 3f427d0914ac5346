//! View establishment: who is primary (thesis 2.6.1; DESIGN 4.1).

mod certified;

pub(crate) use certified::Certified;

use daruma_types::{
    Certificate, HeadClaim, Message, ReplicaId, Report, SignerSet, Summary, View, ViewProof,
};

use crate::config::Context;
use crate::outbox::Outbox;

/// What replication reports on entering a view: its head, and its highest prepared certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claims {
    pub(crate) head: HeadClaim,
    pub(crate) prepared: Option<Certificate>,
}

/// One way to agree on the view. The resolver watches [`Self::current`] and tells the other modules
/// when it moves.
pub(crate) trait ViewEstablishment {
    /// The view and its phase: 0 serving, 1 changing.
    fn current(&self) -> (View, u8);

    /// The view to serve, in phase 0 (the thesis's `allowService` and `getCurrentView`).
    fn serving(&self) -> Option<View> {
        let (view, phase) = self.current();
        (phase == 0).then_some(view)
    }

    /// Asks for the next view, on behalf of the primary monitoring. May be repeated.
    fn demand_change(&mut self, context: &Context, claims: &dyn Fn() -> Claims, out: &mut Outbox);

    /// Whose demands to leave the current view are held.
    fn demands(&self) -> SignerSet;

    /// Takes a message of this module; others are ignored.
    fn on_message(
        &mut self,
        from: ReplicaId,
        message: Message,
        context: &Context,
        claims: &dyn Fn() -> Claims,
        out: &mut Outbox,
    );

    /// Repairs what is illegal; `full` checks signatures too. `head` is a certified head, whose
    /// ballot proves a view.
    fn tick(&mut self, full: bool, head: &HeadClaim, context: &Context, out: &mut Outbox);

    /// Sends a peer what its summary shows that it lacks. `has_new_view` says that replication holds
    /// the new-view of the view's ballot, so that no other need be made.
    fn help(
        &mut self,
        peer: ReplicaId,
        summary: &Summary,
        has_new_view: bool,
        context: &Context,
        claims: &dyn Fn() -> Claims,
        out: &mut Outbox,
    );

    /// Reports of the current view, by replica; what a new primary starts from.
    fn reports(&self) -> alloc::vec::Vec<Report>;

    /// Why the replica is in its view.
    fn proof(&self) -> &ViewProof;

    /// Goes to the view that `proof`, which is valid, shows, if that is ahead.
    fn adopt(
        &mut self,
        proof: ViewProof,
        context: &Context,
        claims: &dyn Fn() -> Claims,
        out: &mut Outbox,
    );

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
    fn sizes(&self, replicas: usize, sizes: &mut alloc::vec::Vec<crate::laboratory::Size>);
}
