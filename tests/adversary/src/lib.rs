//! Byzantine replicas for tests: what a replica may do that breaks the protocol (DESIGN 8).
//!
//! An adversary sits between a real engine and the network. It sees and rewrites what goes in and
//! out, and may say things of its own, signed with its own key only: it cannot forge another's
//! signature. Honest code has no switch for any of this (DESIGN 11).
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "an adversary twists some kinds of messages and lets all others pass, new ones too"
)]

mod bad_new_view;
mod censorship;
mod contrarian;
mod equivocation;
mod false_suspicion;
mod fork;
mod liar;
pub mod limits;
mod replay;
mod silence;
mod slow_primary;
mod stale_transactions;
mod stop_assigning;
mod twins;
mod used_nonces;

use std::sync::Arc;

use daruma_types::{Committee, Message, ReplicaId, Signer, Summary, Transaction};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

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
}

/// The ways to break the protocol that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Behaviour {
    /// Says nothing to anyone.
    Silent,
    /// Says nothing to half of the others.
    HalfSilent,
    /// As primary, proposes different blocks to different halves; votes differently to them, too.
    Equivocating,
    /// As primary, proposes as rarely as it can without being replaced.
    SlowPrimary,
    /// As primary, sends tokens and summaries, and never proposes.
    StopAssigning,
    /// Sends old, valid messages again.
    Replay,
    /// As primary, puts transactions with used nonces, and the same one twice, into its blocks.
    UsedNonces,
    /// Spreads transactions whose nonces were used, as if they were new.
    StaleTransactions,
    /// As new primary, chooses a base or tip that the reports do not give, and proposes on it.
    BadNewView,
    /// Never lets a transaction of one client near its proposals.
    Censorship,
    /// Demands to leave every view.
    FalseSuspicion,
    /// Votes for everything at once, and for what does not exist.
    Contrarian,
    /// Lies about itself in summaries, reports and attestations.
    Liar,
    /// Runs twice with one key, each half talking to another part of the network.
    Twins,
}

impl Behaviour {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::Silent,
        Self::HalfSilent,
        Self::Equivocating,
        Self::SlowPrimary,
        Self::StopAssigning,
        Self::Replay,
        Self::UsedNonces,
        Self::StaleTransactions,
        Self::BadNewView,
        Self::Censorship,
        Self::FalseSuspicion,
        Self::Contrarian,
        Self::Liar,
        Self::Twins,
    ];

    /// The name in plans, traces and counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::HalfSilent => "half-silent",
            Self::Equivocating => "equivocating",
            Self::SlowPrimary => "slow-primary",
            Self::StopAssigning => "stop-assigning",
            Self::Replay => "replay",
            Self::UsedNonces => "used-nonces",
            Self::StaleTransactions => "stale-transactions",
            Self::BadNewView => "bad-new-view",
            Self::Censorship => "censorship",
            Self::FalseSuspicion => "false-suspicion",
            Self::Contrarian => "contrarian",
            Self::Liar => "liar",
            Self::Twins => "twins",
        }
    }

    /// The behaviour called `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|behaviour| behaviour.name() == name)
    }

    /// The adversary, deciding by `seed`. [`Behaviour::Twins`] rewrites nothing: it needs a second
    /// engine with the same key, and [`Twins`] to tell which of the two a message is for.
    #[must_use]
    pub fn adversary(self, seed: u64) -> Box<dyn Adversary> {
        let random = ChaCha8Rng::seed_from_u64(seed);
        match self {
            Self::Silent => Box::new(silence::Silence::new(false, random)),
            Self::HalfSilent => Box::new(silence::Silence::new(true, random)),
            Self::Equivocating => Box::new(equivocation::Equivocation::new(random)),
            Self::SlowPrimary => Box::new(slow_primary::SlowPrimary::new(random)),
            Self::StopAssigning => Box::new(stop_assigning::StopAssigning::new(random)),
            Self::Replay => Box::new(replay::Replay::new(random)),
            Self::UsedNonces => Box::new(used_nonces::UsedNonces::new(random)),
            Self::StaleTransactions => Box::new(stale_transactions::StaleTransactions::new(random)),
            Self::BadNewView => Box::new(bad_new_view::BadNewView::new(random)),
            Self::Censorship => Box::new(censorship::Censorship::new(random)),
            Self::FalseSuspicion => Box::new(false_suspicion::FalseSuspicion::new(random)),
            Self::Contrarian => Box::new(contrarian::Contrarian::new(random)),
            Self::Liar => Box::new(liar::Liar::new(random)),
            Self::Twins => Box::new(twins::Untouched),
        }
    }
}

#[cfg(test)]
mod tests;
