//! Runs that begin in an arbitrary state: any value in any variable of correct replicas, whatever
//! their links carry (DESIGN 9, 6).
//!
//! First comes an honest history with the run's own keys, of which the faulty memories then hold
//! fragments. In these runs a tick is a whole iteration of every loop of a replica: every tick tells a
//! summary, makes a full check and hears from the ledger. So one tick is about one asynchronous round.
//! With other settings a round is as long as the longest of these loops.

use daruma_engine::LocalLimits;
use daruma_engine::laboratory::{Scope, Values};
use daruma_types::Thresholds;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::disk_faults::DiskFaults;
use crate::plan::{ClientSettings, Plan};
use crate::random::{Purpose, stream};
use crate::seeded::{byzantine, pick};
use crate::text::forms::word;

/// What a run begins with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// Empty disks.
    Fresh,
    /// A history, and then an arbitrary state.
    Arbitrary(ArbitraryStart),
}

/// When replicas act and messages arrive after an arbitrary start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Rhythm {
    /// All act once, in any order, and all that they say arrives before they act again.
    LockStep,
    /// Each pause is 0.5 to 1.5 units, and each message takes 0.05 to 1 unit.
    Random,
}

/// An arbitrary state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArbitraryStart {
    /// Blocks of the history.
    pub blocks: u64,
    /// View changes of the history.
    pub views: u64,
    /// Correct replicas whose memory is set.
    pub faulty: usize,
    /// Which of their variables.
    #[serde(with = "word")]
    pub scope: Scope,
    /// To what.
    #[serde(with = "word")]
    pub values: Values,
    /// Whether some of them get one another's memory first.
    pub swapped: bool,
    /// What becomes of disks.
    #[serde(default)]
    pub disks: DiskFaults,
    /// Messages on each link, at most.
    pub in_flight: usize,
    /// When replicas act.
    pub rhythm: Rhythm,
}

impl ArbitraryStart {
    /// Names no more replicas than there are.
    pub(crate) fn within(&mut self, replicas: usize) {
        self.faulty = self.faulty.min(replicas);
        self.disks.old = self.disks.old.min(replicas);
        self.disks.damaged = self.disks.damaged.min(replicas);
    }
}

/// How often disks are faulty as well, of one (catalogue 7: in 10% of the runs, and we have room for more).
const DISK_FAULTS: f64 = 0.15;

/// Microseconds of a unit of [`Rhythm`], which is a tick.
pub(crate) const UNIT_US: u64 = 100_000;

/// Asynchronous rounds from an arbitrary start to common service, at most.
///
/// Views and their proofs meet within a few rounds. What is proven and still of no use, such as a
/// replayed report of blocks that nobody has, costs the patience of the failure detector: its longest,
/// as memory may hold any, once for each primary that cannot work, and once more for the view that was
/// found. A token takes up to `3` rounds there and back.
#[must_use]
pub const fn convergence_rounds_max(local: &LocalLimits, thresholds: Thresholds) -> u32 {
    let tokens = if local.progress_tokens > local.beat_rounds {
        local.progress_tokens
    } else {
        local.beat_rounds
    };
    let views = thresholds.faulty_max() as u32 + 2;
    24 + views * (8 + 3 * tokens * local.patience_factor_max)
}

impl Plan {
    /// The arbitrary start of this seed, with the largest `f` for `replicas`.
    #[must_use]
    pub fn arbitrary(seed: u64, replicas: usize) -> Self {
        let mut random = stream(seed, Purpose::Plan);
        let random = &mut random;
        let calm = Self::calm(seed, replicas);
        let thresholds = calm.thresholds;
        let start = ArbitraryStart {
            blocks: random.random_range(0..=12),
            views: random.random_range(0..=4),
            faulty: faulty(thresholds, random),
            scope: scope(random),
            values: pick(
                random,
                &[
                    Values::Mixed,
                    Values::Mixed,
                    Values::Mixed,
                    Values::Replayed,
                    Values::Largest,
                    Values::Zero,
                ],
            ),
            swapped: random.random_bool(0.15),
            disks: DiskFaults::NONE,
            in_flight: pick(random, &[0, 0, 2, 8]),
            rhythm: pick(random, &[Rhythm::LockStep, Rhythm::Random]),
        };
        let byzantine = byzantine(thresholds, random);
        let byzantine = if random.random_bool(0.5) { Vec::new() } else { byzantine };
        // Drawn last, so that a seed without them has the run that it had before there were any.
        let disks = match random.random_bool(DISK_FAULTS) {
            true => DiskFaults::drawn(thresholds, random),
            false => DiskFaults::NONE,
        };
        let start = Start::Arbitrary(ArbitraryStart { disks, ..start });
        Self { start, byzantine, ..calm.in_rounds() }
    }

    /// The same arbitrary start with faulty disks in any case.
    #[must_use]
    pub fn arbitrary_disks(seed: u64, replicas: usize) -> Self {
        let plan = Self::arbitrary(seed, replicas);
        match &plan.start {
            Start::Arbitrary(start) if !start.disks.any() => {
                let mut random = stream(seed, Purpose::Disks);
                let disks = DiskFaults::drawn(plan.thresholds, &mut random);
                let start = Start::Arbitrary(ArbitraryStart { disks, ..start.clone() });
                Self { start, ..plan }
            }
            Start::Arbitrary(_) | Start::Fresh => plan,
        }
    }

    /// Every loop once a tick, patience in few rounds, no clients of its own, and no end by the clock.
    #[must_use]
    pub fn in_rounds(self) -> Self {
        Self {
            tick_ms: UNIT_US / 1000,
            ledger_every_ms: UNIT_US / 1000,
            local: LocalLimits {
                summary_ticks: 1,
                full_check_ticks: 1,
                beat_rounds: 6,
                progress_tokens: 10,
                censorship_blocks: 16,
                patience_factor_max: 4,
                ..self.local
            },
            // Nothing happens by the clock; the run goes through its stages by rounds.
            fault_phase_ms: u64::MAX / 1_000_000,
            clients: ClientSettings { clients: 0, ..self.clients },
            ..self
        }
    }

    /// The same run with another arbitrary start.
    #[must_use]
    pub fn start(self, start: ArbitraryStart) -> Self {
        let fresh = self.start == Start::Fresh;
        let plan = Self { start: Start::Arbitrary(start), ..self };
        if fresh { plan.in_rounds() } else { plan }
    }
}

fn faulty(thresholds: Thresholds, random: &mut ChaCha8Rng) -> usize {
    let replicas = thresholds.replicas();
    pick(random, &[replicas, replicas, replicas, 1, thresholds.weak(), thresholds.strong()])
}

fn scope(random: &mut ChaCha8Rng) -> Scope {
    let modules =
        ["view.", "replication.", "monitor.", "links.", "pool.", "attest.", "engine.", "catch_up."];
    match random.random_range(0..10) {
        0..4 => Scope::All,
        4..8 => Scope::Some(pick(random, &[50, 200, 500, 800])),
        _ => Scope::Named(pick(random, &modules)),
    }
}
