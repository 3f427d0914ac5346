//! The names of the ways to break the protocol.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::{
    Adversary, accomplice, assign_different, bad_new_view, censorship, chameleon, contrarian,
    different_views, equivocation, evidence_flood, false_suspicion, fickle_voter, flood,
    forcing_reset, foreign_chain, garbage, liar, lying_server, modify_request, mutate,
    out_of_bound, replay, reuse_heights, silence, slow_primary, stale_transactions, stop_assigning,
    twins, two_faces, used_nonces, wrong_state,
};

/// The ways to break the protocol that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Behaviour {
    /// Says nothing to anyone (the thesis's `UNRESPONSIVE`).
    Silent,
    /// Says nothing to half of the others, and at times returns their tokens all the same
    /// (`UNRESPONSIVE_TO_HALF`).
    HalfSilent,
    /// Is in one view towards even replicas and in another towards odd ones (`DIFFERENT_VIEWS`).
    DifferentViews,
    /// Claims to be at the very beginning, and keeps every proof of a view back (`FORCING_RESET`).
    ForcingReset,
    /// As primary, sends tokens and summaries, and never proposes (`STOP_ASSIGNING_SEQNUMS`).
    StopAssigning,
    /// As primary, gives odd replicas other blocks at other heights than even ones
    /// (`ASSIGN_DIFFERENT_SEQNUMS`).
    AssignDifferent,
    /// As primary, proposes everything at one height (`REUSE_SEQNUMS`).
    ReuseHeights,
    /// As primary, proposes at heights beyond the window (`SEQNUM_OUT_BOUND`).
    OutOfBound,
    /// Claims a state, a ledger and certificates that never were, in every message (`WRONG_CCSP`).
    WrongState,
    /// As primary, proposes other operations than clients signed (`MODIFY_CLIENT_REQ`).
    ModifyRequest,
    /// As primary, proposes different blocks to different halves; votes differently to them, too.
    Equivocating,
    /// Says another thing to one half in every kind of message there is.
    TwoFaced,
    /// Agrees with everyone: votes towards each replica for whatever that one voted for.
    Accomplice,
    /// As primary, proposes as rarely as it can without being replaced.
    SlowPrimary,
    /// Sends old, valid messages again, its own and others'.
    Replay,
    /// Sends what would be valid on another chain with the same replicas.
    ForeignChain,
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
    /// Votes for nothing, for the opposite, by turns, or in many ballots at once.
    FickleVoter,
    /// Lies about itself in summaries, reports and attestations.
    Liar,
    /// Answers requests for blocks with forged, endless or oversized answers, and lies about its height.
    LyingServer,
    /// Sends valid-looking messages as fast as the link takes them.
    Flood,
    /// Signs contradictions without end, so that there is more evidence than anyone can keep.
    EvidenceFlood,
    /// Sends random bytes, and well-formed messages with signatures that do not hold.
    Garbage,
    /// Is honest but for a few small changes in single fields of its own messages.
    Mutate,
    /// Changes from one of the other behaviours to the next, at every message or now and then.
    Chameleon,
    /// Runs twice with one key, each half talking to another part of the network.
    Twins,
}

impl Behaviour {
    /// All of them.
    pub const ALL: [Self; 31] = [
        Self::Silent,
        Self::HalfSilent,
        Self::DifferentViews,
        Self::ForcingReset,
        Self::StopAssigning,
        Self::AssignDifferent,
        Self::ReuseHeights,
        Self::OutOfBound,
        Self::WrongState,
        Self::ModifyRequest,
        Self::Equivocating,
        Self::TwoFaced,
        Self::Accomplice,
        Self::SlowPrimary,
        Self::Replay,
        Self::ForeignChain,
        Self::UsedNonces,
        Self::StaleTransactions,
        Self::BadNewView,
        Self::Censorship,
        Self::FalseSuspicion,
        Self::Contrarian,
        Self::FickleVoter,
        Self::Liar,
        Self::LyingServer,
        Self::Flood,
        Self::EvidenceFlood,
        Self::Garbage,
        Self::Mutate,
        Self::Chameleon,
        Self::Twins,
    ];

    /// The name in plans, traces and counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Silent => "silent",
            Self::HalfSilent => "half-silent",
            Self::DifferentViews => "different-views",
            Self::ForcingReset => "forcing-reset",
            Self::StopAssigning => "stop-assigning",
            Self::AssignDifferent => "assign-different",
            Self::ReuseHeights => "reuse-heights",
            Self::OutOfBound => "out-of-bound",
            Self::WrongState => "wrong-state",
            Self::ModifyRequest => "modify-request",
            Self::Equivocating => "equivocating",
            Self::TwoFaced => "two-faced",
            Self::Accomplice => "accomplice",
            Self::SlowPrimary => "slow-primary",
            Self::Replay => "replay",
            Self::ForeignChain => "foreign-chain",
            Self::UsedNonces => "used-nonces",
            Self::StaleTransactions => "stale-transactions",
            Self::BadNewView => "bad-new-view",
            Self::Censorship => "censorship",
            Self::FalseSuspicion => "false-suspicion",
            Self::Contrarian => "contrarian",
            Self::FickleVoter => "fickle-voter",
            Self::Liar => "liar",
            Self::LyingServer => "lying-server",
            Self::Flood => "flood",
            Self::EvidenceFlood => "evidence-flood",
            Self::Garbage => "garbage",
            Self::Mutate => "mutate",
            Self::Chameleon => "chameleon",
            Self::Twins => "twins",
        }
    }

    /// The behaviour called `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|behaviour| behaviour.name() == name)
    }

    /// The adversary, deciding by `seed`. [`Behaviour::Twins`] rewrites nothing: it needs a second
    /// engine with the same key, and [`crate::Twins`] to tell which of the two a message is for.
    #[must_use]
    pub fn adversary(self, seed: u64) -> Box<dyn Adversary> {
        let random = ChaCha8Rng::seed_from_u64(seed);
        match self {
            Self::Silent => Box::new(silence::Silence::new(false, random)),
            Self::HalfSilent => Box::new(silence::Silence::new(true, random)),
            Self::DifferentViews => Box::new(different_views::DifferentViews::new(random)),
            Self::ForcingReset => Box::new(forcing_reset::ForcingReset),
            Self::StopAssigning => Box::new(stop_assigning::StopAssigning::new(random)),
            Self::AssignDifferent => Box::new(assign_different::AssignDifferent::default()),
            Self::ReuseHeights => Box::new(reuse_heights::ReuseHeights::default()),
            Self::OutOfBound => Box::new(out_of_bound::OutOfBound::new(random)),
            Self::WrongState => Box::new(wrong_state::WrongState::new(random)),
            Self::ModifyRequest => Box::new(modify_request::ModifyRequest::new(random)),
            Self::Equivocating => Box::new(equivocation::Equivocation::new(random)),
            Self::TwoFaced => Box::new(two_faces::TwoFaces::new(random)),
            Self::Accomplice => Box::new(accomplice::Accomplice::default()),
            Self::SlowPrimary => Box::new(slow_primary::SlowPrimary::new(random)),
            Self::Replay => Box::new(replay::Replay::new(random)),
            Self::ForeignChain => Box::new(foreign_chain::ForeignChain::new(random)),
            Self::UsedNonces => Box::new(used_nonces::UsedNonces::new(random)),
            Self::StaleTransactions => Box::new(stale_transactions::StaleTransactions::new(random)),
            Self::BadNewView => Box::new(bad_new_view::BadNewView::new(random)),
            Self::Censorship => Box::new(censorship::Censorship::new(random)),
            Self::FalseSuspicion => Box::new(false_suspicion::FalseSuspicion::new(random)),
            Self::Contrarian => Box::new(contrarian::Contrarian::new(random)),
            Self::FickleVoter => Box::new(fickle_voter::FickleVoter::new(random)),
            Self::Liar => Box::new(liar::Liar::new(random)),
            Self::LyingServer => Box::new(lying_server::LyingServer::new(random)),
            Self::Flood => Box::new(flood::Flood::new(random)),
            Self::EvidenceFlood => Box::new(evidence_flood::EvidenceFlood::new(random)),
            Self::Garbage => Box::new(garbage::Garbage::new(random)),
            Self::Mutate => Box::new(mutate::Mutate::new(random)),
            Self::Chameleon => Box::new(chameleon::Chameleon::new(random)),
            Self::Twins => Box::new(twins::Untouched),
        }
    }
}
