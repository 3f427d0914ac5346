//! Runs that begin in an arbitrary state: any value in any variable of correct replicas, whatever
//! their links carry (DESIGN 9, 6).
//!
//! First comes an honest history with the run's own keys, of which the faulty memories then hold
//! fragments. In these runs a tick is a whole iteration of every loop of a replica: every tick tells a
//! summary, makes a full check and hears from the ledger. So one tick is about one asynchronous round.
//! With other settings a round is as long as the longest of these loops.

use daruma_engine::LocalLimits;
use daruma_engine::laboratory::{APART_ROUNDS, LONE_ROUNDS, Scope, Values};
use daruma_types::{Establishment, Thresholds};
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

/// [`view_rounds_max`] of establishment (a), for any `n` and `f` and whatever up to `f` Byzantine replicas do.
///
/// In the first round every replica throws out what does not prove itself, and tells where it is; by the
/// end of the second whoever was behind the highest proof has it. Suspicions that memory held may then make
/// all leave that view: two rounds for the demands of some to be joined by all, two for their reports. That
/// uses them up, and no patience is so short that a new one comes sooner than the rest takes. One more proof,
/// which only a Byzantine replica held and shows to one replica, goes round in two.
pub const VIEW_ROUNDS_MAX: u32 = 8;

/// Asynchronous rounds from an arbitrary start until all correct replicas are settled in one view for the
/// first time, at most (the catalogue's `B_ve`); under the paper's automaton where no Byzantine replica
/// interferes.
///
/// Certificates need a message there and one back from whoever lacks them: [`VIEW_ROUNDS_MAX`]. The paper's
/// automaton takes a step at a time, each witnessed over some ticks, and may reset first.
#[must_use]
pub const fn view_rounds_max(establishment: Establishment) -> u32 {
    match establishment {
        Establishment::Certified => VIEW_ROUNDS_MAX,
        Establishment::Automaton { .. } => 32,
    }
}

/// Asynchronous rounds from an arbitrary start to common service, at most, with up to `f` Byzantine
/// replicas.
///
/// A common view takes [`VIEW_ROUNDS_MAX`], and a correct primary that can work as long again for its
/// new-view. What is proven and still of no use, such as a
/// replayed report of blocks that nobody has, costs the patience of the failure detector: its longest,
/// as memory may hold any, once for each primary that cannot work, and once more for the view that was
/// found. A token takes up to `3` rounds there and back.
///
/// Under the paper's views each of these views takes as long as one takes from anywhere, and a Byzantine
/// replica may first make some believe in a view of their own, which takes the watchdog's time to find
/// out. In the view that stays, one replica may wait for its primary to come up to its ballot.
#[must_use]
pub fn convergence_rounds_max(
    local: &LocalLimits,
    thresholds: Thresholds,
    establishment: Establishment,
) -> u32 {
    let tokens = if local.progress_tokens > local.beat_rounds {
        local.progress_tokens
    } else {
        local.beat_rounds
    };
    let views = thresholds.faulty_max() as u32 + 2;
    let patience = 3 * tokens * local.patience_factor_max;
    match establishment {
        Establishment::Certified => 3 * VIEW_ROUNDS_MAX + views * (VIEW_ROUNDS_MAX + patience),
        Establishment::Automaton { .. } => {
            let split = ROUNDS_PER_DETECTOR_ROUND * APART_ROUNDS;
            let lone = ROUNDS_PER_DETECTOR_ROUND * LONE_ROUNDS;
            lone + views * (view_rounds_max(establishment) + split + patience)
        }
    }
}

/// Asynchronous rounds in one round of the event-driven detector, which needs four exchanges of tokens, at
/// most: an exchange takes one, or two where a message takes nearly a unit.
const ROUNDS_PER_DETECTOR_ROUND: u32 = 6;

impl Plan {
    /// The arbitrary start of this seed, with the largest `f` for `replicas`.
    #[must_use]
    pub fn arbitrary(seed: u64, replicas: usize) -> Self {
        Self::arbitrary_under(seed, replicas, Establishment::Certified)
    }

    /// The same under this view establishment, and the largest `f` that it has for `replicas`.
    #[must_use]
    pub fn arbitrary_under(seed: u64, replicas: usize, establishment: Establishment) -> Self {
        let mut random = stream(seed, Purpose::Plan);
        let random = &mut random;
        let calm = Self { establishment, ..Self::calm(seed, 1) }.replicas(replicas);
        let thresholds = calm.thresholds;
        let start = ArbitraryStart {
            blocks: random.random_range(0..=12),
            views: random.random_range(0..=4),
            faulty: faulty(thresholds, random),
            scope: scope(establishment, random),
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
        let disks = DiskFaults::drawn(plan.thresholds, &mut stream(seed, Purpose::Disks));
        plan.or_with_disks(disks)
    }

    /// The same, with these disks where an arbitrary start has no faulty ones of its own.
    pub(crate) fn or_with_disks(mut self, disks: DiskFaults) -> Self {
        let replicas = self.thresholds.replicas();
        if let Start::Arbitrary(start) = &mut self.start
            && !start.disks.any()
        {
            start.disks = disks;
            start.within(replicas);
        }
        self
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

fn scope(establishment: Establishment, random: &mut ChaCha8Rng) -> Scope {
    let views: &[&str] = match establishment {
        Establishment::Certified => &["view."],
        Establishment::Automaton { .. } => &["automaton.", "ballots.", "detector."],
    };
    let others = ["replication.", "monitor.", "links.", "pool.", "attest.", "engine.", "catch_up."];
    match random.random_range(0..10) {
        0..4 => Scope::All,
        4..8 => Scope::Some(pick(random, &[50, 200, 500, 800])),
        _ => Scope::Named(pick(random, &[views, &others].concat())),
    }
}
