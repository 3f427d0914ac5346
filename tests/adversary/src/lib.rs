//! Byzantine replicas for tests: what a replica may do that breaks the protocol (DESIGN 8).
//!
//! An adversary sits between a real engine and the network. It sees and rewrites what goes in and
//! out, and may say things of its own, signed with its own key only: it cannot forge another's
//! signature. Honest code has no switch for any of this (DESIGN 11).
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "an adversary twists some kinds of messages and lets all others pass, new ones too"
)]

mod accomplice;
mod assign_different;
mod bad_new_view;
mod behaviour;
mod censorship;
mod chameleon;
mod contrarian;
mod different_views;
mod equivocation;
mod evidence_flood;
mod false_suspicion;
mod fickle_voter;
mod flood;
mod forcing_reset;
mod foreign_chain;
mod forged;
mod fork;
mod garbage;
mod liar;
pub mod limits;
mod lying_server;
mod modify_request;
mod mutate;
mod out_of_bound;
mod overclaiming;
mod replay;
mod reuse_heights;
mod silence;
mod slow_primary;
mod small_step;
mod stale_transactions;
mod stop_assigning;
mod switching;
mod twins;
mod two_faces;
mod used_nonces;
mod wrong_state;

use std::sync::Arc;

use daruma_types::{Committee, Message, ReplicaId, Signer, Summary, Transaction};

pub use behaviour::Behaviour;
pub use censorship::Censorship;
pub use equivocation::{Equivocation, OtherStory};
pub use fickle_voter::{FickleVoter, VotingManner};
pub use lying_server::{Answer, LyingServer};
pub use out_of_bound::OutOfBound;
pub use overclaiming::{Claim, Overclaiming};
pub use replay::Replay;
pub use slow_primary::SlowPrimary;
pub use small_step::small_step;
pub use switching::{Switching, Window};
pub use twins::Twins;

/// What an adversary knows beside the messages.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The replica it controls.
    pub own: ReplicaId,
    /// All replicas.
    pub committee: &'a Committee,
    /// The key of the replica it controls, the only one it has.
    pub signer: &'a dyn Signer,
    /// That replica's clock, ms since 1970.
    pub now_ms: u64,
    /// Time since the run began, in ms, whatever clocks say.
    pub elapsed_ms: u64,
    /// Messages that a link takes between two ticks.
    pub link_per_tick: u32,
    /// The last summary that its engine made, if it made one.
    pub summary: Option<&'a Summary>,
}

impl core::fmt::Debug for Surroundings<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Surroundings").field("own", &self.own).finish_non_exhaustive()
    }
}

impl Surroundings<'_> {
    fn others(&self) -> impl Iterator<Item = ReplicaId> + use<> {
        let own = self.own;
        self.committee.ids().filter(move |id| *id != own)
    }

    fn is_primary(&self, number: u64) -> bool {
        self.committee.thresholds().primary(number) == self.own
    }
}

/// A replica that breaks the protocol. Every method has the honest answer as its default.
pub trait Adversary: Send {
    /// What is sent to `to` in place of `message`, which the engine wants to send there.
    fn outgoing(
        &mut self,
        to: ReplicaId,
        message: Arc<Message>,
        around: &Surroundings<'_>,
    ) -> Vec<Arc<Message>> {
        let _ = (to, around);
        vec![message]
    }

    /// What the engine gets to see of `message`.
    fn incoming(
        &mut self,
        from: ReplicaId,
        message: Arc<Message>,
        around: &Surroundings<'_>,
    ) -> Option<Arc<Message>> {
        let _ = (from, around);
        Some(message)
    }

    /// What the engine gets to see of the transactions that a client submitted.
    fn submitted(&mut self, transactions: Vec<Transaction>) -> Vec<Transaction> {
        transactions
    }

    /// What is sent of its own accord; called at every tick of the replica.
    fn on_tick(&mut self, around: &Surroundings<'_>) -> Vec<(ReplicaId, Arc<Message>)> {
        let _ = around;
        Vec::new()
    }

    /// Bytes that are sent as they are, whether they are a message or not; called at every tick of
    /// the replica.
    fn raw(&mut self, around: &Surroundings<'_>) -> Vec<(ReplicaId, Vec<u8>)> {
        let _ = around;
        Vec::new()
    }
}

#[cfg(test)]
mod tests;
