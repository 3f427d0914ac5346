//! What came of a run.

use std::collections::BTreeMap;

/// The rules of DESIGN 9 as they are checked, and those that protect the checks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// 1: equal height means equal block.
    Agreement,
    /// 2: only what clients signed, each at most once, in nonce order.
    Validity,
    /// 3: what was confirmed or executed is never lost.
    Durability,
    /// 4: equal height means equal state and receipts.
    Determinism,
    /// 5: what clients asked for is executed in bounded time.
    Progress,
    /// No correct replica signs two statements that contradict each other, restarts included.
    OneVote,
    /// Certificates and evidence never tell an untruth about correct replicas.
    Evidence,
    /// The store or the ledger refused what a correct replica asked of it.
    Refused,
    /// 6: without a fault in memory or at rest, nothing is found to repair.
    Closure,
    /// What is queued stays within its bound.
    Bounds,
    /// Changed bytes are refused; unchanged ones decode to what they were made of.
    Codec,
    /// 6: from any state, service comes back within a bounded number of rounds.
    Convergence,
    /// Correct code does not panic.
    Panic,
}

impl Invariant {
    /// Whether it is promised only once a cluster has recovered from an arbitrary state.
    pub(crate) const fn waits_for_convergence(self) -> bool {
        match self {
            Self::Agreement
            | Self::Durability
            | Self::Determinism
            | Self::Progress
            | Self::OneVote
            | Self::Evidence
            | Self::Refused
            | Self::Closure => true,
            Self::Validity | Self::Bounds | Self::Codec | Self::Convergence | Self::Panic => false,
        }
    }

    /// The name in reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Agreement => "agreement",
            Self::Validity => "validity",
            Self::Durability => "durability",
            Self::Determinism => "determinism",
            Self::Progress => "progress",
            Self::OneVote => "one-vote",
            Self::Evidence => "evidence",
            Self::Refused => "refused",
            Self::Closure => "closure",
            Self::Bounds => "bounds",
            Self::Codec => "codec",
            Self::Convergence => "convergence",
            Self::Panic => "panic",
        }
    }
}

/// A rule that did not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// When, in microseconds of virtual time.
    pub at_us: u64,
    /// What was seen.
    pub what: String,
}

impl core::fmt::Display for Violation {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} at {} ms: {}", self.invariant.name(), self.at_us / 1000, self.what)
    }
}

/// Counts of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// Virtual time from start to end.
    pub virtual_us: u64,
    /// Virtual time from calm to the end, or from an arbitrary start to service.
    pub quiet_us: u64,
    /// Heights that some correct replica executed.
    pub heights: u64,
    /// Transactions in them that took effect or aborted.
    pub executed: u64,
    /// Transactions that clients held as confirmed.
    pub confirmed: u64,
    /// The highest view of a correct replica.
    pub views: u64,
    /// Messages sent, each counted once for each receiver.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Messages that the door of a correct replica refused.
    pub refused: u64,
    /// Rounds from an arbitrary start until all correct replicas first served one view.
    pub rounds_to_view: u32,
    /// Until all of them had executed fresh requests.
    pub rounds_to_service: u32,
    /// Until all was well for good.
    pub rounds_to_settle: u32,
    /// Rounds from the failure of a primary to service.
    pub rounds_after_failure: u32,
    /// Most that any replica kept at once, in entries of its tables.
    pub held_max: u64,
    /// Faults of the schedule that began, by kind.
    pub faults: BTreeMap<&'static str, u64>,
    /// Byzantine replicas, by behaviour.
    pub byzantine: BTreeMap<&'static str, u64>,
    /// Messages that did not arrive once and unchanged, by what became of them.
    pub mishaps: BTreeMap<&'static str, u64>,
    /// Parts of a correct replica's state that were found illegal and repaired, by kind.
    pub repaired: BTreeMap<&'static str, u64>,
    /// Everything else worth counting, by name.
    pub counts: BTreeMap<&'static str, u64>,
}

impl Stats {
    /// Counts one more.
    pub(crate) fn count(&mut self, name: &'static str) {
        *self.counts.entry(name).or_default() += 1;
    }

    /// Faults that began, of all kinds.
    #[must_use]
    pub fn faults_in_all(&self) -> u64 {
        self.faults.values().sum()
    }

    /// Counts one more repair of a kind.
    pub(crate) fn repaired(&mut self, kind: &'static str) {
        *self.repaired.entry(kind).or_default() += 1;
    }

    /// Adds another run's.
    pub(crate) fn add(&mut self, other: &Self) {
        self.virtual_us += other.virtual_us;
        self.quiet_us = self.quiet_us.max(other.quiet_us);
        self.heights += other.heights;
        self.executed += other.executed;
        self.confirmed += other.confirmed;
        self.views += other.views;
        self.messages += other.messages;
        self.bytes += other.bytes;
        self.refused += other.refused;
        self.rounds_to_view = self.rounds_to_view.max(other.rounds_to_view);
        self.rounds_to_service = self.rounds_to_service.max(other.rounds_to_service);
        self.rounds_to_settle = self.rounds_to_settle.max(other.rounds_to_settle);
        self.rounds_after_failure = self.rounds_after_failure.max(other.rounds_after_failure);
        self.held_max = self.held_max.max(other.held_max);
        for (sums, more) in [
            (&mut self.faults, &other.faults),
            (&mut self.byzantine, &other.byzantine),
            (&mut self.mishaps, &other.mishaps),
            (&mut self.repaired, &other.repaired),
            (&mut self.counts, &other.counts),
        ] {
            for (name, count) in more {
                *sums.entry(name).or_default() += count;
            }
        }
    }
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The rules that did not hold. A run ends at the first event that breaks one.
    pub violations: Vec<Violation>,
    /// Counts.
    pub stats: Stats,
    /// A fingerprint of all that happened: equal for equal plans and builds.
    pub trace_hash: u64,
}

impl Outcome {
    /// Whether every rule held.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.violations.is_empty()
    }
}
